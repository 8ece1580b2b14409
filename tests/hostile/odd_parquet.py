"""Parquet files in which each number of the footer and of the pages' headers in turn is an odd one.

Usage: python -m hostile.odd_parquet
Has all of them read, in which no more than `hostile.trying` allows may happen.

Changes of bytes seldom get past a footer whose lengths and places must fit. Here they do:
structures of Thrift's compact protocol are read into trees, changed, and written again, with places
to suit.
"""

import copy
import io
import struct
import sys
import tempfile
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from hostile.fuzz import Found, tried
from hostile.parquet_files import fields, listed, text, zigzag

from linexport.tables._parquet_footer import CompactReader

ODD = (0, 1, -1, 7, -46, 63, 1000, 2**20, 2**31 - 1, -(2**31), 2**32, 2**40, 2**62, -(2**63))
_INTEGERS, _BINARY, _LIST, _STRUCT = (4, 5, 6), 8, 9, 12
_ROW_GROUPS, _CHUNKS, _META_DATA = 4, 1, 3
_PACKED = 3  # of a page's header
_LENGTH, _START, _DICTIONARY = 7, 9, 11  # of a chunk's
_Tree = list[list[Any]]
"""A structure's fields: number, type, value."""


class _Page(NamedTuple):
    header: _Tree
    body: bytes


def whole_files() -> Iterator[bytes]:
    """Yield small files of every kind of column, in pages of several kinds."""
    table = pa.table(
        {
            "x": [1.5, None, 3.0],
            "n": [1, 2, 3],
            "text": ["a", "b", None],
            "wide": pa.array([bytes(4)] * 3, pa.binary(4)),
            "money": pa.array([Decimal("1.25")] * 3, pa.decimal128(20, 2)),
            "on": [True, None, False],
            "many": [[1, 2], [], None],
            "y": [1, 2, 4],
        }
    )
    delta = {"n": "DELTA_BINARY_PACKED", "text": "DELTA_BYTE_ARRAY"}
    for options in (
        {},
        {"data_page_version": "2.0", "compression": "zstd"},
        {"use_dictionary": False, "column_encoding": delta, "compression": "none"},
    ):
        file = io.BytesIO()
        pq.write_table(table, file, **options)
        yield file.getvalue()


def tried_files(files: Iterable[bytes]) -> Found:
    """Have files read in a process of their own."""
    with tempfile.TemporaryDirectory() as name:
        paths = []
        for number, data in enumerate(files):
            paths.append(Path(name) / str(number))
            paths[-1].write_bytes(data)
        return tried("parquet", *paths)


def odd_files(data: bytes) -> Iterator[bytes]:
    """Yield copies of a file of one row group, in each of which one number is odd."""
    footer, pages = _opened(data)
    for place in _numbers(footer):
        for changed in _changes(footer, place):
            yield _written(changed, pages)
    for column, headers in enumerate(pages):
        for number, page in enumerate(headers):
            for place in _numbers(page.header):
                for changed in _changes(page.header, place):
                    others = [list(each) for each in pages]
                    others[column][number] = _Page(changed, page.body)
                    yield _written(_moved(footer, others), others)


def _opened(data: bytes) -> tuple[_Tree, list[list[_Page]]]:
    """Return the footer, and the pages of each column."""
    length = int.from_bytes(data[-8:-4], "little")
    footer = _Reader(data[-8 - length : -8]).tree()
    return footer, [list(_pages(data, _inner(chunk, _META_DATA))) for chunk in _chunks(footer)]


def _pages(data: bytes, chunk: _Tree) -> Iterator[_Page]:
    said = _said(chunk)
    place = min(said[_START], said.get(_DICTIONARY) or said[_START])
    end = place + said[_LENGTH]
    while place < end:
        reader = _Reader(data, place)
        header = reader.tree()
        place = reader.position + _said(header)[_PACKED]
        yield _Page(header, data[reader.position : place])


def _written(footer: _Tree, pages: list[list[_Page]]) -> bytes:
    body = b"".join(_packed(page.header) + page.body for column in pages for page in column)
    end = _packed(footer)
    return b"PAR1" + body + end + struct.pack("<I", len(end)) + b"PAR1"


def _moved(footer: _Tree, pages: list[list[_Page]]) -> _Tree:
    """Return the footer with the places where pages are now."""
    footer, place = copy.deepcopy(footer), 4
    for chunk, column in zip(_chunks(footer), pages, strict=True):
        lengths = [len(_packed(page.header)) + len(page.body) for page in column]
        meta = _inner(chunk, _META_DATA)
        has_dictionary = bool(_said(meta).get(_DICTIONARY))
        now = {
            _LENGTH: sum(lengths),
            _START: place + (lengths[0] if has_dictionary else 0),
            _DICTIONARY: place,
        }
        for field in meta:
            field[2] = now.get(field[0], field[2])
        place += sum(lengths)
    return footer


def _chunks(footer: _Tree) -> Iterator[_Tree]:
    for group in _inner(footer, _ROW_GROUPS)[1]:
        yield from _inner(group, _CHUNKS)[1]


def _said(tree: _Tree) -> dict[int, Any]:
    return {number: value for number, _, value in tree}


def _inner(tree: _Tree, number: int) -> Any:
    return _said(tree)[number]


def _numbers(value: Any, place: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Yield where the integers of a structure are."""
    for index, (_, kind, inner) in enumerate(value):
        yield from _numbers_of(kind, inner, (*place, index, 2))


def _numbers_of(kind: int, value: Any, place: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if kind in _INTEGERS:
        yield place
    elif kind == _STRUCT:
        yield from _numbers(value, place)
    elif kind == _LIST:
        for index, element in enumerate(value[1]):
            yield from _numbers_of(value[0], element, (*place, 1, index))


def _changes(tree: _Tree, place: tuple[int, ...]) -> Iterator[_Tree]:
    for odd in ODD:
        changed: Any = copy.deepcopy(tree)
        inner = changed
        for step in place[:-1]:
            inner = inner[step]
        if inner[place[-1]] != odd:
            inner[place[-1]] = odd
            yield changed


def _packed(tree: _Tree) -> bytes:
    return fields(*((number, kind, _value(kind, value)) for number, kind, value in tree))


def _value(kind: int, value: Any) -> bytes:
    if kind in _INTEGERS:
        return zigzag(value)
    if kind == _STRUCT:
        return _packed(value)
    if kind == _LIST:
        return listed(value[0], [_value(value[0], element) for element in value[1]])
    return text(value) if kind == _BINARY else value


class _Reader(CompactReader):
    """Keeps all that there is, with its type."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        super().__init__(data)
        self.position = position

    def tree(self) -> _Tree:
        found, number = [], 0
        while header := self._byte():
            number += header >> 4 or self._integer() - number
            found.append([number, header & 15, self._any(header & 15)])
        return found

    def _any(self, kind: int, *, in_list: bool = False) -> Any:
        if kind == _STRUCT:
            return self.tree()
        if kind == _LIST:
            size, inner = self._list_header()
            return [inner, [self._any(inner, in_list=True) for _ in range(size)]]
        start = self.position
        value = self._element(kind, 0) if in_list else self._value(kind, 0)
        return value if kind in (*_INTEGERS, _BINARY) else self._data[start : self.position]


def main() -> None:
    """Try all, and print how many were read and refused."""
    has_faults = False
    for data in whole_files():
        found = tried_files(odd_files(data))
        print(f"{found.tally.inputs} tried, {found.tally.accepted} read", found.fault, flush=True)
        has_faults = has_faults or bool(found.fault)
    sys.exit(has_faults)


if __name__ == "__main__":
    main()
