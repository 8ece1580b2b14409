"""Arrow IPC is read a record batch at a time, each once, after what it takes has been counted."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from linexport.errors import DataError
from linexport.tables import _frames, _spans, open_table
from linexport.tables._arrow_footer import record_batches

NUM_ROWS = 1000
COLUMNS = {
    "numbers": pa.array(np.arange(NUM_ROWS) / 8),
    "missing": pa.array([None if row % 3 else row for row in range(NUM_ROWS)]),
    "flags": pa.array([row % 2 == 0 for row in range(NUM_ROWS)]),
    "texts": pa.array([f"text {row}" * 5 for row in range(NUM_ROWS)]),
    "views": pa.array([f"text {row}" * 5 for row in range(NUM_ROWS)], pa.string_view()),
    "levels": pa.array([f"level {row % 7}" for row in range(NUM_ROWS)]).dictionary_encode(),
    "codes": pa.array([row % 7 for row in range(NUM_ROWS)]).dictionary_encode(),
    "lists": pa.array([[row, row + 1] for row in range(NUM_ROWS)]),
    "pairs": pa.array([{"a": row, "b": "text"} for row in range(NUM_ROWS)]),
    "times": pa.array(list(range(NUM_ROWS)), pa.timestamp("us", "UTC")),
    "nothing": pa.nulls(NUM_ROWS),
}


def write(path, table, compression=None, rows=NUM_ROWS):
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(path, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=rows)


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
@pytest.mark.parametrize("column", COLUMNS)
def test_rows_are_those_of_pyarrow_and_memory_no_less(tmp_path, column, compression):
    path = tmp_path / "t.arrow"
    write(path, pa.table({column: COLUMNS[column]}), compression, rows=300)
    found = record_batches(path, "t")
    assert [batch.num_rows for batch in found] == [300, 300, 300, 100]
    with pa.ipc.open_file(path) as file:
        held = [file.get_batch(index).get_total_buffer_size() for index in range(4)]
    shared = 0
    if isinstance(COLUMNS[column], pa.DictionaryArray):
        shared = COLUMNS[column].dictionary.get_total_buffer_size()
    assert all(batch.num_bytes >= size - shared for batch, size in zip(found, held, strict=True))
    batches = list(open_table(path).batches([], [column]))
    read = [value for batch in batches for value in batch.kept[column].to_list()]
    expected = pl.from_arrow(COLUMNS[column]).to_list()
    assert read == expected


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_polars_own_files_are_told_alike(tmp_path, compression):
    path = tmp_path / "t.arrow"
    frame = pl.DataFrame({name: pl.Series(values) for name, values in COLUMNS.items()})
    frame.write_ipc(path, compression=compression, record_batch_size=300)
    assert [batch.num_rows for batch in record_batches(path, "t")] == [300, 300, 300, 100]


@pytest.mark.parametrize("num_ranks", [1, 2, 5])
def test_record_batches_are_shared_and_cut(tmp_path, monkeypatch, num_ranks):
    monkeypatch.setattr(_frames, "_BYTES_PER_READ", 50)
    monkeypatch.setattr(_spans, "_VALUES_PER_BATCH", 1)
    monkeypatch.setattr(_spans, "_FEWEST_ROWS", 7)
    path = tmp_path / "t.arrow"
    pl.DataFrame({"x": np.arange(100.0)}).write_ipc(path, record_batch_size=40)
    table = open_table(path)
    shares = [table.share(rank, num_ranks) for rank in range(num_ranks)]
    batches = [batch for share in shares for batch in share.batches(["x"])]
    assert max(batch.num_rows for batch in batches) <= 7
    read = np.concatenate([batch.numbers() for batch in batches]).ravel()
    assert read.tolist() == list(range(100))
    assert all(batch.numbers()[0] == batch.first_row - 1 for batch in batches if batch.num_rows)
    assert sum(batch.num_bytes for batch in batches) == pytest.approx(path.stat().st_size)


@pytest.fixture
def reads(monkeypatch):
    """The numbers of rows that polars was asked for at once."""
    heights, collect = [], pl.LazyFrame.collect

    def counted(frame, *arguments, **options):
        found = collect(frame, *arguments, **options)
        heights.append(found.height)
        return found

    monkeypatch.setattr(pl.LazyFrame, "collect", counted)
    return heights


@pytest.mark.parametrize(("most", "expected"), [(50, [40, 40, 20]), (1 << 20, [100])])
def test_each_record_batch_is_read_once(tmp_path, monkeypatch, reads, most, expected):
    monkeypatch.setattr(_frames, "_BYTES_PER_READ", most)
    monkeypatch.setattr(_spans, "_VALUES_PER_BATCH", 1)
    monkeypatch.setattr(_spans, "_FEWEST_ROWS", 7)
    path = tmp_path / "t.arrow"
    pl.DataFrame({"x": np.arange(100.0)}).write_ipc(path, record_batch_size=40, compression="zstd")
    assert len(list(open_table(path).batches(["x"]))) > 10
    assert reads == expected


def test_record_batches_that_take_much_are_read_one_by_one(tmp_path, monkeypatch, reads):
    monkeypatch.setattr(_frames, "_FREE_READ", 1000)
    monkeypatch.setattr(_frames, "_READ_PER_BYTE", 0)
    path = tmp_path / "t.arrow"
    pl.DataFrame({"x": ["long" * 200] * 4}).write_ipc(path, record_batch_size=1)
    assert sum(batch.num_rows for batch in open_table(path).batches([], ["x"])) == 4
    assert reads == [1, 1, 1, 1]


def test_more_rows_than_polars_counts_to_are_refused_unread(tmp_path):
    path = tmp_path / "t.arrow"
    write(path, pa.table({"x": pa.chunked_array([pa.nulls(2**27)] * 32)}), rows=2**27)
    with pytest.raises(DataError, match=r"It has 4294967296 rows; a file has .* split it\.$"):
        open_table(path)


@pytest.mark.parametrize("kind", [pa.decimal256(50, 2), pa.month_day_nano_interval()])
def test_types_that_polars_panics_at_are_refused_before(tmp_path, capfd, kind):
    path = tmp_path / "t.arrow"
    write(path, pa.table({"x": pa.nulls(2, kind)}))
    with pytest.raises(DataError, match="column 'x': Values of its type cannot be read; cast"):
        open_table(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["t.arrow", "t.feather"])
@pytest.mark.parametrize("text", ["", "x,y\n1,2\n", "ARROW1" * 20])
def test_what_is_named_arrow_and_is_none_is_refused(tmp_path, monkeypatch, name, text):
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(text)
    with pytest.raises(DataError, match=rf"^{name}: It cannot be read: its footer or a message"):
        open_table(name)
