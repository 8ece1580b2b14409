"""Columns that number the rows are left out, refused or warned of, unless they are named."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import linexport
from linexport.errors import DataError
from linexport.pipeline import read_data


@pytest.fixture
def frame():
    random = np.random.default_rng(3)
    frame = pd.DataFrame(random.normal(size=(12, 2)), columns=["a", "b"])
    frame["y"] = 2 * frame.a - frame.b + random.normal(size=12)
    return frame


def _features(fit):
    return fit.model.feature_names


INDEXES = {
    "without a name": (lambda f: f[f.a > -0.5], "__index_level_0__"),
    "with a name": (lambda f: f.set_index(pd.Index([7.0, *range(11)], name="id")), "id"),
}


@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.parametrize("stream", [False, True])
def test_the_index_that_pandas_wrote_is_left_out_with_a_line(frame, tmp_path, index, stream):
    change, name = INDEXES[index]
    change(frame).to_parquet(path := tmp_path / "t.parquet")
    rows = read_data(path, targets="y", stream=stream)
    fit = linexport.train(rows)
    assert _features(fit) == ("a", "b")
    assert fit.warnings == (
        f"The column '{name}' is left out: pandas wrote it as the index of the rows. To use it, "
        "name the features with --features.",
    )
    named = linexport.train(read_data(path, targets="y", features=["a", name]))
    assert (_features(named), named.warnings) == (("a", name), ())


def test_the_index_is_left_out_of_tables_in_memory_too(frame, tmp_path):
    indexed = frame.set_index(pd.Index(range(0, 120, 10), name="id").astype("f8"))
    indexed.to_parquet(tmp_path / "t.parquet")
    for table in (indexed, pa.Table.from_pandas(indexed), pq.read_table(tmp_path / "t.parquet")):
        assert _features(linexport.train(table, "y")) == ("a", "b")


def test_what_pandas_did_not_write_names_no_index(frame, tmp_path):
    table = pa.Table.from_pandas(frame)
    for metadata in (b"", b"no JSON", b"[]", b'{"index_columns": 3}', b"[" * 10**5):
        pq.write_table(table.replace_schema_metadata({b"pandas": metadata}), tmp_path / "t.parquet")
        rows = read_data(tmp_path / "t.parquet", targets="y")
        assert [column.name for column in rows.features] == ["a", "b"]


NAMES = {
    "Unnamed: 0": ("'Unnamed: 0' is what pandas", "--exclude 'Unnamed: 0'"),
    "": ("A column without a name is what pandas or R", "--exclude ''"),
    "rownames": ("'rownames' is what R", "--exclude rownames"),
    "__index_level_0__": ("'__index_level_0__' is what pandas", "--exclude __index_level_0__"),
}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_named_as_row_numbers_is_refused_unless_it_is_named(write, name):
    first, option = NAMES[name]
    path = write(f"{name},a,my b,y\n7,1,2,3\n9,2,2,5\n8,3,4,5\n5,4,4,9\n")
    with pytest.raises(DataError) as caught:
        read_data(path, targets="y")
    assert str(caught.value) == (
        f"{path}: {first} writes of row numbers, which are no data: leave it out with {option}, or "
        "name the features with --features 'a,my b'."
    )
    excluded = read_data(path, targets="y", exclude=name)
    assert [column.name for column in excluded.features] == ["a", "my b"]
    if name:
        named = read_data(path, targets="y", features=[name, "a"])
        assert [column.name for column in named.features] == [name, "a"]


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("way", ["in memory", "stream", "test rows", "sgd"])
def test_what_counts_the_rows_is_warned_of(frame, tmp_path, first, way):
    counted = frame.assign(**{"the id": range(first, first + len(frame))})
    pl.DataFrame(counted).write_csv(path := tmp_path / "t.csv")
    exported = linexport.train_and_export(
        read_data(path, targets="y", stream=way == "stream"),
        tmp_path / "bundle",
        solver="sgd" if way == "sgd" else "lstsq",
        test_fraction=0.25 if way == "test rows" else 0.0,
    )
    said = [line for line in exported.warnings if "row numbers" in line]
    assert said == [
        f"The feature 'the id' holds the numbers {first} to {first + 11}, once each, as row "
        "numbers do: if it is no data, leave it out with --exclude 'the id'."
    ]


@pytest.mark.parametrize("way", ["in memory", "stream", "test rows", "sgd"])
def test_dates_from_day_to_day_are_no_row_numbers(frame, tmp_path, way):
    dated = frame.assign(when=pd.date_range("2024-01-01", periods=len(frame)).strftime("%Y-%m-%d"))
    pl.DataFrame(dated).write_csv(path := tmp_path / "t.csv")
    exported = linexport.train_and_export(
        read_data(path, targets="y", date="when=days-since:2024-01-01", stream=way == "stream"),
        tmp_path / "bundle",
        solver="sgd" if way == "sgd" else "lstsq",
        test_fraction=0.25 if way == "test rows" else 0.0,
    )
    assert exported.model.features[2].name == "when"
    assert not [line for line in exported.warnings if "row numbers" in line]


@pytest.mark.parametrize("column", ["a", "y"])
def test_the_usual_number_for_no_value_is_warned_of(frame, tmp_path, column):
    frame.loc[[2, 5], column] = -9999.0
    (warning,) = linexport.train(frame, "y").warnings
    assert warning.startswith(f"The smallest value of '{column}' is -9999, which often stands for")
    frame.to_csv(tmp_path / "t.csv", index=False)
    dialect = linexport.Dialect(null_values=("-9999",))
    rows = linexport.read_data(tmp_path / "t.csv", targets="y", missing="drop", dialect=dialect)
    fit = linexport.train(rows)
    assert (fit.record.rows, fit.warnings) == (10, ())


def test_what_merely_looks_like_a_count_is_not_warned_of(frame):
    almost = [*range(11), 10.5]
    for values in (almost, range(2, 14), [0, 1] * 6):
        fit = linexport.train(frame.assign(t=list(values)), "y")
        assert not [line for line in fit.warnings if "row numbers" in line]
    alone = linexport.train(pd.DataFrame({"t": range(12), "y": frame.y}), "y")  # a trend
    named = linexport.train(read_data(frame.assign(t=range(12)), targets="y", features="a,t"))
    assert (alone.warnings, named.warnings) == ((), ())


@pytest.mark.parametrize("way", ["in memory", "stream", "test rows", "sgd"])
def test_a_row_of_totals_is_warned_of(tmp_path, way):
    """Rounded as a spreadsheet shows it; the column that it leaves blank is filled."""
    random = np.random.default_rng(4)
    rows = pl.DataFrame({"area": random.uniform(20, 90, 40), "age": random.integers(0, 9, 40)})
    rows = rows.with_columns(price=3 * pl.col("area") + pl.col("age"))
    total = (
        rows.select("area", age=pl.lit(None, pl.Int64), price="price")
        .sum()
        .select("area", pl.lit(None, pl.Int64).alias("age"), "price")
    )
    path, bundle = tmp_path / "t.csv", tmp_path / "bundle"
    settings = {"targets": "price", "missing": "zero", "stream": way == "stream"}

    def warned(table):
        table.write_csv(path)
        exported = linexport.train_and_export(
            read_data(path, **settings),
            bundle,
            solver="sgd" if way == "sgd" else "lstsq",
            test_fraction=0.25 if way == "test rows" else 0.0,
            overwrite=True,
        )
        return [line for line in exported.warnings if "totals" in line]

    assert warned(pl.concat([rows, total.with_columns(pl.col("price").round(2))])) == [
        "The largest value of each of 'price', 'area' is the sum of all others: if that is a row "
        "of totals, delete it."
    ]
    assert warned(rows) == []
    assert warned(pl.concat([rows, total.with_columns(price=1.0)])) == []  # a feature's alone


def test_two_ones_among_zeros_are_no_total():
    rows = np.array([[1.0, 0], [0, 1], [1, 0], [0, 0], [0, 0], [0, 0]])
    assert linexport.train(rows, [1.0, 0, 1, 0, 0, 0]).warnings == ()
