"""States: one answer from whatever parts, each counted once."""

import hashlib

import msgspec
import numpy as np
import polars as pl
import pytest
from threaded_ranks import on_ranks

import linexport
from linexport import LeastSquaresConfig, State
from linexport.errors import ArtifactError, ConfigError, DataError

N = 3000


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(0)
    kind = random.choice(["flat", "house", "loft"], N, p=[0.6, 0.39, 0.01])
    area = 50 + 10 * random.standard_normal(N)
    return pl.DataFrame(
        {
            "area": area,
            "floor": random.integers(0, 9, N),
            "kind": kind,
            "times": random.integers(0, 4, N),
            "rent": 10 * area + 80 * (kind == "house") + random.standard_normal(N),
        }
    )


SETTINGS = {
    "targets": "rent", "weights": "times", "weights_kind": "frequency", "categorical": "kind",
}  # fmt: skip


def empty(part=None):
    return State(**SETTINGS, part=part)


def parts_of(table, count):
    """States of the table's rows in another order, in parts of very different sizes."""
    order = np.random.default_rng(count).permutation(len(table))
    ends = np.geomspace(2, len(table), count).astype(int)
    pieces = np.split(order, ends[:-1])
    return [
        empty(f"{number}/{count}").update(table[piece])
        for number, piece in enumerate(pieces, start=1)
    ]


def merged(states):
    return states[0].merge(*states[1:])


def test_the_fit_is_that_of_the_table_whatever_the_parts(table):
    whole = empty().update(table).fit()
    rows = linexport.read_data(
        table, targets="rent", weights="times", weights_kind="frequency", categorical="kind",
        stream=True,
    )  # fmt: skip
    known = linexport.train(rows)
    assert whole.encoding == known.encoding
    assert whole.record.rows == known.record.rows
    for name, value in known.coefficients["rent"].features.items():
        found = whole.coefficients["rent"].features[name]
        error = known.record.statistics.targets["rent"].features[name].standard_error
        assert abs(found - value) <= 1e-6 * error
    for count in (2, 7, 12):
        states = parts_of(table, count)
        fit = merged(states).fit()
        assert fit.record == whole.record
        assert fit.model.features == whole.model.features
        assert np.array_equal(fit.model.weight, whole.model.weight)
        assert merged(states[::-1]).to_bytes() == merged(states).to_bytes()


def test_to_merge_in_any_grouping_gives_one_digest(table):
    first, second, third = parts_of(table, 3)
    one = first.merge(second).merge(third)
    other = second.merge(third.merge(first))
    assert one.digest == other.digest
    assert one.parts == ("1/3", "2/3", "3/3")
    assert State.from_bytes(one.to_bytes()).to_bytes() == one.to_bytes()


def test_settings_of_the_fit_are_heeded_as_by_train(table):
    state = empty().update(table)
    settings = LeastSquaresConfig(l2=3.0, intercept=False)
    fit = state.fit(settings, reference={"kind": "loft"}, unknown="reference", units={"area": "m²"})
    rows = linexport.read_data(
        table, targets="rent", weights="times", weights_kind="frequency", categorical="kind",
        reference="kind=loft", unknown="reference", units={"area": "m²"}, stream=True,
    )  # fmt: skip
    known = linexport.train(rows, solver=settings)
    assert (fit.encoding, fit.record.settings) == (known.encoding, known.record.settings)
    assert fit.model.features[0].unit == "m²"
    assert fit.model.weight == pytest.approx(known.model.weight, rel=1e-10)
    full = state.fit(LeastSquaresConfig(l2=1.0), reference="none")
    assert full.model.feature_names[-3:] == ("kind[flat]", "kind[house]", "kind[loft]")


def test_subtract_leaves_what_a_fit_would_be_that_never_saw_the_rows(table):
    # The third part alone holds a level, the range's end and the largest numbers.
    odd = table[:5].with_columns(kind=pl.lit("castle"), area=1e40 * pl.col("area"))
    first, second = empty("a").update(table[:1000]), empty("b").update(table[1000:])
    third = empty("c").update(odd)
    left = merged([third, second, first]).subtract(third)
    assert left.to_bytes() == first.merge(second).to_bytes()
    assert left.fit().record == empty().update(table).fit().record
    nothing = left.subtract(first.merge(second))
    assert (nothing.num_rows, nothing.parts) == (0, ())
    assert nothing.merge(third).to_bytes() == third.to_bytes()


def test_a_part_counts_once(table):
    first, second = parts_of(table, 2)
    retried = State.from_bytes(first.to_bytes())
    with pytest.raises(DataError, match="'1/2' is in both, and would be counted twice"):
        first.merge(second).merge(retried)
    unnamed = empty().update(table)
    with pytest.raises(DataError, match="would be counted twice"):
        unnamed.merge(empty().update(table.reverse()))  # the same rows in another order


def test_a_lost_part_is_said_where_parts_are_numbered(table):
    states = parts_of(table, 7)
    with pytest.raises(DataError, match="2 of 7 parts are missing: 3/7, 5/7"):
        merged([state for state in states if state.parts not in (("3/7",), ("5/7",))]).fit()
    days = [empty(f"2024-01-{day:02} 1/1").update(table[day::2]) for day in (0, 1)]
    assert merged(days).fit().record == merged(states).fit().record
    with pytest.raises(DataError, match="as of 2 and as of 7"):
        merged([states[0], empty("2/2").update(table)]).fit()


def test_a_part_without_rows_merges(table):
    whole = empty("1/3").update(table)
    none = empty("2/3").update(table[:0])
    lacking = table[:2].with_columns(rent=pl.lit(None, dtype=pl.Float64))
    dropped = State(**SETTINGS, missing="drop", part="3/3").update(lacking)
    total = merged([State.from_bytes(each.to_bytes()) for each in (none, whole, dropped)])
    fit = total.fit()
    assert fit.record.rows_dropped == total.rows_dropped == 2
    assert (
        fit.coefficients
        == whole.subtract(empty().update(table[:0])).merge(none, dropped).fit().coefficients
    )
    assert merged([empty().update(table[:0])] * 2).parts == ()
    with pytest.raises(DataError, match="no rows to fit"):
        none.merge(empty("1/3"), dropped).fit()


def test_subtract_refuses_what_it_does_not_hold(table):
    first, second = parts_of(table, 2)
    with pytest.raises(DataError, match="'2/2' is not in it"):
        first.subtract(second)
    other = empty("1/2").update(table[:7])
    with pytest.raises(DataError, match="'1/2' holds other rows"):
        first.subtract(other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": "area"}, "different targets.*rent here, area there"),
        ({"weights": None, "weights_kind": "precision"}, "different weights.*1 of them here, none"),
        ({"weights_kind": "precision"}, "times \\(frequency\\) here, times \\(precision\\) there"),
        ({"exclude": "floor"}, "different features"),
        ({"categorical": ["kind", "floor"]}, "floor \\(number\\) here"),
    ],
)
def test_states_of_other_columns_do_not_merge(table, change, message):
    other = State(**(SETTINGS | change)).update(table[:50])
    with pytest.raises(DataError, match=message) as caught:
        empty().update(table).merge(other)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("part", ["", "a\nb", "x" * 201, "0/3", "4/3"])
def test_a_part_has_a_name_that_can_be_said(part):
    with pytest.raises(ConfigError):
        State(part=part)


def test_a_state_that_was_merged_takes_no_more_rows(table):
    state = empty().update(table[:50]).update(table[50:])  # one part, in two steps
    assert state.fit().record == empty().update(table).fit().record
    for closed in (state.merge(), State.from_bytes(state.to_bytes())):
        with pytest.raises(ConfigError, match="takes no more rows"):
            closed.update(table)


def test_missing_levels_and_spellings_become_one_set_of_levels():
    frames = [
        pl.DataFrame({"code": codes, "x": x, "y": y})
        for codes, x, y in (
            ([7.0, 7.0, 8.5], [1.0, 2.0, 4.0], [1.0, 3.0, 2.0]),
            ([7, 8, 9], [3.0, 1.0, 9.0], [4.0, 4.0, 8.0]),
            ([9, None, None], [3.5, 2.0, 8.0], [2.0, 5.0, 7.0]),
        )
    ]
    states = [
        State(targets="y", categorical="code", missing="level").update(frame) for frame in frames
    ]
    fit = merged(states).fit(LeastSquaresConfig(l2=0.1))
    assert fit.model.feature_names == ("code[8]", "code[8.5]", "code[9]", "code[missing]", "x")
    assert fit.encoding.columns[0].reference == "7"
    again = merged(states).subtract(states[2]).fit(LeastSquaresConfig(l2=0.1))
    assert again.encoding.columns[0].missing == "error"


def test_arrays_and_datasets_have_states_too():
    random = np.random.default_rng(1)
    x, y = random.standard_normal((100, 3)), random.standard_normal(100)
    state = State(part="first").update(x[:60], y[:60]).merge(State().update((x[60:], y[60:])))
    assert state.fit().record == State().update(x, y).fit().record
    rows = linexport.read_data(
        {"k": ["a", "b", "a"], "y": [1.0, 2, 3]}, targets="y", categorical="k"
    )
    with pytest.raises(ConfigError, match="has a reference already"):
        State().update(rows)


def test_numbers_beyond_exact_sums_are_said(table):
    with pytest.raises(DataError, match="column 'area': 1e\\+120 is too far from 1"):
        empty().update(table.with_columns(area=pl.lit(1e120)))
    few = np.arange(len(table)) < 9  # rows that are put aside, and looked at in the end
    for area in (np.full(len(table), 1e-300), np.where(few, 1e-300, 1), np.where(few, 1, 1e-300)):
        with pytest.raises(DataError, match="column 'area': 1e-300 is too far from 1"):
            empty().update(table.with_columns(area=pl.lit(area)))
    with pytest.raises(DataError, match="column 'times': 1e\\+60"):
        State(targets="rent", weights="times", exclude="kind").update(
            table.with_columns(times=pl.lit(1e60))
        )


@pytest.mark.parametrize("num_ranks", [2, 3])
def test_ranks_add_up_what_one_process_does(num_ranks, table, tmp_path):
    path = tmp_path / "rows.parquet"
    table.write_parquet(path, row_group_size=500)
    found = on_ranks(num_ranks, lambda ranks: empty("p").update(path, ranks=ranks).to_bytes())
    assert set(found) == {empty("p").update(path).to_bytes()}


@pytest.fixture(scope="module")
def data(table):
    return merged(parts_of(table, 3)).to_bytes()


def test_bytes_that_are_no_state_are_refused(data):
    for wrong in (b"", b"PAR1", data[:-1], data[:20], data + b"x", data.replace(b"flat", b"Flat")):
        with pytest.raises(ArtifactError):
            State.from_bytes(wrong)


def test_whoever_signs_damaged_bytes_is_found_out_too(data):
    """With a digest that fits, as hostile bytes would have it."""

    def signed(content):
        return content + hashlib.sha256(content).digest()

    size = int.from_bytes(data[16:24], "little")
    header, body = data[24 : 24 + size], data[24 + size : -32]
    document = msgspec.json.decode(header)

    def state(changes, body=body, size=None):
        changed = msgspec.json.encode({**document, **changes})
        length = len(changed) if size is None else size
        return signed(data[:16] + length.to_bytes(8, "little") + changed + body)

    assert State.from_bytes(state({})).num_rows
    sums = document["sums"]
    for wrong in (
        state({"version": 2}),
        state({"parts": {}}),
        state({"sums": None}),
        state({"sums": {**sums, "width": 2**40}}),
        state({"sums": {**sums, "exponent": 10**9}}),
        state({"sums": {**sums, "rows": 5}}),
        state({"sums": {**sums, "counts": sums["counts"][:-1]}}),
        state({"sums": {**sums, "names": {**sums["names"], "features": ["a"]}}}),
        state({}, body[:-1]),
        state({}, body[:8] + b"\xff" * 8 + body[16:]),
        state({}, size=2**63),
        signed(data[:16]),
        signed(data[:24] + b"[" * 100_000),
    ):
        with pytest.raises(ArtifactError) as caught:
            State.from_bytes(wrong)
        assert len(str(caught.value)) < 400
