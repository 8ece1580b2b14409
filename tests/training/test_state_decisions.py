"""What all rows decide together, left open in parts: means, categories that nobody named."""

import ast
import hashlib
import re
from fractions import Fraction

import numpy as np
import polars as pl
import pytest

import linexport
from linexport import LeastSquaresConfig, State
from linexport.errors import ArtifactError, ConfigError, DataError

N = 900


@pytest.fixture(scope="module")
def table():
    """Whole numbers, so that a mean is the same in whatever order; the first rows lack all."""
    random = np.random.default_rng(0)
    age = 20 + random.integers(0, 60, N)
    kind = random.choice(["flat", "house", "loft"], N)
    new = random.random(N) < 0.3
    floor = random.integers(3, 9, N)
    rent = 3.0 * age + 70 * (kind == "house") + 5 * new - floor + random.standard_normal(N)
    lacking = (random.random(N) < 0.2) | (np.arange(N) < 100)
    return pl.DataFrame(
        {
            "age": pl.Series(age.astype(float)).set(pl.Series(lacking), None),
            "kind": kind,
            "new": new,
            "floor": floor,
            "times": random.integers(1, 4, N),
            "rent": rent,
        }
    )


def parts_of(table, **settings):
    """Of very different sizes; the first lacks every age."""
    ends = [100, 103, 400, N]
    starts = [0, *ends[:-1]]
    return [
        State(targets="rent", **settings).update(table[start:end])
        for start, end in zip(starts, ends, strict=True)
    ]


def merged(states):
    read = [State.from_bytes(state.to_bytes()) for state in states]
    return read[0].merge(*read[1:])


def assert_close(fit, known):
    """The optimum, where two ways to it end within rounding."""
    errors = known.record.statistics.targets["rent"].features
    ours = fit.coefficients["rent"].features
    for name, value in known.coefficients["rent"].features.items():
        assert abs(ours[name] - value) <= 1e-6 * errors[name].standard_error
    assert len(ours) == len(errors)


@pytest.mark.parametrize("indicator", [False, True])
@pytest.mark.parametrize("fill", ["mean", "zero"])
def test_a_missing_number_is_filled_as_by_one_process(table, fill, indicator):
    settings = {
        "categorical": "kind,new", "exclude": "times", "missing": fill,
        "missing_indicator": indicator,
    }  # fmt: skip
    states = parts_of(table, **settings)
    fit = merged(states).fit()
    whole = State(targets="rent", **settings).update(table).fit()
    known = linexport.train(linexport.read_data(table, targets="rent", stream=True, **settings))
    assert fit.encoding == whole.encoding == known.encoding
    assert np.array_equal(fit.model.weight, whole.model.weight)
    assert fit.record == whole.record
    assert fit.model.features == known.model.features  # their ranges too
    assert_close(fit, known)


def test_a_mean_counts_a_row_as_often_as_its_weight(table):
    settings = {"targets": "rent", "categorical": "kind", "missing": "mean"}
    times = {"weights": "times", "weights_kind": "frequency"}
    weighted = State(**settings, **times).update(table).fit(reference="kind=flat")
    rows = table["times"].to_numpy()
    repeated = table[np.repeat(np.arange(N), rows)].drop("times")
    known = linexport.train(linexport.read_data(repeated, **settings, reference="kind=flat"))
    assert weighted.encoding == known.encoding
    assert_close(weighted, known)


def test_a_mean_is_rounded_once():
    table = pl.DataFrame({"x": [0.1, 0.2, 0.7, None, 1e-3], "y": [1.0, 2.0, 3.0, 5.0, 4.0]})
    fit = State(targets="y", missing="mean").update(table).fit()
    values = [value for value in table["x"] if value is not None]
    exact = sum(map(Fraction, values)) / 4
    assert fit.encoding.columns[0].fill == float(exact)


def test_to_take_rows_out_moves_the_mean_back(table):
    states = parts_of(table, exclude="kind", missing="mean", missing_indicator=True)
    left = merged(states).subtract(states[2])
    assert left.to_bytes() == merged([states[0], states[1], states[3]]).to_bytes()
    full = [states[0].subtract(states[0])]  # nothing, and then rows that lack no age
    whole = table.drop_nulls()
    full += [State(targets="rent", exclude="kind", missing="mean").update(whole)]
    assert merged(full).fit().encoding.columns[0].indicator is False


def test_a_column_without_a_number_has_no_mean(table):
    first, second, *_ = parts_of(table[:100], exclude="kind", missing="mean")
    with pytest.raises(
        DataError, match=r"column 'age': It has no number.*exclude=\['age'\]"
    ) as caught:
        first.fit()
    assert len(str(caught.value)) < 400
    assert first.fit(exclude=["age"]).model.feature_names == ("new", "floor", "times")
    assert second.parts == ()


def taking_advice(table, given):
    """Make a state as told by each refusal, in every way that it names; return the rows of each."""
    try:
        return [State(targets="rent", **given).update(table).num_rows]
    except DataError as error:
        ways = [re.findall(r"(\w+)=('[^']*'|\[[^]]*\])", way) for way in str(error).split(", or ")]
    assert any(ways)
    found = []
    for way in filter(None, ways):
        more = {name: np.atleast_1d(ast.literal_eval(value)).tolist() for name, value in way}
        both = {name: [*given.get(name, []), *more.get(name, [])] for name in given | more}
        found += taking_advice(table, both)
    return found


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"exclude": ["kind"]},
        {"categorical": ["auto"]},
        {"categorical": ["kind"], "missing": ["level"]},
        {"categorical": ["kind"], "missing": ["mean"]},
    ],
)
def test_a_state_takes_whatever_its_refusals_advise(table, given):
    lacking = table.with_columns(rent=pl.Series(table["rent"]).scatter(N - 1, None))
    found = taking_advice(lacking, given)
    assert N - 1 in found
    assert set(found) <= {N - 1, len(lacking.select("age", "rent").drop_nulls())}


def test_filled_in_another_way_does_not_merge(table):
    mean, zero = (
        State(targets="rent", exclude="kind", missing=fill).update(table)
        for fill in ("mean", "zero")
    )
    with pytest.raises(DataError, match=r"age \(fill mean\) here, age \(fill 0.0\) there"):
        mean.merge(zero)


@pytest.mark.parametrize(
    ("missing", "pasted"),
    [("median", "missing=['mean']"), ({"sq m": "median"}, "missing=['sq m=mean']")],
)
def test_a_median_is_refused_with_what_to_paste(missing, pasted):
    with pytest.raises(ConfigError) as caught:
        State(targets="y", missing=missing)
    assert str(caught.value) == (
        "A median takes all rows at once, and a state has sums only: fill with the mean "
        f"({pasted}), or leave such rows out (missing='drop')."
    )


def test_categories_that_nobody_named_are_those_of_one_process(table):
    settings = {"categorical": "auto", "missing": "mean"}
    states = parts_of(table, **settings)
    fit = merged(states).fit()
    known = linexport.train(linexport.read_data(table, targets="rent", stream=True, **settings))
    assert fit.encoding == known.encoding
    assert known.warnings[0].startswith("Taken as categories: 'kind' (3 levels, against")
    assert fit.warnings[0] == known.warnings[0]
    assert_close(fit, known)


def frame(codes):
    size = len(codes)
    return pl.DataFrame({"code": codes, "x": np.arange(size) % 7.0, "y": np.arange(size) % 5.0})


def auto(codes, categorical="auto", **settings):
    return State(targets="y", categorical=categorical, **settings).update(frame(codes))


def test_levels_of_all_parts_are_counted_where_nobody_named_the_column():
    few, more = ([f"{first}{k % 40}" for k in range(90)] for first in "ab")
    for state in (auto(few), auto(more)):
        assert len(state.fit(LeastSquaresConfig(l2=1.0), reference="none").model.features) == 41
    with pytest.raises(DataError, match=r"80 levels in all parts, and auto takes 50.*cat"):
        auto(few).merge(auto(more)).fit()
    with pytest.raises(DataError, match="2 levels in all parts, and auto takes 1 at most"):
        auto(["a"]).merge(auto(["b"])).fit()
    named = auto(few, "code").merge(auto(more))  # one of them is enough
    assert len(named.fit(LeastSquaresConfig(l2=1.0), reference="none").model.features) == 81


def test_numbers_in_one_part_and_text_in_another_are_refused():
    with pytest.raises(DataError, match=r"code \(number\) here, code \(categories\)") as caught:
        auto([1, 2, 2]).merge(auto(["a", "b", "b"]))
    assert str(caught.value).endswith("categories by name, not auto.")
    assert len(str(caught.value)) < 400


def test_a_part_whose_category_is_always_missing_merges():
    codes = ["a", "b", "b", "c", "a"]
    rest = pl.DataFrame(
        {"code": pl.Series([None, None], dtype=pl.String), "x": [3.0, 8], "y": [1.0, 2]}
    )
    for missing, rows in (("level", 7), ("drop", 5), ("reference", 7)):
        empty = State(targets="y", categorical="code", missing=missing, part="none").update(rest)
        full = auto(codes, "code", missing=missing)
        total = merged([empty, full])
        whole = State(targets="y", categorical="code", missing=missing).update(
            pl.concat([frame(codes), rest])
        )
        assert total.num_rows == rows
        assert total.fit(LeastSquaresConfig(l2=1.0)).record == (
            whole.fit(LeastSquaresConfig(l2=1.0)).record
        )
    with pytest.raises(DataError, match=r"missing=\['code=level'\]"):
        State(targets="y", categorical="code").update(rest)


@pytest.mark.parametrize("gone", ["kind", "age", "floor,new"])
def test_columns_are_left_aside_by_the_fit_as_by_the_states(table, gone):
    settings = {"categorical": "kind", "missing": "mean", "missing_indicator": True}
    kept = settings | ({"categorical": None} if gone == "kind" else {})
    without = merged(parts_of(table, **kept, exclude=gone))
    found, known = merged(parts_of(table, **settings)).fit(exclude=gone), without.fit()
    assert found.record == known.record
    assert found.encoding == known.encoding


@pytest.mark.parametrize(
    ("gone", "said"),
    [("flor", "did you mean 'floor'"), (["age", "new", "floor", "times"], "No feature is left")],
)
def test_what_cannot_be_left_aside_is_said(table, gone, said):
    state = State(targets="rent", exclude="kind", missing="zero").update(table)
    with pytest.raises(DataError, match=said):
        state.fit(exclude=gone)


def test_rows_in_memory_keep_the_marks_of_what_was_missing(table):
    rows = linexport.read_data(
        table, targets="rent", exclude="kind", missing="median", missing_indicator=True
    )
    fit, known = State().update(rows).fit(), linexport.train(rows)
    assert fit.encoding == known.encoding
    assert_close(fit, known)


def test_only_a_filled_column_may_be_without_a_number(table):
    """A range of none, signed as hostile bytes would have it; this one has numbers in its sums."""
    settings = {"exclude": "kind", "missing": {"age": "mean"}}
    data = bytearray(State(targets="rent", **settings).update(table).to_bytes())
    start = 24 + int.from_bytes(data[16:24], "little")
    of_none = np.array([np.inf, -np.inf]).tobytes()
    columns = 6
    for column, what in ((0, "sums"), (1, "ranges"), (2, "ranges")):
        wrong = bytearray(data)
        for end in (0, 1):
            at = start + 8 * (end * columns + column)
            wrong[at : at + 8] = of_none[8 * end : 8 * end + 8]
        signed = bytes(wrong[:-32]) + hashlib.sha256(wrong[:-32]).digest()
        with pytest.raises(ArtifactError, match=f"its {what} cannot be"):
            State.from_bytes(signed)
