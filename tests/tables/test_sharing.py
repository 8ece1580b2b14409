"""Each row of a table is read by one rank, and nobody reads another's."""

import itertools
from contextlib import suppress

import duckdb
import numpy as np
import polars as pl
import pyarrow.parquet
import pytest
from hypothesis import given, strategies as st
from reading import DROPPING
from threaded_ranks import on_ranks

from linexport.errors import ConfigError, DataError
from linexport.rows._dataset import share_dataset
from linexport.rows._inputs import as_dataset
from linexport.rows._table_rows import read_rows, training_rows
from linexport.tables import _records
from linexport.tables._opening import open_table
from linexport.tables._parquet_footer import read_footer
from linexport.tables._sharing import alone, span

RANKS = [1, 2, 3, 5, 8]
BLOCK_BYTES = 1000
every_size = pytest.mark.parametrize("num_ranks", RANKS)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(_records, "_BLOCK_BYTES", BLOCK_BYTES)


def write_parquet(path, num_rows, *, row_group_size, start=0, **options):
    numbers = np.arange(start, start + num_rows, dtype=np.float64)
    frame = pl.DataFrame({"x": numbers, "y": -numbers})
    frame.write_parquet(path, row_group_size=row_group_size, **options)


def write_csv(path, numbers, *, text=None):
    lines = [f"{number},{-number}" + ("" if text is None else f",{text}") for number in numbers]
    path.write_text("x,y" + ("" if text is None else ",note") + "\n" + "\n".join(lines) + "\n")


def numbers_of(table):
    return [batch.numbers()[:, 0] for batch in table.batches(["x", "y"])]


def shares(source, num_ranks):
    return [
        np.concatenate(numbers_of(open_table(source).share(rank, num_ranks)))
        for rank in range(num_ranks)
    ]


@given(st.integers(0, 10**6), st.integers(1, 1000))
def test_spans_follow_one_another_and_differ_by_one_at_most(total, num_ranks):
    spans = [span(total, rank, num_ranks) for rank in range(num_ranks)]
    assert spans[0][0] == 0
    assert spans[-1][1] == total
    assert all(left[1] == right[0] for left, right in itertools.pairwise(spans))
    lengths = {stop - start for start, stop in spans}
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("rank", [-1, 2])
def test_a_rank_beyond_the_last_is_refused(rank, tmp_path):
    write_parquet(tmp_path / "a.parquet", 4, row_group_size=2)
    with pytest.raises(ConfigError, match=f"There is no rank {rank} among 2"):
        open_table(tmp_path).share(rank, 2)


@every_size
def test_ranks_read_every_row_of_parquet_files_once_and_in_order(num_ranks, tmp_path):
    start = 0
    for number, rows in enumerate([10, 1, 33, 0, 20]):
        write_parquet(tmp_path / f"{number}.parquet", rows, row_group_size=7, start=start)
        start += rows
    parts = shares(tmp_path, num_ranks)
    assert np.concatenate(parts).tolist() == list(range(64))
    # No piece is longer than 7 rows: a share is off by half a piece at each end.
    assert all(abs(len(part) - 64 / num_ranks) <= 7 for part in parts)


@every_size
def test_ranks_read_every_row_of_csv_files_once_and_in_order(num_ranks, tmp_path):
    for number in range(4):
        write_csv(tmp_path / f"{number}.csv", range(number * 5, number * 5 + 5))
    parts = shares(tmp_path, num_ranks)
    assert np.concatenate(parts).tolist() == list(range(20))
    assert sum(len(part) > 0 for part in parts) == min(num_ranks, 4)


@pytest.mark.parametrize("text", ["plain " * 20, '"quoted ""twice"", and\nover two lines' + '"'])
def test_ranks_share_the_blocks_of_one_csv_file(text, tmp_path, small_blocks):
    num_rows = 3 * BLOCK_BYTES // 60
    write_csv(tmp_path / "a.csv", range(num_rows), text=text)
    parts = shares(tmp_path / "a.csv", 2)
    assert np.concatenate(parts).tolist() == list(range(num_rows))
    assert all(len(part) for part in parts)


@every_size
def test_rows_in_memory_are_shared_evenly(num_ranks):
    frame = pl.DataFrame({"x": np.arange(11.0), "y": np.arange(11.0)})
    parts = shares(frame, num_ranks)
    assert np.concatenate(parts).tolist() == list(range(11))
    assert {len(part) for part in parts} <= {11 // num_ranks, 11 // num_ranks + 1}


def test_a_rank_does_not_read_the_row_groups_of_another(tmp_path):
    """The other row groups are overwritten: whoever reads one fails."""
    path = tmp_path / "a.parquet"
    write_parquet(path, 40, row_group_size=10, compression="uncompressed")
    data = bytearray(path.read_bytes())
    metadata = pyarrow.parquet.ParquetFile(path).metadata
    for group in (0, 1, 3):
        for index in range(2):
            column = metadata.row_group(group).column(index)
            start = column.dictionary_page_offset or column.data_page_offset
            data[start : start + column.total_compressed_size] = (
                b"\xff" * column.total_compressed_size
            )
    path.write_bytes(data)
    table = open_table(path)
    assert np.concatenate(numbers_of(table.share(2, 4))).tolist() == list(range(20, 30))
    for rank in (0, 1, 3):
        with pytest.raises(DataError, match="cannot be read"):
            numbers_of(table.share(rank, 4))


def test_a_rank_does_not_parse_the_rows_of_another(tmp_path, small_blocks):
    """A row of the first half is no CSV for our header: the second half is read all the same."""
    path = tmp_path / "a.csv"
    num_rows = 4 * BLOCK_BYTES // 13
    lines = [f"{number:6d},{0:5d}" for number in range(num_rows)]
    lines[num_rows * 3 // 8] = "1,2,3,4,5"
    path.write_text("x,y\n" + "\n".join(lines) + "\n")
    second = np.concatenate(numbers_of(open_table(path).share(1, 2)))
    assert second[-1] == num_rows - 1
    with pytest.raises(DataError, match=f"row {num_rows * 3 // 8 + 1}: The header names 2"):
        numbers_of(open_table(path).share(0, 2))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_share_keeps_the_numbers_of_its_rows(kind, tmp_path, small_blocks):
    num_rows = 2 * BLOCK_BYTES // 10
    numbers = np.arange(num_rows) % 10 + 0.5
    numbers[num_rows - 5] = np.nan
    frame = pl.DataFrame({"x": numbers, "y": numbers})
    path = tmp_path / f"a.{kind}"
    if kind == "csv":
        frame.write_csv(path, float_precision=3)
    else:
        frame.write_parquet(path, row_group_size=num_rows // 4)
    rows = training_rows(open_table(path), targets="y").share(1, 2, alone)
    with pytest.raises(DataError, match=f"a.{kind}, column 'x', row {num_rows - 4}: "):
        list(rows.batches())


def test_booleans_and_numbers_in_one_column_are_found_by_the_rank_that_sees_only_the_latter(
    tmp_path, small_blocks
):
    path = tmp_path / "a.csv"
    num_rows = 2 * BLOCK_BYTES // 7
    path.write_text("x,y\n" + "true,1\n" * num_rows + "   2,3\n" * num_rows)
    with pytest.raises(DataError, match="'   2' is neither true nor false"):
        numbers_of(open_table(path).share(1, 2))


def test_standard_input_cannot_be_shared(monkeypatch, tmp_path):
    path = tmp_path / "a.csv"
    write_csv(path, range(3))
    with path.open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        with pytest.raises(DataError, match="standard input: It can be read only once"):
            open_table("-").share(0, 2)


def read_on_ranks(path, num_ranks, **options):
    def read(ranks):
        rows = training_rows(open_table(path), targets="y", **options)
        return read_rows(rows.share(ranks.rank, ranks.size, ranks.gather))

    return on_ranks(num_ranks, read)


def test_a_feature_may_be_constant_within_a_share(tmp_path):
    frame = pl.DataFrame({"x": [0.0] * 5 + [1.0] * 5, "y": np.arange(10.0)})
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=5)
    first, second = read_on_ranks(tmp_path / "a.parquet", 2)
    assert first.feature_values.flatten().tolist() == [0.0] * 5
    assert second.feature_values.flatten().tolist() == [1.0] * 5


def test_rows_dropped_are_counted_over_all_shares(tmp_path):
    frame = pl.DataFrame({"x": [1.0, None, 3.0, None], "y": [1.0, 2.0, 3.0, 4.0]})
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=2)
    datasets = read_on_ranks(tmp_path / "a.parquet", 2, config=DROPPING)
    assert [dataset.rows_dropped for dataset in datasets] == [2, 2]
    assert [dataset.num_rows for dataset in datasets] == [1, 1]


def test_no_rows_in_all_shares_are_refused_by_all(tmp_path):
    frame = pl.DataFrame({"x": [None, None, None, None], "y": [1.0, 2.0, 3.0, 4.0]})
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=2)
    for error in read_on_ranks(tmp_path / "a.parquet", 2, config=DROPPING):
        assert isinstance(error, DataError)
        assert "There are no rows after 4 were left out." in str(error)


def test_ranks_that_see_different_files_do_not_share_them(tmp_path):
    for machine, sizes in enumerate([(3, 5), (5, 3)]):
        (tmp_path / str(machine)).mkdir()
        for number, size in enumerate(sizes):
            path = tmp_path / str(machine) / f"{number}.parquet"
            write_parquet(path, size, row_group_size=2)
    errors = on_ranks(
        2,
        lambda ranks: open_table(tmp_path / str(ranks.rank)).share(ranks.rank, 2, ranks.gather),
    )
    assert all("Rank 1 sees other files than rank 0" in str(error) for error in errors)


@every_size
def test_shares_of_a_dataset_are_described_as_the_whole(num_ranks):
    generator = np.random.default_rng(1)
    whole = as_dataset(generator.normal(1e6, 1.0, (7, 2)), generator.normal(size=7))
    parts = on_ranks(
        num_ranks,
        lambda ranks: share_dataset(whole, ranks.rank, ranks.size).described(ranks.gather),
    )
    assert np.array_equal(np.concatenate([p.feature_values for p in parts]), whole.feature_values)
    columns = whole.features + whole.targets
    for part in parts:
        for mine, theirs in zip(part.features + part.targets, columns, strict=True):
            assert (mine.minimum, mine.maximum) == (theirs.minimum, theirs.maximum)
            # Either is a sum of 7 terms, each rounded thrice at most.
            rounding = 2 * 10 * 2.0**-53 * max(abs(theirs.maximum), abs(theirs.minimum))
            assert abs(mine.mean - theirs.mean) <= rounding
            assert abs(mine.standard_deviation - theirs.standard_deviation) <= rounding


def row_groups_by_pyarrow(path):
    metadata = pyarrow.parquet.ParquetFile(path).metadata
    return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]


@pytest.mark.parametrize("writer", ["polars", "pyarrow", "duckdb"])
@pytest.mark.parametrize("num_rows", [0, 1, 5000])
def test_the_footer_tells_the_row_groups_of_every_writer(writer, num_rows, tmp_path):
    path = tmp_path / "a.parquet"
    frame = pl.DataFrame(
        {
            "number": np.arange(num_rows, dtype=np.float64),
            "flag": np.arange(num_rows) % 2 == 0,
            "text": [f"row {row}" for row in range(num_rows)],
            "list": [[row, row] for row in range(num_rows)],
        }
    )
    if writer == "polars":
        frame.write_parquet(path, row_group_size=7)
    elif writer == "pyarrow":
        table = frame.to_arrow().replace_schema_metadata({"k" * 200: "v" * 20_000})
        pyarrow.parquet.write_table(table, path, row_group_size=7)
    else:
        duckdb.sql(f"copy frame to '{path}' (format parquet, row_group_size 2048)")
    assert [group.num_rows for group in read_footer(path, "a")] == row_groups_by_pyarrow(path)


@given(st.data())
def test_a_damaged_footer_is_an_error_and_never_a_crash(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "a.parquet"
    write_parquet(path, 20, row_group_size=5)
    content = bytearray(path.read_bytes())
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(start, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    rows = []
    with suppress(DataError):
        rows = [group.num_rows for group in read_footer(path, "a")]
    assert min(rows, default=0) >= 0
