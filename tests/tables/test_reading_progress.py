"""What reading a table tells while it goes on."""

import io

import numpy as np
import polars as pl
import pytest

from linexport.tables._opening import open_table


@pytest.fixture
def frame():
    values = np.random.default_rng(0).normal(size=(150_000, 3))
    return pl.DataFrame(values, schema=["a", "b", "c"])


def _written(frame, path):
    if path.suffix == ".csv":
        frame.write_csv(path)
    else:
        frame.write_parquet(path, row_group_size=40_000)
    return path


def _progress_of(table, seen):
    seen.clear()
    rows = sum(batch.num_rows for batch in table.batches(["a", "c"]))
    assert [step.rows for step in seen] == sorted({step.rows for step in seen})
    assert seen[-1].rows == rows
    return seen[-1]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_bytes_read_add_up_to_those_of_the_files(frame, tmp_path, suffix):
    sizes = [
        _written(part, tmp_path / f"part-{number}.{suffix}").stat().st_size
        for number, part in enumerate([frame, frame.head(1000)])
    ]
    seen = []
    last = _progress_of(open_table(tmp_path, on_read=seen.append), seen)
    assert len(seen) > 2
    assert last.num_bytes == pytest.approx(sum(sizes), rel=2**-50)
    header = len(b"a,b,c\n") * len(sizes) if suffix == "csv" else 0
    assert last.bytes_read == pytest.approx(sum(sizes) - header, rel=2**-50)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_rank_tells_of_its_own_share(frame, tmp_path, suffix):
    path = _written(frame, tmp_path / f"rows.{suffix}")
    seen, totals, read = [], [], []
    for rank in range(2):
        last = _progress_of(open_table(path, on_read=seen.append).share(rank, 2), seen)
        totals.append(last.num_bytes)
        read.append(last.bytes_read)
    header = len(b"a,b,c\n") if suffix == "csv" else 0
    assert sum(read) == pytest.approx(path.stat().st_size - header, rel=2**-50)
    assert sum(totals) == pytest.approx(path.stat().st_size, rel=2**-50)


def test_the_length_of_standard_input_is_not_known(frame, monkeypatch):
    text = frame.head(10).write_csv().encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    seen = []
    last = _progress_of(open_table("-", on_read=seen.append), seen)
    assert (last.num_bytes, last.bytes_read) == (None, len(text) - len(b"a,b,c\n"))


def test_a_table_in_memory_has_no_bytes_to_read(frame):
    seen = []
    last = _progress_of(open_table(frame, on_read=seen.append), seen)
    assert (last.num_bytes, last.bytes_read) == (0, 0)
