"""How many rows each row group of a Parquet file holds.

polars reads a slice of rows without touching the row groups outside it, but does not tell where
they begin. The file's footer does: FileMetaData of parquet-format's parquet.thrift, in the compact
protocol of Apache Thrift (thrift-compact-protocol.md), of which this reads as much as it takes.
"""

from collections.abc import Callable
from pathlib import Path

from linexport.errors import DataError
from linexport.tables._opening import PARQUET_MAGIC

_TAIL = 8  # the footer's length in 4 bytes, little endian, and the magic number
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = (
    0, 1, 2, 3, 7, 8, 9, 10, 11, 12,
)  # fmt: skip
_INTEGERS = (4, 5, 6)
_DEEPEST = 32  # parquet.thrift nests a quarter as deep; a hostile file could nest without end
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
        rows, total = reader.rows()
    except (IndexError, ValueError) as error:
        raise _unreadable(source) from error
    if min(rows, default=0) < 0:
        raise _unreadable(source)
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

    def rows(self) -> tuple[list[int], int]:
        """Read FileMetaData: the rows of each row group, and of the file."""
        rows: list[int] = []
        total = 0

        def read_row_group() -> None:
            def read_field(number: int, kind: int) -> None:
                if number == _NUM_ROWS and kind in _INTEGERS:
                    rows.append(self._integer())
                else:
                    self._skip(kind, depth=0)

            self._struct(read_field)

        def read_field(number: int, kind: int) -> None:
            nonlocal total
            if number == _ROW_GROUPS and kind == _LIST:
                for _ in range(self._list_header()[0]):
                    read_row_group()
            elif number == _NUM_ROWS and kind in _INTEGERS:
                total = self._integer()
            else:
                self._skip(kind, depth=0)

        self._struct(read_field)
        return rows, total

    def _struct(self, read_field: Callable[[int, int], None]) -> None:
        number = 0
        while (header := self._byte()) != _STOP:
            delta, kind = header >> 4, header & 15
            number = number + delta if delta else self._integer()
            read_field(number, kind)

    def _skip(self, kind: int, *, depth: int) -> None:
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        if kind in _INTEGERS:
            self._varint()
        elif kind == _BINARY:
            self._advance(self._varint())
        elif kind in (_BYTE, _DOUBLE):
            self._advance(1 if kind == _BYTE else 8)
        elif kind == _STRUCT:
            self._struct(lambda _, inner: self._skip(inner, depth=depth + 1))
        elif kind in (_LIST, _SET):
            size, inner = self._list_header()
            for _ in range(size):
                self._skip_element(inner, depth=depth + 1)
        elif kind == _MAP:
            self._skip_map(depth=depth + 1)
        elif kind not in (_TRUE, _FALSE):  # a boolean field is its own value
            raise ValueError(f"unknown type {kind}")

    def _skip_map(self, *, depth: int) -> None:
        size = self._varint()
        kinds = self._byte() if size else 0
        for _ in range(size):
            self._skip_element(kinds >> 4, depth=depth)
            self._skip_element(kinds & 15, depth=depth)

    def _skip_element(self, kind: int, *, depth: int) -> None:
        if kind in (_TRUE, _FALSE):  # unlike a field, an element takes a byte
            kind = _BYTE
        self._skip(kind, depth=depth)

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

    def _advance(self, count: int) -> None:
        self._position += count
