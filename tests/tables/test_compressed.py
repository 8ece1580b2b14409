"""Compressed files are read as they are, in constant memory; damaged ones refused in one line."""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, strategies as st
from peak_memory import PEAK

from linexport.errors import DataError
from linexport.tables import Dialect, open_table

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESS = {"gz": gzip.compress, "zst": zstd.compress, "bz2": bz2.compress, "xz": lzma.compress}
TEXT = "x,y\n" + "".join(f"{number},{number / 8}\n" for number in range(1000))


def rows(source, **options) -> list:
    return [row for batch in open_table(source, **options).batches(["x", "y"])
            for row in batch.numbers().tolist()]  # fmt: skip


EXPECTED = [[float(number), number / 8] for number in range(1000)]


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("name", ["t.csv.{}", "t.{}", "t.csv", "t"])
def test_what_compressed_a_file_is_told_by_its_first_bytes(write, kind, name, block_bytes):
    source = write(COMPRESS[kind](TEXT.encode()), name.format(kind))
    assert rows(source) == EXPECTED
    (file,) = open_table(source).files
    assert (file.kind, file.suffix) == ("CSV", ".csv")


@pytest.mark.parametrize("kind", COMPRESS)
def test_parts_that_were_compressed_one_by_one_are_read_as_one(write, kind):
    parts = [COMPRESS[kind](TEXT[start : start + 1000].encode()) for start in range(0, 9999, 1000)]
    whole = b"".join([*parts, COMPRESS[kind](TEXT[10_000:].encode())])
    assert rows(write(whole)) == EXPECTED


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_compressed_stream_is_read_from_standard_input(write, monkeypatch, kind):
    data = COMPRESS[kind](TEXT.encode("utf-16"))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert rows("-") == EXPECTED


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_file_that_ends_too_early_is_refused(write, kind):
    source = write(COMPRESS[kind](TEXT.encode())[:-9])
    with pytest.raises(DataError, match=r"^t.csv: What \w+ compressed cannot be read to its end: "):
        rows(source)


@given(data=st.data(), kind=st.sampled_from([*COMPRESS]))
def test_a_damaged_file_is_an_error_or_text(tmp_path_factory, data, kind):
    path = tmp_path_factory.mktemp("damaged") / "t.csv"
    content = bytearray(COMPRESS[kind](TEXT.encode()))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with suppress(DataError):
        rows(path)


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("num_ranks", [1, 2, 3, 7])
def test_ranks_share_what_is_compressed_or_recoded(write, monkeypatch, kind, num_ranks):
    monkeypatch.setattr("linexport.tables._records._BLOCK_BYTES", 1000)
    monkeypatch.setattr("linexport.tables._lines._READ", 64)
    monkeypatch.setattr("linexport.tables._lines._CHUNK", 100)
    dialect = Dialect(encoding="utf-16-le", comment="#")
    text = "# made\n" + TEXT.replace("\n5,", "\n#\n5,")
    table = open_table(write(COMPRESS[kind](text.encode("utf-16-le"))), dialect=dialect)
    shares = [table.share(rank, num_ranks) for rank in range(num_ranks)]
    batches = [batch for share in shares for batch in share.batches(["x", "y"])]
    assert [row for batch in batches for row in batch.numbers().tolist()] == EXPECTED
    for batch in batches:
        if batch.num_rows:
            assert batch.numbers()[0, 0] == batch.first_row - 1
    assert sum(batch.num_bytes for batch in batches) == table.num_bytes


BOMBS = {
    "short lines": b"1,2\n" * (1 << 18),
    "one line": b"1" * (1 << 20),
    "quotes": b'"\n' * (1 << 19),
}
READ = (
    PEAK
    + """
import sys
import linexport, linexport.tables, polars
before = peak()
try:
    for batch in linexport.tables.open_table(sys.argv[1]).batches(["x"]):
        pass
except linexport.DataError as error:
    assert str(error).count("\\n") == 0
print(peak() - before)
"""
)


def peak_of(path):
    """Return by how many MiB a process grows that reads a table."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "POLARS_MAX_THREADS": "2",
    }
    run = subprocess.run(
        [sys.executable, "-c", READ, str(path)], capture_output=True, text=True, env=environment,
        check=True,
    )  # fmt: skip
    return int(run.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak")
@pytest.mark.parametrize("case", BOMBS)
def test_memory_does_not_grow_with_what_a_file_holds(tmp_path, case):
    """It is 1 GiB. Read ahead are 96 MiB; blocks have 8 MiB, and a record 16 at most."""
    path = tmp_path / "bomb.csv.gz"
    member = gzip.compress(BOMBS[case])
    path.write_bytes(gzip.compress(b"x,y\n") + member * 1024)
    assert peak_of(path) < 512  # half of it


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak")
@pytest.mark.parametrize("value", [None, 1.0])
def test_memory_does_not_grow_with_a_row_group_of_next_to_nothing(tmp_path, value):
    """It has 1 GiB of numbers, alike or missing, in some 100 KB."""
    path = tmp_path / "bomb.parquet"
    column = pl.Series("x", [value], dtype=pl.Float64).new_from_index(0, 2**27)
    pl.DataFrame([column]).write_parquet(path, row_group_size=2**27)
    assert path.stat().st_size < 2**20
    assert peak_of(path) < 512


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak")
def test_memory_is_one_record_batch(tmp_path):
    """It has 192 MiB in one, and another one is not made of it."""
    path = tmp_path / "t.arrow"
    zeros = pl.Series("x", [0.0]).new_from_index(0, 24 << 20)
    pl.DataFrame([zeros]).write_ipc(path, compression="zstd", record_batch_size=24 << 20)
    assert path.stat().st_size < 2**16
    assert peak_of(path) < 2 * 192


def test_parts_of_a_directory_may_be_compressed(tmp_path):
    for number, kind in enumerate(COMPRESS):
        (tmp_path / f"{number}.csv.{kind}").write_bytes(COMPRESS[kind](TEXT.encode()))
    (tmp_path / "0.csv.md5").write_text("no data")
    assert rows(tmp_path) == EXPECTED * 4
    names = [file.name.with_suffix(file.suffix).name for file in open_table(tmp_path).files]
    assert names == ["0.csv", "1.csv", "2.csv", "3.csv"]
