"""Rows are taken by as many as memory holds, also where a dictionary gives a long text to all."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from peak_memory import PEAK

from linexport.tables import _spans

NUM_ROWS = 4096
LONG = "a" * (1 << 20)


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Enum(["", "seven b"])])
def test_spans_are_halved_where_there_is_much_text(monkeypatch, dtype):
    monkeypatch.setattr(_spans, "_TEXT_PER_BATCH", 14)
    text = ["seven b"] * 4 + [""] * 6 + [None] + ["seven b"] * 2
    frame = pl.DataFrame({"x": range(13), "*": pl.Series(text, dtype=dtype)})
    assert list(_spans.spans(frame, 8)) == [(0, 2), (2, 4), (4, 8), (8, 13)]
    assert list(_spans.spans(frame[:0], 8)) == [(0, 0)]
    monkeypatch.setattr(_spans, "_TEXT_PER_BATCH", 1)
    assert list(_spans.spans(frame[:3], 8)) == [(0, 1), (1, 2), (2, 3)]


def test_text_of_more_than_32_bits_is_counted():
    text = pl.Series([LONG] * NUM_ROWS, dtype=pl.Enum([LONG]))
    assert _spans._num_bytes(text) == 1 << 32


def write_parquet_of_text(table, path):
    pq.write_table(table, path, compression="zstd", store_schema=False)


WRITERS = {
    "t.parquet": pq.write_table,
    "text.parquet": write_parquet_of_text,
    "t.arrow": pyarrow.feather.write_feather,
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell")
@pytest.mark.parametrize("name", WRITERS)
def test_a_long_text_in_many_rows_is_not_written_out_for_all_of_them(tmp_path, fresh_python, name):
    """4 GiB of text, in 10 KB."""
    path = tmp_path / name
    codes = pa.array([row % 2 for row in range(NUM_ROWS)], pa.int8())
    levels = pa.DictionaryArray.from_arrays(codes, [LONG, "short"])
    numbers = pa.array([float(row % 5) for row in range(NUM_ROWS)])
    WRITERS[name](pa.table({"level": levels, "x": numbers, "y": numbers}), path)
    assert path.stat().st_size < 100_000
    found = fresh_python(f"""{PEAK}
from linexport import State, describe
level = describe({str(path)!r}).columns[0]
print(level.kind, *level.levels.values())
State(targets=["y"], features=["level", "x"], categorical=["level"]).update({str(path)!r})
print(peak())
""")
    levels, peak = found.splitlines()
    assert levels == "text 2048 2048"
    assert int(peak) < 512
