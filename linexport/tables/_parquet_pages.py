"""What memory the pages of a Parquet file ask for, by their own headers.

polars unpacks a page whole, and makes as many values as its header says, whatever the footer says,
each of as many bytes as the schema says: 400 bytes of a list made 17 GB. Headers (PageHeader of
parquet-format's parquet.thrift) stand before the pages, one after the other. To read them takes a
fiftieth of the time to read the pages.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from linexport.errors import DataError
from linexport.tables._allowance import memory_allowed
from linexport.tables._parquet_footer import Chunk, CompactReader, PagesOfRows

_PER_VALUE = 16  # of dictionaries, and of lists beyond one for each row; rows are read in parts
_BYTE_ARRAY = 6  # a kind of values; polars keeps the pages that texts are in
_HEADERS = (1 << 9, 1 << 20)  # bytes, of nearly all and of any
_UNPACKED, _PACKED, _NUM_VALUES = 2, 3, 1  # fields of PageHeader, and of those below it
_DATA, _DICTIONARY, _DATA_2 = _OF_PAGE = 5, 7, 8  # of PageHeader


def memory_of(group: PagesOfRows, path: Path, source: str) -> int:
    """Return how many bytes of memory are made of a row group, beside those of its rows.

    Raises:
        DataError: If a page cannot be understood, or it is more than a file of this size is
            allowed.
    """
    size = path.stat().st_size
    allowed = memory_allowed(size)
    with path.open("rb", buffering=0) as file:
        try:
            num_bytes = _memory(file, group)
        except (AttributeError, IndexError, KeyError, OSError, TypeError, ValueError) as error:
            raise DataError(
                "The headers of its pages cannot be read; write the file anew.", source=source
            ) from error
    if num_bytes > allowed:
        raise DataError(
            f"A row group of {group.num_rows} rows takes more than the {allowed >> 20} MiB of "
            f"memory that a file of {size} bytes is allowed: write smaller ones, as by "
            "polars.scan_parquet(FILE).sink_parquet(NEW, row_group_size=100_000).",
            source=source,
        )
    return num_bytes


def _memory(file: BinaryIO, group: PagesOfRows) -> int:
    largest = texts = values = rows = 0
    for chunk in group.chunks:
        num_values = 0
        for header in _headers(file, chunk):
            data = header.get(_DATA) or header.get(_DATA_2) or {}
            num_values += data.get(_NUM_VALUES, 0)
            values += header.get(_DICTIONARY, {}).get(_NUM_VALUES, 0)
            largest = max(largest, header[_UNPACKED])
            texts += header[_UNPACKED] if chunk.kind == _BYTE_ARRAY else 0
        num_values = max(num_values, chunk.num_values)
        values += max(num_values - group.num_rows, 0)
        rows += num_values // 8 + num_values * chunk.width
    return largest + texts + values * _PER_VALUE + rows


def _headers(file: BinaryIO, chunk: Chunk) -> Iterator[dict[int, Any]]:
    start, stop = chunk.start, chunk.start + chunk.length
    while start < stop:
        header, length = _header(file, start)
        inner = (header.get(field, {}).values() for field in _OF_PAGE)
        counts = [value for value in chain(*inner) if isinstance(value, int)]
        if min(header[_UNPACKED], header[_PACKED], *counts) < 0:
            raise ValueError("a page of less than nothing")  # of which polars makes 2^64 values
        yield header
        start += length + header[_PACKED]


def _header(file: BinaryIO, start: int) -> tuple[dict[int, Any], int]:
    """Return the fields of a page's header, and how many bytes they are."""
    for most in _HEADERS:
        file.seek(start)
        reader = CompactReader(file.read(most))
        try:
            return reader.struct(), reader.position
        except IndexError:
            if most == _HEADERS[-1]:
                raise
    raise AssertionError
