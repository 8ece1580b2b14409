"""Rows that are left out, or of weight 0, decide nothing of an encoding; others count by weight."""

import numpy as np
import pandas as pd
import pytest

import linexport

ASKED = {
    "targets": "rent",
    "categorical": "kind",
    "missing": {"area": "mean", "age": "mean", "kind": "level", "rent": "drop"},
    "missing_indicator": True,
}


@pytest.fixture
def flats() -> pd.DataFrame:
    """Lofts, and rows without a kind or an age, have no rent."""
    rng = np.random.default_rng(7)
    flats = pd.DataFrame({
        "kind": rng.choice(["flat", "house", "loft"], 60),
        "area": rng.normal(80, 20, 60).round(1),
        "age": rng.integers(0, 90, 60).astype(float),
        "count": rng.integers(0, 4, 60),
    })  # fmt: skip
    flats["rent"] = flats["area"] * 9 + (flats["kind"] == "house") * 200 + rng.normal(0, 9, 60)
    flats.loc[::7, "area"] = np.nan
    flats.loc[flats["kind"] == "loft", "rent"] = np.nan
    flats.loc[[3, 4], ["kind", "age", "rent"]] = [None, np.nan, np.nan]
    return flats


def encoded(fit: linexport.Fit) -> tuple[object, object]:
    return fit.encoding, fit.coefficients


def test_rows_that_are_left_out_decide_nothing(flats: pd.DataFrame) -> None:
    """The fit is that of a table that never had them, to the last bit."""
    table, kept = flats.drop(columns="count"), flats.dropna(subset="rent").drop(columns="count")
    fit = linexport.train(linexport.read_data(table, **ASKED))
    assert encoded(fit) == encoded(linexport.train(linexport.read_data(kept, **ASKED)))
    assert set(fit.coefficients["rent"].features) == {
        f"kind[{kept['kind'].value_counts().index[1]}]", "area", "area[missing]", "age",
    }  # fmt: skip
    np.testing.assert_allclose(fit.encoding.columns[1].fill, kept["area"].mean(), rtol=1e-15)
    state = linexport.State(**ASKED).update(table)
    assert encoded(state.fit()) == encoded(fit)


@pytest.mark.parametrize("what", ["mean", "median"])
def test_a_frequency_is_a_row_so_often(flats: pd.DataFrame, what: str) -> None:
    asked = {**ASKED, "missing": {**ASKED["missing"], "area": what, "age": what}}
    repeated = flats.loc[flats.index.repeat(flats["count"])].drop(columns="count")
    theirs = linexport.train(linexport.read_data(repeated, **asked))
    weights = {"weights": "count", "weights_kind": "frequency"}
    fit = linexport.train(linexport.read_data(flats, **asked, **weights))
    kind, area, age = fit.encoding.columns
    other = theirs.encoding.columns[0]
    assert (kind.levels, kind.missing) == (other.levels, other.missing)
    counted = repeated.dropna(subset="rent")
    for column in (area, age):
        expected = getattr(counted[column.name], what)()
        np.testing.assert_allclose(column.fill, expected, rtol=1e-15)
    assert (area.indicator, age.indicator) == (True, False)
    rows = flats.dropna(subset="rent").drop(columns=["rent", "count"])
    np.testing.assert_allclose(fit.predict(rows), theirs.predict(rows), rtol=1e-12)
    assert fit.record.rows == theirs.record.rows


def test_rows_of_weight_0_decide_nothing(flats: pd.DataFrame) -> None:
    """Not even where only they have a level, or lack a value."""
    weighted = flats.assign(rent=flats["rent"].fillna(1e6), count=flats["rent"].notna() * 0.5)
    fit = linexport.train(linexport.read_data(weighted, **ASKED, weights="count"))
    plain = linexport.train(linexport.read_data(flats.drop(columns="count"), **ASKED))
    assert fit.encoding == plain.encoding
    for name, slope in plain.coefficients["rent"].features.items():
        np.testing.assert_allclose(fit.coefficients["rent"].features[name], slope, rtol=1e-12)
    assert fit.encoding == linexport.State(**ASKED, weights="count").update(weighted).fit().encoding
