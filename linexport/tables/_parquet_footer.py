"""How many rows each row group of a Parquet file holds.

polars reads a slice of rows without touching the row groups outside it, but does not tell where
they begin. The file's footer does: FileMetaData of parquet-format's parquet.thrift, in the compact
protocol of Apache Thrift (thrift-compact-protocol.md), of which this reads as much as it takes.
"""

from pathlib import Path
from typing import Any

from linexport.errors import DataError

PARQUET_MAGIC = b"PAR1"
_TAIL = 8  # the footer's length in 4 bytes, little endian, and the magic number
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = (
    0, 1, 2, 3, 7, 8, 9, 10, 11, 12,
)  # fmt: skip
_INTEGERS = (4, 5, 6)
_SIZES = {_TRUE: 0, _FALSE: 0, _BYTE: 1, _DOUBLE: 8}
"""Bytes of a field of a type that is not looked at."""
_DEEPEST = 32  # parquet.thrift nests a quarter as deep; a hostile file could nest without end
_DEPTH_OF_ROW_GROUPS = 2  # within a list within FileMetaData
_ROW_GROUPS, _NUM_ROWS = 4, 3  # fields of FileMetaData; RowGroup has the second too


def row_group_rows(path: Path, source: str) -> list[int]:
    """Return the number of rows of each row group, in the order of the file.

    Raises:
        DataError: If the footer cannot be understood, or contradicts itself.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - _TAIL, 0))
        tail = file.read(_TAIL)
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != PARQUET_MAGIC or length > size - _TAIL:
            raise _unreadable(source)
        file.seek(size - _TAIL - length)
        reader = _CompactReader(file.read(length))
    try:
        fields = reader.struct()
        total, rows = fields[_NUM_ROWS], [group[_NUM_ROWS] for group in fields[_ROW_GROUPS]]
        if not all(isinstance(count, int) and count >= 0 for count in (total, *rows)):
            raise _unreadable(source)
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(source) from error
    if sum(rows) != total:
        raise DataError(
            f"Its footer tells of {total} rows in all, but of {sum(rows)} in its row groups; write "
            "the file anew.",
            source=source,
        )
    return rows


def _unreadable(source: str) -> DataError:
    return DataError("Its footer cannot be read; write the file anew.", source=source)


class _CompactReader:
    """Reads one message of Thrift's compact protocol; IndexError where it ends too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Return the integers, lists and structures among a structure's fields, by number."""
        fields = {}
        number = 0
        while (header := self._byte()) != _STOP:
            delta, kind = header >> 4, header & 15
            number = number + delta if delta else self._integer()
            value = self._value(kind, depth + 1)
            if depth <= _DEPTH_OF_ROW_GROUPS:  # there is much below
                fields[number] = value
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        if kind in _INTEGERS:
            return self._integer()
        if kind == _STRUCT:
            return self.struct(depth)
        if kind in (_LIST, _SET):
            size, inner = self._list_header()
            return [self._element(inner, depth + 1) for _ in range(size)]
        if kind == _MAP:
            self._skip_map(depth + 1)
        elif kind == _BINARY:
            length = self._varint()
            self._position += length
        elif kind in _SIZES:
            self._position += _SIZES[kind]
        else:
            raise ValueError(f"unknown type {kind}")
        return None

    def _element(self, kind: int, depth: int) -> Any:
        """Read one of a list, where a truth value takes a byte; in a field, the type says it."""
        return self._value(_BYTE if kind in (_TRUE, _FALSE) else kind, depth)

    def _skip_map(self, depth: int) -> None:
        size = self._varint()
        kinds = self._byte() if size else 0
        for _ in range(size):
            self._element(kinds >> 4, depth)
            self._element(kinds & 15, depth)

    def _list_header(self) -> tuple[int, int]:
        """Return the number of elements and their type."""
        header = self._byte()
        size = header >> 4
        return (self._varint() if size == 15 else size), header & 15

    def _integer(self) -> int:
        zigzag = self._varint()
        return (zigzag >> 1) ^ -(zigzag & 1)

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def _byte(self) -> int:
        self._position += 1
        return self._data[self._position - 1]
