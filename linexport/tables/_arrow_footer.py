"""How many rows each record batch of an Arrow IPC file holds, and what memory to read it takes.

polars reads a record batch whole, whatever it unpacks to, and does not tell where one begins. The
file's footer and messages do: tables of FlatBuffers ("FlatBuffers Internals"), as Arrow's
format/File.fbs, Message.fbs and Schema.fbs have them. Any number of tables may hold the same one,
so that a thousand bytes stand for 20**8 columns. polars makes all of them, so they are counted.
"""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from linexport.errors import DataError
from linexport.tables._allowance import memory_allowed

ARROW_MAGIC = b"ARROW1"
_PER_FIELD, _PER_TEXT = 1 << 12, 1 << 6
_DEEPEST = 32  # lists within lists; polars follows 10,000 to the end of its stack
_TAIL = 10  # the footer's length in 4 bytes, little endian, and the magic number
_SCHEMA, _DICTIONARIES, _RECORD_BATCHES = 1, 2, 3  # fields of Footer
_FIELDS, _METADATA_OF_SCHEMA = 1, 2  # of Schema
_NAME, _KIND, _TYPE, _DICTIONARY, _CHILDREN, _METADATA = 0, 2, 3, 4, 5, 6  # of Field
_TIMESTAMP, _TIMEZONE = 10, 1  # a kind of Type, and a field of it
_DECIMAL, _BIT_WIDTH, _WIDEST = 7, 2, 128
_HEADER = 2  # of Message
_ID, _DATA = 0, 1  # of DictionaryBatch; DictionaryEncoding has the first too
_LENGTH, _NODES, _BUFFERS, _COMPRESSION = 0, 1, 2, 3  # of RecordBatch
_ADDED = {
    **dict.fromkeys((2, 3, 6, 8, 18, 23, 24, _TIMESTAMP), 0),  # int, float, bool, date, view
    **dict.fromkeys((1, 13, 16), 1),  # null, struct, list of fixed size: of which nothing is stored
    **dict.fromkeys((9, 12, 17, 21), 8),  # time, list, map: half as wide in the file
    **dict.fromkeys((4, 5, 15, 19, 20, _DECIMAL), 16),  # bytes, text, which become views; decimal
}
"""Bytes that polars makes of each row beyond what the file says, by the kind of a field."""
_CODE = 8  # bytes for which of a dictionary's values it is, however few the file has


class RecordBatch(NamedTuple):
    """What is to be read at once."""

    num_rows: int
    num_bytes: int
    """Of memory, at most."""


def record_batches(path: Path, source: str) -> list[RecordBatch]:
    """Return the record batches, in the order of the file.

    Raises:
        DataError: If they cannot be understood, or one takes more memory than a file of this size
            is allowed.
    """
    with path.open("rb") as file, _understood(source):
        return list(_Reader(file, source).batches())


def require_small_schema(message: bytes, source: str) -> None:
    """Raise DataError at a schema, as Parquet keeps it, that takes more memory than it should."""
    with _understood(source):
        message = message[8:] if message[:4] == b"\xff" * 4 else message
        schema = _present(_table(message, 0).table(_HEADER))
        _Reader(io.BytesIO(message), source).columns(schema)


@contextmanager
def _understood(source: str) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except (struct.error, KeyError, ValueError) as error:
        raise DataError(
            "It cannot be read: its footer or a message is damaged; write the file anew.",
            source=source,
        ) from error


class _Table(NamedTuple):
    """A table of FlatBuffers; its fields have numbers, and 0 stands for what is left out."""

    data: bytes
    place: int

    def _at(self, number: int) -> int:
        (back,) = struct.unpack_from("<i", self.data, self.place)
        vtable, slot = self.place - back, 4 + 2 * number
        (size,) = struct.unpack_from("<H", self.data, vtable)
        (offset,) = struct.unpack_from("<H", self.data, vtable + slot) if slot < size else (0,)
        return self.place + offset if offset else 0

    def integer(self, number: int, form: str) -> int:
        place = self._at(number)
        return int(struct.unpack_from(form, self.data, place)[0]) if place else 0

    def table(self, number: int) -> "_Table | None":
        place = self._at(number)
        return _table(self.data, place) if place else None

    def vector(self, number: int) -> tuple[int, int]:
        """Return where the elements begin, and how many there are."""
        place = self._at(number)
        if not place:
            return 0, 0
        place += struct.unpack_from("<I", self.data, place)[0]
        return place + 4, struct.unpack_from("<I", self.data, place)[0]

    def text(self, number: int) -> str:
        start, length = self.vector(number)
        return self.data[start : start + length].decode(errors="replace")

    def tables(self, number: int) -> "Iterator[_Table]":
        start, count = self.vector(number)
        return (_table(self.data, start + 4 * index) for index in range(count))

    def structs(self, number: int, form: str) -> Iterator[tuple[Any, ...]]:
        start, count = self.vector(number)
        found = self.data[start : start + count * struct.calcsize(form)]
        if len(found) < count * struct.calcsize(form):
            raise ValueError("cut off")
        return struct.iter_unpack(form, found)


def _table(data: bytes, place: int) -> _Table:
    return _Table(data, place + struct.unpack_from("<I", data, place)[0])


class _Reader:
    """Counts what is asked for while it reads."""

    def __init__(self, file: BinaryIO, source: str) -> None:
        self._file, self._source = file, source
        self._size = file.seek(0, 2)
        self._allowed = memory_allowed(self._size)
        self._held = 0  # by the schema and the dictionaries, whichever batch is read
        self._values: dict[int, int] = {}  # bytes that are added to each value of a dictionary

    def batches(self) -> Iterator[RecordBatch]:
        footer = self._footer()
        nodes = self.columns(_present(footer.table(_SCHEMA)))
        dictionaries, batches = (
            list(footer.structs(kind, "<qi4xq")) for kind in (_DICTIONARIES, _RECORD_BATCHES)
        )
        parts = (*dictionaries, *batches)
        if sum(_counted(head) + _counted(body) for _, head, body in parts) > self._size:
            raise ValueError("parts that overlap")
        for block in dictionaries:
            message = self._message(*block[:2])
            values = [self._values[message.integer(_ID, "<q")]]
            self._hold(self._memory(_present(message.table(_DATA)), values, block))
        for block in batches:
            batch = self._message(*block[:2])
            num_rows = batch.integer(_LENGTH, "<q")
            num_bytes = self._memory(batch, nodes, block)
            if self._held + num_bytes > self._allowed:
                raise DataError(
                    f"A record batch of {num_rows} rows takes more than the {self._allowed >> 20} "
                    f"MiB of memory that a file of {self._size} bytes is allowed: write smaller "
                    "ones, as by polars.scan_ipc(FILE).sink_ipc(NEW, compression='zstd').",
                    source=self._source,
                )
            yield RecordBatch(num_rows, num_bytes)

    def columns(self, schema: _Table) -> list[int]:
        """Return what is added to each row of the columns, and of what is within them."""
        self._hold_texts(schema, _METADATA_OF_SCHEMA)
        return self._nodes(schema, _FIELDS)

    def _footer(self) -> _Table:
        tail = self._read(self._size - _TAIL, _TAIL)
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != ARROW_MAGIC:
            raise ValueError("cut off")
        return _table(self._read(self._size - _TAIL - length, length), 0)

    def _message(self, start: int, length: int) -> _Table:
        """Return the batch that a message holds."""
        message = self._read(start, length).removeprefix(b"\xff" * 4)  # not before Arrow 0.15
        if int.from_bytes(message[:4], "little") > len(message) - 4:
            raise ValueError("cut off")
        return _present(_table(message[4:], 0).table(_HEADER))

    def _nodes(self, parent: _Table, children: int, depth: int = 0) -> list[int]:
        """Return what is added to each row of the fields that a batch has, in their order."""
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        nodes = []
        for field in parent.tables(children):
            self._hold_words(field)
            found = [self._added(field), *self._nodes(field, _CHILDREN, depth + 1)]
            dictionary = field.table(_DICTIONARY)
            if dictionary and len(found) > 1:  # polars writes a list out for each row
                raise self._unknown(field)
            if dictionary:
                self._values[dictionary.integer(_ID, "<q")] = found[0]
                found = [_CODE]
            nodes += found
        return nodes

    def _added(self, field: _Table) -> int:
        kind = field.integer(_KIND, "<B")
        is_wide = (
            kind == _DECIMAL and _present(field.table(_TYPE)).integer(_BIT_WIDTH, "<i") > _WIDEST
        )
        if kind not in _ADDED or is_wide:
            raise self._unknown(field)
        return _ADDED[kind]

    def _memory(self, batch: _Table, nodes: list[int], block: tuple[int, int, int]) -> int:
        """Return how many bytes polars makes of a batch, at most."""
        added = sum(
            _counted(num_rows) * each
            for (num_rows, _), each in zip(batch.structs(_NODES, "<qq"), nodes, strict=False)
        )
        is_packed, body = batch.table(_COMPRESSION), block[0] + block[1]
        return added + sum(
            self._unpacked(body + start, _counted(length)) if is_packed else _counted(length)
            for start, length in batch.structs(_BUFFERS, "<qq")
        )

    def _unpacked(self, start: int, length: int) -> int:
        """Return how long a buffer says that it is; polars makes no more of it."""
        if length < 8:  # there is nothing
            return 0
        (unpacked,) = struct.unpack("<q", self._read(start, 8))
        return length if unpacked == -1 else _counted(unpacked)

    def _read(self, start: int, length: int) -> bytes:
        if not 0 <= start <= start + length <= self._size:
            raise ValueError("beyond the file")
        self._file.seek(start)
        return self._file.read(length)

    def _hold_words(self, field: _Table) -> None:
        self._hold(_PER_FIELD + field.vector(_NAME)[1])
        self._hold_texts(field, _METADATA)
        if field.integer(_KIND, "<B") == _TIMESTAMP:
            self._hold(_present(field.table(_TYPE)).vector(_TIMEZONE)[1])

    def _hold_texts(self, parent: _Table, pairs: int) -> None:
        for pair in parent.tables(pairs):
            self._hold(_PER_TEXT + pair.vector(0)[1] + pair.vector(1)[1])

    def _hold(self, num_bytes: int) -> None:
        self._held += num_bytes
        if self._held > self._allowed:
            raise DataError(
                "What its footer and its dictionaries hold takes more than the "
                f"{self._allowed >> 20} MiB of memory that it is allowed; write the file anew.",
                source=self._source,
            )

    def _unknown(self, field: _Table) -> DataError:
        return DataError(
            "Values of its type cannot be read; cast them, as to float64.",
            source=self._source,
            column=field.text(_NAME),
        )


def _present(table: _Table | None) -> _Table:
    if table is None:
        raise ValueError("a part is missing")
    return table


def _counted(number: int) -> int:
    if number < 0:
        raise ValueError("a negative number")
    return number
