"""An encoding applied to tables: every kind of column and cell, from every kind of table."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from linexport.encoding import CategoryColumn, DateColumn, Encoding, NumberColumn
from linexport.errors import DataError
from linexport.tables import open_table

NAN = np.nan
KIND = CategoryColumn(name="kind", levels=("flat", "house", "öl"), reference="flat")


def features(encoding: Encoding | CategoryColumn | DateColumn, table: Any) -> Any:
    """The features of all rows, once checked that blocks hold the same."""
    if not isinstance(encoding, Encoding):
        encoding = Encoding(columns=(encoding,))
    parts = []
    for batch in open_table(table).batches(encoding):
        whole = batch.numbers()
        blocks = list(batch.blocks())
        assert [start for start, _ in blocks] == list(
            np.cumsum([0, *(len(block) for _, block in blocks)])[:-1]
        )
        np.testing.assert_array_equal(whole, np.concatenate([block for _, block in blocks]))
        np.testing.assert_array_equal(whole.astype("f4"), batch.numbers(np.dtype("f4")))
        assert len(batch.number_types) == whole.shape[1]
        assert batch.num_rows == len(whole)
        parts.append(whole)
    return np.concatenate(parts)


ENCODING = Encoding(
    columns=(
        NumberColumn(name="age", fill=5.0, indicator=True),
        CategoryColumn(
            name="kind", levels=("flat", "house", "öl"), reference="flat", missing="level"
        ),
        DateColumn(name="day", origin="2020-01-01"),
        NumberColumn(name="area"),
    )
)
EXPECTED = [
    [1, 0, 0, 0, 0, 1, 3],
    [5, 1, 1, 0, 0, 2, 4.5],
    [5, 1, 0, 0, 1, -1, NAN],
    [3, 0, 0, 1, 0, NAN, 5],
]
FRAME = pl.DataFrame(
    {
        "area": [3.0, 4.5, None, 5.0],
        "kind": ["flat", "house", None, "öl"],
        "age": [1, None, None, 3],
        "day": pl.Series(["2020-01-02", "2020-01-03", "2019-12-31", None]).str.to_date(),
    }
)
CSV = "kind,area,age,day\nflat,3,1,2020-01-02\n house ,4.5,NA,2020/01/03\n?,,,2019-12-31\nöl,5,3,\n"


def test_csv_and_frames_of_any_type_become_the_same_features(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(CSV)
    FRAME.write_parquet(tmp_path / "t.parquet")
    coded = FRAME.with_columns(pl.col("kind").cast(pl.Categorical), pl.col("day").cast(pl.Datetime))
    coded.write_parquet(tmp_path / "coded.parquet")
    listed = FRAME.with_columns(pl.col("kind").cast(pl.Enum(["öl", "x", "house", "flat"])))
    text = FRAME.with_columns(pl.col("day").cast(pl.String)).to_dict(as_series=False)
    tables = [tmp_path / name for name in ("t.csv", "t.parquet", "coded.parquet")]
    for table in (*tables, listed, listed.to_arrow(), text, FRAME.lazy()):
        np.testing.assert_array_equal(features(ENCODING, table), EXPECTED)


def test_columns_are_handed_on_as_they_are() -> None:
    (batch,) = open_table(FRAME).batches(ENCODING, ("kind", "area"))
    rows: Any = batch.kept_and(["price"], np.zeros((4, 1)))
    expected = FRAME.select("kind", "area").with_columns(price=pl.lit(0.0))
    assert rows.equals(expected)
    assert batch.kept_types == ["String", "Float64"]


def test_many_batches_and_a_column_of_more_levels_than_a_byte_counts() -> None:
    levels = tuple(f"l{number}" for number in range(300))
    column = CategoryColumn(name="kind", levels=levels, reference=None)
    chosen = np.random.default_rng(0).integers(0, 300, 5000)
    found = features(column, {"kind": [levels[place] for place in chosen]})
    np.testing.assert_array_equal(found, np.eye(300)[chosen])


@pytest.mark.parametrize(
    ("cells", "levels", "codes"),
    [
        ([" house", "house\t", "flat"], ("flat", "house"), [1, 1, 0]),
        (["o\u0308l", "öl"], ("flat", "öl"), [1, 1]),
        ([True, False], ("False", "True"), [1, 0]),
        ([1, 2], ("1", "2"), [0, 1]),
        ([1.0, 2.0], ("1", "2"), [0, 1]),
        ([1.0, NAN, None], ("1", "2"), [0, NAN, NAN]),
        (["", "NaN", " ", "None"], ("1", "2"), [NAN, NAN, NAN, NAN]),
        (["NA", "b"], ("NA", "b"), [0, 1]),
    ],
)
def test_each_cell_has_one_answer(cells: Any, levels: tuple[str, ...], codes: Any) -> None:
    column = CategoryColumn(name="kind", levels=levels, reference=levels[0])
    np.testing.assert_array_equal(features(column, {"kind": cells})[:, 0], codes)


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical])
def test_an_unknown_level_is_refused_where_it_is_or_is_the_reference(dtype: Any) -> None:
    table = pl.DataFrame({"kind": pl.Series(["house", None, " hause", "?"], dtype=dtype)})
    with pytest.raises(
        DataError, match=r"'hause' is no level .*; the nearest is 'house': correct it, or train"
    ) as caught:
        features(KIND, table)
    assert (caught.value.column, caught.value.row) == ("kind", 3)
    lenient = CategoryColumn(
        name="kind", levels=("flat", "house"), reference="flat", unknown="reference"
    )
    np.testing.assert_array_equal(features(lenient, table)[:, 0], [1, NAN, 0, NAN])


def test_an_unknown_level_in_a_later_batch_is_found_in_its_row(tmp_path: Path) -> None:
    rows = 2_000_000
    cells = pl.Series(["flat"]).repeat_by(rows).explode()
    cells[rows - 3] = "zzz"
    pl.DataFrame({"kind": cells}).write_csv(tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"'zzz' is no level.*its levels are 'flat', 'h") as caught:
        features(KIND, tmp_path / "t.csv")
    assert caught.value.row == rows - 2


def test_a_missing_category_may_be_the_reference() -> None:
    column = CategoryColumn(
        name="kind", levels=("flat", "house"), reference="house", missing="reference"
    )
    np.testing.assert_array_equal(features(column, {"kind": ["flat", None]})[:, 0], [1, 0])


def test_times_are_fractions_of_days_and_other_orders_are_refused() -> None:
    column = DateColumn(name="day", origin="2020-01-01")
    cells = ["2020-01-01 06:00", "2020-01-01T12:00:00", "2020-01-03 00:00:00.000", "NA"]
    np.testing.assert_array_equal(features(column, {"day": cells})[:, 0], [0.25, 0.5, 2, NAN])
    slashes = ["2020/01/01 06:00", "2020/1/1T12:00:00", "2020/01/03 00:00:00.000", "2020/01/01"]
    np.testing.assert_array_equal(features(column, {"day": slashes})[:, 0], [0.25, 0.5, 2, 0])
    for other in (
        "2020/01-02",
        "2020-01-01T06:00+25:00",
        "2020-01-01Z",
        "03/04/2020",
        "1/5/24",
        "10-5-24",
        "10-5-24 06:00",
        "+2020-01-01",
        "2020-02-30",
    ):
        said = f"'{re.escape(other)}' is not a date; write year-month-day"
        with pytest.raises(DataError, match=said):
            features(column, {"day": ["2020-01-01", other]})
    with pytest.raises(
        DataError, match="It holds Int64, not dates; write year-month-day, as 2020-01-01"
    ):
        features(column, {"day": [1]})


def test_a_time_with_an_offset_is_that_of_utc() -> None:
    """As Python's own reader has it, whatever stands beside it."""
    column = DateColumn(name="day", origin="2020-01-01")
    cells = ["2020-03-01T01:30:00Z", "2020-03-01T01:30:00.250+02:00", "2020-03-01 01:30-0330"]
    cells += ["2020-03-01T01:30+05", "2020-03-01 01:30:00 UTC", "2020-03-01 01:30:00+00:00"]
    origin = datetime(2020, 1, 1, tzinfo=UTC)
    exact = [
        (datetime.fromisoformat(cell.replace(" UTC", "Z")) - origin) / timedelta(days=1)
        for cell in cells
    ]
    np.testing.assert_array_equal(features(column, {"day": [*cells, "2020-03-01"]})[:-1, 0], exact)
    typed = pl.Series(cells).str.replace(" UTC", "Z")
    typed = pl.Series([datetime.fromisoformat(cell) for cell in typed])
    np.testing.assert_array_equal(features(column, {"day": typed})[:, 0], exact)


def test_what_has_no_levels_is_refused() -> None:
    with pytest.raises(DataError, match="no levels"):
        features(KIND, {"kind": [b"flat"]})
    with pytest.raises(DataError, match="'5' is text; give the column as numbers"):
        features(ENCODING, FRAME.with_columns(area=pl.lit("5")))
    with pytest.raises(DataError, match="There is no column 'kind'"):
        features(KIND, {"kinds": ["flat"]})


def test_a_table_without_rows_has_all_features() -> None:
    assert features(ENCODING, FRAME.head(0)).shape == (0, 7)
    assert features(KIND, {"kind": []}).shape == (0, 2)


def test_a_dictionary_may_differ_from_file_to_file_and_grow(tmp_path: Path) -> None:
    column = CategoryColumn(name="kind", levels=("a", "b", "c"), reference="a")
    parts = [
        pl.Series("kind", ["b", "a", None, "b"], dtype=pl.Enum(["a", "b"])),
        pl.Series("kind", ["c", "b", "c", "a"], dtype=pl.Enum(["c", "b", "a", "unused"])),
        pl.Series("kind", ["a", None, " b", "c"], dtype=pl.Categorical),
        pl.Series("kind", ["c", "?", "a", "b"]),
    ]
    for number, part in enumerate(parts):
        part.to_frame().write_parquet(tmp_path / f"{number}.parquet", row_group_size=2)
    found = features(column, tmp_path)
    b, c = [1, 0], [0, 1]
    expected = [b, [0, 0], [NAN, NAN], b, c, b, c, [0, 0], [0, 0], [NAN, NAN], b, c]
    np.testing.assert_array_equal(found, [*expected, c, [NAN, NAN], [0, 0], b])


def test_an_unknown_entry_of_a_dictionary_is_told_where_it_first_stands() -> None:
    cells = pl.Series(["a", None, "x", "b", "y", "x"], dtype=pl.Enum(["y", "x", "a", "b"]))
    column = CategoryColumn(name="kind", levels=("a", "b"), reference="a")
    with pytest.raises(DataError, match="'x' is no level") as caught:
        features(column, {"kind": cells})
    assert caught.value.row == 3


def test_bytes_and_lists_are_no_dates():
    date = DateColumn(name="d", origin="2024-01-01")
    for value in (b"a", [1], True):
        with pytest.raises(DataError, match=r"column 'd': It holds .*, not dates"):
            features(date, pl.DataFrame({"d": [value]}))


def test_columns_named_like_patterns_are_encoded(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("^k$,^n$,^d$\n a ,1,2024-01-02\nb,2.5,2024-01-03\n")
    encoding = Encoding(
        columns=(
            CategoryColumn(name="^k$", levels=("a", "b"), reference="a"),
            NumberColumn(name="^n$"),
            DateColumn(name="^d$", origin="2024-01-01"),
        )
    )
    assert features(encoding, path).tolist() == [[0, 1, 1], [1, 2.5, 2]]
