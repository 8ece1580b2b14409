"""What the pages of Parquet take is counted before they are read, of whatever wrote them."""

from decimal import Decimal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linexport.errors import DataError
from linexport.tables._parquet_footer import _chunk, read_footer
from linexport.tables._parquet_pages import memory_of

NUM_ROWS = 50_000
TABLE = pa.table(
    {
        "number": pa.array([float(row) for row in range(NUM_ROWS)]),
        "missing": pa.array([None if row % 3 else row for row in range(NUM_ROWS)]),
        "text": pa.array([f"{row} is a text" for row in range(NUM_ROWS)]),
        "level": pa.array([f"level {row % 7}" for row in range(NUM_ROWS)]),
        "list": pa.array([[row] * (row % 5) for row in range(NUM_ROWS)]),
        "decimal": pa.array([Decimal(row) / 4 for row in range(NUM_ROWS)], pa.decimal128(20, 2)),
        "long": pa.array(["long" * 5000 if row % 20_000 == 0 else "" for row in range(NUM_ROWS)]),
    }
)


def by_duckdb(path):
    rows = TABLE
    duckdb.sql(f"copy rows to '{path}' (format parquet, row_group_size 20000)")
    assert rows.num_rows == NUM_ROWS


def by_pyarrow(**options):
    return lambda path: pq.write_table(TABLE, path, row_group_size=20_000, **options)


WRITERS = {
    "polars": lambda path: pl.from_arrow(TABLE).write_parquet(path, row_group_size=20_000),
    "duckdb": by_duckdb,
    "pyarrow": by_pyarrow(),
    "pages of version 2": by_pyarrow(data_page_version="2.0", compression="zstd"),
    "no dictionaries": by_pyarrow(use_dictionary=False, compression="none"),
    "small pages": by_pyarrow(data_page_size=1000, write_page_checksum=True),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_page_of_every_writer_is_counted(tmp_path, name):
    path = tmp_path / "t.parquet"
    WRITERS[name](path)
    found = [(group.num_rows, memory_of(group, path, "t")) for group in read_footer(path, "t")]
    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    assert [num_rows for num_rows, _ in found] == [group.num_rows for group in groups]
    for (num_rows, num_bytes), group in zip(found, groups, strict=True):
        columns = [group.column(index) for index in range(group.num_columns)]
        texts = [c.total_uncompressed_size for c in columns if c.physical_type == "BYTE_ARRAY"]
        of_lists = [c.num_values - num_rows for c in columns if c.path_in_schema.startswith("list")]
        # These sizes have the headers of pages too, of which there may be a thousand.
        wide = [c.num_values for c in columns if c.physical_type == "FIXED_LEN_BYTE_ARRAY"]
        assert num_bytes >= 0.9 * sum(texts) + 16 * sum(of_lists) + 9 * sum(wide)
        assert num_bytes < 10 * sum(column.total_uncompressed_size for column in columns)


def test_a_header_that_is_none_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"x": [1.0, 2.0]}).write_parquet(path)
    data = bytearray(path.read_bytes())
    data[4:8] = b"\xff" * 4
    path.write_bytes(data)
    (group,) = read_footer(path, "t")
    with pytest.raises(DataError, match="t: The headers of its pages cannot be read; write the"):
        memory_of(group, path, "t")


@pytest.mark.parametrize(("stated", "start"), [({}, 100), ({11: 0}, 100), ({11: 40}, 40)])
def test_pages_begin_with_the_dictionary_where_there_is_one(stated, start):
    """Some writers say that it is at 0."""
    kind, length, data = {1: 5}, {5: 3, 7: 10}, {9: 100}
    assert _chunk({3: kind | length | data | stated}, 0).start == start
