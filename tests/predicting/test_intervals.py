"""Prediction intervals are those of statsmodels and R, in every way to ask for them."""

import pickle

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import scipy.stats
import statsmodels.api

import linexport
from linexport.errors import ConfigError, DataError, ModelError
from linexport.least_squares._statistics import MOST_FEATURES
from linexport.predicting import Spread

DIGITS = 1e-9
"""Relative: more than what statsmodels loses on data as tame as these."""

CARS = [
    (4, 2), (4, 10), (7, 4), (7, 22), (8, 16), (9, 10), (10, 18), (10, 26), (10, 34), (11, 17),
    (11, 28), (12, 14), (12, 20), (12, 24), (12, 28), (13, 26), (13, 34), (13, 34), (13, 46),
    (14, 26), (14, 36), (14, 60), (14, 80), (15, 20), (15, 26), (15, 54), (16, 32), (16, 40),
    (17, 32), (17, 40), (17, 50), (18, 42), (18, 56), (18, 76), (18, 84), (19, 36), (19, 46),
    (19, 68), (20, 32), (20, 48), (20, 52), (20, 56), (20, 64), (22, 66), (23, 54), (24, 70),
    (24, 92), (24, 93), (24, 120), (25, 85),
]  # fmt: skip
"""R's data set `cars`: speed and stopping distance (Ezekiel, 1930)."""


def fitted(rows, output, *, dtype="float64", **settings):
    """A bundle of a least-squares fit of y."""
    solver = linexport.LeastSquaresConfig(**settings)
    config = linexport.ExportConfig(formats=("onnx",), dtype=dtype)
    linexport.export(linexport.train(rows, "y", solver=solver), output, config=config)
    return output


@pytest.fixture(scope="module")
def frame():
    random = np.random.default_rng(4)
    a, b = random.normal(20, 3, 80), random.normal(-1, 0.1, 80)
    y = 4 + 2 * a - 30 * b + random.normal(0, 2, 80)
    return pl.DataFrame({"a": a, "b": b + 0.02 * a, "y": y})


@pytest.fixture(scope="module")
def new():
    random = np.random.default_rng(5)
    return np.column_stack([random.normal(20, 9, 30), random.normal(-1, 1, 30)])


@pytest.fixture(scope="module")
def bundle(frame, tmp_path_factory):
    return fitted(frame, tmp_path_factory.mktemp("interval") / "bundle")


def expected(design, y, new, level=0.95, **weights):
    model = statsmodels.api.WLS if weights else statsmodels.api.OLS
    found = model(y, design, **weights).fit().get_prediction(new)
    return found.predicted_mean, *found.conf_int(obs=True, alpha=1 - level).T


def with_constant(features):
    return statsmodels.api.add_constant(features, has_constant="add")


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("intercept", [True, False])
def test_they_are_those_of_statsmodels(frame, new, tmp_path, intercept, level):
    bundle = fitted(frame, tmp_path / "bundle", intercept=intercept)
    found = linexport.load(bundle).predict_interval(new, level=level)
    features = frame["a", "b"].to_numpy()
    design, at = (with_constant(x) if intercept else x for x in (features, new))
    for ours, theirs in zip(found, expected(design, frame["y"], at, level), strict=True):
        assert ours[:, 0] == pytest.approx(theirs, rel=DIGITS)


@pytest.mark.parametrize("kind", ["precision", "frequency"])
def test_weighted_rows_give_those_of_a_new_row_of_weight_1(frame, new, tmp_path, kind):
    weights = np.arange(80) % 4 + 1
    rows = linexport.read_data(
        frame.with_columns(w=weights), targets="y", weights="w", weights_kind=kind
    )
    config = linexport.ExportConfig(formats=("onnx",), dtype="float64")
    linexport.export(linexport.train(rows), tmp_path / "bundle", config=config)
    found = linexport.load(tmp_path / "bundle").predict_interval(new)
    features, y = frame["a", "b"].to_numpy(), frame["y"].to_numpy()
    if kind == "frequency":
        design = with_constant(np.repeat(features, weights, axis=0))
        theirs = expected(design, np.repeat(y, weights), with_constant(new))
    else:
        theirs = expected(with_constant(features), y, with_constant(new), weights=weights)
    assert found.lower[:, 0] == pytest.approx(theirs[1], rel=DIGITS)
    assert found.upper[:, 0] == pytest.approx(theirs[2], rel=DIGITS)


def test_they_are_those_that_r_prints(tmp_path):
    """predict(lm(dist ~ speed, cars), data.frame(speed = c(12, 19, 24)), interval = "prediction"),
    to the three digits that are printed."""
    rows = pl.DataFrame(CARS, schema=["speed", "y"], orient="row")
    found = linexport.load(fitted(rows, tmp_path / "cars")).predict_interval([[12], [19], [24]])
    printed = [[29.6, -1.75, 61.0], [57.1, 25.76, 88.5], [76.8, 44.75, 108.8]]
    assert np.hstack(found) == pytest.approx(np.array(printed), abs=0.05)


def test_a_table_an_array_and_an_arrow_batch_give_the_same(bundle, new, tmp_path):
    predictor = linexport.load(bundle)
    found = predictor.predict_interval(new)
    table = pl.DataFrame({"b": new[:, 1], "a": new[:, 0]})
    for one, other in zip(found, predictor.predict_interval(table), strict=True):
        assert one.tolist() == other.tolist()
    again = pickle.loads(pickle.dumps(predictor)).predict_interval(new)
    assert again.upper.tolist() == found.upper.tolist()
    score = linexport.record_batch_predictor(predictor, keep="b", interval=0.95)
    arrow = score(pa.table({"a": new[:, 0], "b": new[:, 1]}))
    assert arrow.column_names == ["b", "y", "y_lower", "y_upper"]
    assert arrow["y_lower"].to_pylist() == found.lower[:, 0].tolist()
    assert score(arrow.rename_columns(["b", "a", *"cd"]).slice(0, 0)).num_rows == 0
    linexport.predict_table(bundle, table, tmp_path / "out.parquet", interval=0.95)
    written = pl.read_parquet(tmp_path / "out.parquet")
    assert written.columns == ["y", "y_lower", "y_upper"]
    assert written["y_upper"].to_list() == found.upper[:, 0].tolist()


def test_several_targets_have_intervals_of_their_own(frame, tmp_path):
    rows = frame.with_columns(z=5 * pl.col("y") + pl.col("a"))
    config = linexport.ExportConfig(formats=("onnx",), dtype="float64")
    fit = linexport.train(rows, ["y", "z"])
    linexport.export(fit, tmp_path / "bundle", config=config)
    linexport.predict_table(tmp_path / "bundle", rows, tmp_path / "out.csv", interval=0.9)
    written = pl.read_csv(tmp_path / "out.csv")
    assert written.columns == ["y", "y_lower", "y_upper", "z", "z_lower", "z_upper"]
    widths = [written[f"{name}_upper"] - written[f"{name}_lower"] for name in "yz"]
    assert widths[1].to_numpy() == pytest.approx(5 * widths[0].to_numpy(), rel=1e-6)


def test_a_float32_bundle_has_them_in_float32(frame, new, tmp_path):
    found = linexport.load(fitted(frame, tmp_path / "b", dtype="float32")).predict_interval(new)
    assert {part.dtype for part in found} == {np.dtype(np.float32)}
    design = with_constant(frame["a", "b"].to_numpy())
    for ours, theirs in zip(found, expected(design, frame["y"], with_constant(new)), strict=True):
        assert ours[:, 0] == pytest.approx(theirs, rel=1e-6, abs=1e-5)


def test_a_bundle_exported_again_still_has_them(bundle, new, tmp_path):
    again = linexport.export(linexport.read_bundle(bundle), tmp_path / "again").path
    found, before = (linexport.load(path).predict_interval(new) for path in (again, bundle))
    assert found.lower == pytest.approx(before.lower, rel=1e-6, abs=1e-5)


def test_a_row_that_lacks_a_value_has_no_interval(bundle):
    predictor, rows = linexport.load(bundle), [[20.0, np.nan], [20.0, -1.0]]
    with pytest.raises(DataError, match="row 1"):
        predictor.predict_interval(rows)
    found = predictor.predict_interval(rows, missing="nan")
    assert np.isnan(np.hstack(found)).tolist() == [[True] * 3, [False] * 3]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"l2": 1.0}, "fits without a ridge"),
        ({"rank_deficient": "minimum-norm"}, "of independent features"),
    ],
)
def test_a_fit_that_does_not_know_says_so_in_a_line(frame, tmp_path, settings, why):
    rows = frame.with_columns(c=2 * pl.col("a")) if "l2" not in settings else frame
    predictor = linexport.load(fitted(rows, tmp_path / "bundle", **settings))
    with pytest.raises(ModelError, match=why) as caught:
        predictor.predict_interval(np.zeros((1, len(predictor.features))))
    assert len(str(caught.value)) < 400


def test_other_models_that_do_not_know_say_so(bundle, frame, tmp_path):
    config = linexport.ExportConfig(formats=("onnx",))
    by_sgd = linexport.train(frame, "y", solver="sgd")
    linexport.export(by_sgd, tmp_path / "sgd", config=config)
    exact = frame.with_columns(y=pl.col("a") * 2)
    for path, why in (
        (tmp_path / "sgd", "as sgd does not tell it"),
        (bundle / "model.onnx", "this is a single file"),
        (fitted(exact, tmp_path / "exact"), "nothing is left of the residuals"),
    ):
        with pytest.raises(ModelError, match=why):
            linexport.load(path).predict_interval([[1.0, 2.0]])


@pytest.mark.parametrize(
    "changes",
    [
        {"degrees_of_freedom": -1.0},
        {"degrees_of_freedom": 1e-320},
        {"residual_standard_deviation": -1.0},
    ],
)
def test_a_record_that_no_fit_has_makes_no_intervals(bundle, changes):
    """As a manifest may be forged."""
    record = linexport.read_bundle(bundle).manifest.record
    told = msgspec.structs.replace(record.statistics.targets["y"], **changes)
    statistics = msgspec.structs.replace(record.statistics, targets={"y": told})
    spread = Spread(msgspec.structs.replace(record, statistics=statistics), ("y",))
    with pytest.raises(ModelError, match="There are no prediction intervals"):
        spread.at_no_leverage(0.95)


def test_a_level_next_to_1_has_ends(bundle, frame):
    """Of 77 degrees of freedom; (1 + level) / 2 would be 1."""
    level = float(np.nextafter(1, 0))
    spread = linexport.load(bundle).spread
    s = linexport.read_bundle(bundle).manifest.record.statistics.targets["y"]
    expected = scipy.stats.t(len(frame) - 3).isf((1 - level) / 2) * s.residual_standard_deviation
    assert np.allclose(spread.at_no_leverage(level), expected, rtol=1e-9)


def test_a_level_is_a_probability(bundle):
    for level in (0, 1, 95, float("nan")):
        with pytest.raises(ConfigError, match="between 0 and 1"):
            linexport.load(bundle).predict_interval([[1.0, 2.0]], level=level)


def test_memory_of_wide_models_is_spared(tmp_path):
    random = np.random.default_rng(0)
    wide = random.normal(size=(MOST_FEATURES + 100, MOST_FEATURES + 1))
    fit = linexport.train(
        wide, wide @ random.normal(size=MOST_FEATURES + 1) + random.normal(size=len(wide))
    )
    assert fit.record.statistics.leverage is None
    fit = linexport.train(wide[:, :5], wide[:, 7])
    assert [len(row) for row in fit.record.statistics.leverage.factor] == [1, 2, 3, 4, 5]
