"""What the columns of a table are found to be."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

import linexport
from linexport.errors import DataError
from linexport.tables import MOST_LEVELS

TEXTS = {
    "number": ["1", "-2.5", "1e3", ".5", " 7 ", "1."],
    "boolean": ["true", "False", "TRUE"],
    "number with a comma": ["1,5", "2,25", "-0,125", "1,234", ",5"],
    "number with thousands separators": ["1.234,5", "1,234,567", "1 234,5", "1,234.50", "1'234"],
    "number with a sign": [
        "5%",
        "$1,234.50",
        "3 €",
        "-£2.5",
        "5,5 %",
        "1,234.5 EUR",
        "CHF 20",
        "₹5",
        "(2)",
        "($1,234.50)",
        "$ (5)",
        "1.234,50-",
        "5- EUR",
        "\u22125",
    ],
    "date": ["2024-01-05", "2024-1-5", "2024/01/05", "2024-01-05 10:00:00.5", "2024-01-05T10:00Z"],
    "date in another form": ["5.1.2024", "1/5/24", "2024-01-05T25:00:00Z", "2024-02-30"],
    "time": ["10:00", "23:59:59", "9:30 pm"],
    "text": ["a", "3 rooms", "1-2", "2024", "12:3"],
    "empty": ["", "NA", "null"],
}


@pytest.mark.parametrize("kind", TEXTS)
def test_text_is_known_by_what_its_values_have_in_common(kind):
    for value in TEXTS[kind]:
        if (kind, value) == ("text", "2024"):  # a number, among others
            continue
        (column,) = linexport.describe(pl.DataFrame({"c": [value, value]})).columns
        assert (value, column.kind) == (value, kind)
    (column,) = linexport.describe({"c": TEXTS[kind]}).columns
    assert (column.kind, column.others) == (kind, 1 if kind == "text" else 0)


def test_typed_columns_are_known_by_their_type():
    day = dt.date(2024, 1, 5)
    frame = pl.DataFrame({
        "whole": [1, None, 3],
        "float": [0.5, float("nan"), None],
        "flag": [True, None, False],
        "day": [day, day, None],
        "clock": [dt.time(1), None, None],
        "list": [[1], [2], None],
        "none": pl.Series([None] * 3, dtype=pl.Null),
        "level": pl.Series(["a", "b", "a"], dtype=pl.Categorical),
    })  # fmt: skip
    found = {column.name: column for column in linexport.describe(frame).columns}
    kinds = {name: column.kind for name, column in found.items()}
    assert kinds == {
        "whole": "number", "float": "number", "flag": "boolean", "day": "date", "clock": "time",
        "list": "nested", "none": "empty", "level": "text",
    }  # fmt: skip
    assert [found[n].missing for n in ("whole", "float", "flag", "none")] == [1, 2, 1, 3]
    assert (found["whole"].minimum, found["whole"].maximum) == (1, 3)
    assert found["float"].is_constant
    assert found["level"].levels == {"a": 2, "b": 1}


def test_what_differs_from_the_rest_of_a_column_is_counted_and_shown():
    (column,) = linexport.describe({"c": [*map(str, range(20)), "??", "n.a.", "??"]}).columns
    assert (column.kind, column.others, column.examples) == ("number", 3, ("??", "n.a."))
    assert not column.is_usable


def test_one_look_at_batches_and_files_is_one_look_at_all_rows(tmp_path):
    random = np.random.default_rng(1)
    frame = pl.DataFrame({
        "x": random.normal(size=200_000),
        "many": random.integers(0, MOST_LEVELS + 1, 200_000).astype(str),
        "few": random.integers(0, MOST_LEVELS, 200_000).astype(str),
    })  # fmt: skip
    frame[:50_000].write_csv(tmp_path / "a.csv")
    frame[50_000:].write_csv(tmp_path / "b.csv")
    found = linexport.describe([tmp_path / "a.csv", tmp_path / "b.csv"])
    x, many, few = found.columns
    assert (found.rows, x.rows) == (200_000, 200_000)
    assert (x.minimum, x.maximum) == (frame["x"].min(), frame["x"].max())
    assert many.levels is None
    counts = dict(frame["few"].value_counts().iter_rows())
    assert few.levels == counts
    assert list(few.levels.values()) == sorted(counts.values(), reverse=True)


def test_a_table_without_rows_has_columns(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n")
    found = linexport.describe(tmp_path / "t.csv")
    assert [(c.name, c.kind, c.rows) for c in found.columns] == [
        ("a", "empty", 0),
        ("b", "empty", 0),
    ]


def test_values_without_text_have_no_levels():
    values = {"took": [dt.timedelta(days=1), None], "raw": [b"\xff", b"a"]}
    took, raw = linexport.describe(pl.DataFrame(values)).columns
    assert (took.kind, took.missing, took.levels) == ("time", 1, None)
    assert (raw.kind, raw.levels) == ("nested", None)


@pytest.mark.parametrize("kind", [pl.Date, pl.Datetime("us"), pl.Datetime("us", "Europe/Paris")])
def test_a_date_of_no_calendar_is_said(kind):
    last = pl.Series("d", [2**31 - 1], pl.Int32) if kind == pl.Date else pl.Series("d", [2**62])
    with pytest.raises(DataError, match=r"column 'd': It cannot be read: .*out.of.range"):
        linexport.describe(pl.DataFrame([last.cast(kind)]))


@pytest.mark.parametrize("table", [{}, pl.DataFrame(), "none.jsonl", "none.arrow"])
def test_a_table_of_no_columns_is_said(table, write):
    write("{}\n{}\n", "none.jsonl")
    pl.DataFrame().write_ipc("none.arrow")
    with pytest.raises(DataError, match=r": It has no columns\.$"):
        linexport.describe(table)


@pytest.mark.parametrize(
    ("cells", "orders", "days"),
    [
        (["05/01/2024", "2.3.2024"], ("dmy", "mdy"), ("2024-01-05", "2024-03-02")),
        (["05/01/2024", "31.3.2024"], ("dmy",), ("2024-01-05", "2024-03-31")),
        (["31/01/2024", "2.28.2024"], (), ("2024-01-31", "2024-02-28")),
        (["01/01/0000", "0000-01-01"], (), ("", "")),
        (["05/01/2024", "2024-03-02"], ("dmy", "mdy"), ("2024-01-05", "2024-03-02")),
        (["30/02/2024", "5/1/24"], (), ("", "")),
    ],
)
def test_dates_are_told_with_the_orders_that_read_all_of_them(tmp_path, cells, orders, days):
    (table := tmp_path / "t.csv").write_text("a,b\n" + ",".join(cells) + "\n")
    found = linexport.describe(table)
    assert found.date_orders == orders
    assert tuple(column.first_day for column in found.columns) == days
    assert ("--date-order" in str(found)) == bool(orders)
