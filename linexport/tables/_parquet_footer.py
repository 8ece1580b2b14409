"""What the footer of a Parquet file tells: row groups, and where the pages of each lie.

polars reads a slice of rows without touching the row groups outside it, but does not tell where
they begin. The file's footer does: FileMetaData of parquet-format's parquet.thrift, in the compact
protocol of Apache Thrift (thrift-compact-protocol.md), of which this reads as much as it takes.
"""

import base64
from pathlib import Path
from typing import Any, NamedTuple

from linexport.errors import DataError
from linexport.tables._arrow_footer import require_small_schema

PARQUET_MAGIC = b"PAR1"
_TAIL = 8  # the footer's length in 4 bytes, little endian, and the magic number
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = (
    0, 1, 2, 3, 7, 8, 9, 10, 11, 12,
)  # fmt: skip
_INTEGERS = (4, 5, 6)
_SIZES = {_TRUE: 0, _FALSE: 0, _BYTE: 1, _DOUBLE: 8}
"""Bytes of a field of a type that is not looked at."""
_DEEPEST = 32  # parquet.thrift nests a quarter as deep; a hostile file could nest without end
_DEPTH_OF_TEXTS, _DEPTH_OF_CHUNKS = 3, 4  # of what is kept; there is much below
_SCHEMA, _NUM_ROWS, _ROW_GROUPS, _KEY_VALUES = 2, 3, 4, 5  # fields of FileMetaData
_OF_LEAF, _WIDTH, _NUM_CHILDREN = 1, 2, 5  # of SchemaElement
_CHUNKS = 1  # of RowGroup, which has _NUM_ROWS too
_META_DATA = 3  # of ColumnChunk
_FIXED = 7  # a type, whose values are as wide as its SchemaElement says; of others that means bits
_TYPE, _VALUES, _LENGTH, _START, _DICTIONARY = _OF_CHUNK = 1, 5, 7, 9, 11  # of ColumnMetaData


class Chunk(NamedTuple):
    """The pages of a column in a row group."""

    start: int
    length: int
    kind: int
    """Of its values, as parquet.thrift numbers them."""
    num_values: int
    """That are claimed of its pages."""
    width: int
    """Bytes of each, where the schema says it; 0 where the kind does."""


class PagesOfRows(NamedTuple):
    """A row group."""

    num_rows: int
    chunks: list[Chunk]


def read_footer(path: Path, source: str) -> list[PagesOfRows]:
    """Return the row groups, in the order of the file.

    Raises:
        DataError: If the footer cannot be understood, contradicts itself, or has a schema that
            polars would not get to the end of.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - _TAIL, 0))
        tail = file.read(_TAIL)
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != PARQUET_MAGIC or length > size - _TAIL:
            raise _unreadable(source)
        file.seek(size - _TAIL - length)
        reader = CompactReader(file.read(length))
    try:
        fields = reader.struct()
        _require_shallow(fields[_SCHEMA])
        widths = [leaf.get(_WIDTH, 0) for leaf in fields[_SCHEMA] if _OF_LEAF in leaf]
        total, groups = fields[_NUM_ROWS], [_group(each, widths) for each in fields[_ROW_GROUPS]]
        arrow = [pair[2] for pair in fields.get(_KEY_VALUES, ()) if pair[1] == b"ARROW:schema"]
        schemas = [base64.b64decode(schema) for schema in arrow]
        rows = [group.num_rows for group in groups]
        if sum(chunk.length for group in groups for chunk in group.chunks) > size:
            raise _unreadable(source)  # some pages are those of several columns
        if not all(isinstance(count, int) and count >= 0 for count in (total, *rows)):
            raise _unreadable(source)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(source) from error
    if sum(rows) != total:
        raise DataError(
            f"Its footer tells of {total} rows in all, but of {sum(rows)} in its row groups; write "
            "the file anew.",
            source=source,
        )
    for schema in schemas:
        require_small_schema(schema, source)
    return groups


def _group(fields: dict[int, Any], widths: list[int]) -> PagesOfRows:
    chunks = zip(fields[_CHUNKS], widths, strict=True)
    return PagesOfRows(fields[_NUM_ROWS], [_chunk(*chunk) for chunk in chunks])


def _chunk(fields: dict[int, Any], width: int) -> Chunk:
    pages = fields[_META_DATA]
    if min(pages[_START], pages[_LENGTH], pages[_VALUES], width) < 0:
        raise ValueError("pages before the file")
    # The dictionary stands first; older writers say 0 where there is none.
    dictionary = pages.get(_DICTIONARY, 0)
    start = dictionary if 0 < dictionary < pages[_START] else pages[_START]
    kind = pages[_TYPE]
    return Chunk(start, pages[_LENGTH], kind, pages[_VALUES], width if kind == _FIXED else 0)


def _require_shallow(elements: list[dict[int, int]]) -> None:
    """Raise ValueError where groups of columns nest deeper than polars' stack may be."""
    left: list[int] = []  # how many elements each group around still has
    for element in elements:
        while left and left[-1] == 0:
            left.pop()
        if left:
            left[-1] -= 1
        left.append(element.get(_NUM_CHILDREN, 0))
        if len(left) > _DEEPEST:
            raise ValueError("nested too deeply")


def _unreadable(source: str) -> DataError:
    return DataError("Its footer cannot be read; write the file anew.", source=source)


class CompactReader:
    """Reads one message of Thrift's compact protocol; IndexError where it ends too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Return a structure's fields by number, as far as they are kept."""
        fields = {}
        number = 0
        while (header := self._byte()) != _STOP:
            delta, kind = header >> 4, header & 15
            number = number + delta if delta else self._integer()
            value = self._value(kind, depth + 1)
            if depth <= _DEPTH_OF_CHUNKS or (depth == _DEPTH_OF_CHUNKS + 1 and number in _OF_CHUNK):
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
            length, start = self._varint(), self.position
            self.position += length
            return self._data[start : self.position] if depth <= _DEPTH_OF_TEXTS else None
        elif kind in _SIZES:
            self.position += _SIZES[kind]
        else:
            raise ValueError(f"unknown type {kind}")
        return None

    def _element(self, kind: int, depth: int) -> Any:
        """Read one of a list, where a truth value takes a byte; in a field, the type says it."""
        return self._value(_BYTE if kind in (_TRUE, _FALSE) else kind, depth)

    def _skip_map(self, depth: int) -> None:
        size = self._counted(self._varint())
        kinds = self._byte() if size else 0
        for _ in range(size):
            self._element(kinds >> 4, depth)
            self._element(kinds & 15, depth)

    def _list_header(self) -> tuple[int, int]:
        """Return the number of elements and their type."""
        header = self._byte()
        size = header >> 4
        return self._counted(self._varint() if size == 15 else size), header & 15

    def _counted(self, size: int) -> int:
        if size > len(self._data):  # each takes a byte at least
            raise IndexError
        return size

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
        self.position += 1
        return self._data[self.position - 1]
