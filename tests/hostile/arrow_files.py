"""Arrow IPC files of a few kilobytes that take gigabytes where they are read as they say."""

import io
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_STRUCT, _FLOATING_POINT = 13, 3


def arrow_bombs() -> Iterator[tuple[str, str, bytes]]:
    """Yield names, what must be said, and files that ask for too much."""
    import numpy as np
    import pyarrow as pa

    batch, footer = r"A record batch of \d+ rows takes more", "its footer and its dictionaries hold"
    yield "batch.arrow", batch, _file(np.zeros(2**24), "zstd")  # of 384 MiB
    few = _file(np.zeros(1000), "zstd")
    yield "claim.arrow", batch, few.replace(_number(8000), _number(2**40))
    none = _file(pa.nulls(999))
    yield "nulls.arrow", batch, none.replace(_number(999), _number(2**30))
    # Offsets of 4 bytes, of which polars makes 16 each.
    offsets, no_bytes = np.zeros(2**23 + 1, np.int32), pa.py_buffer(b"")
    texts = pa.Array.from_buffers(pa.string(), 2**23, [None, pa.py_buffer(offsets), no_bytes])
    yield "texts.arrow", batch, _file(texts, "zstd")
    long = pa.py_buffer(np.zeros(2**29, np.uint8))
    ends = pa.py_buffer(np.array([0, 2**29]))
    value = pa.Array.from_buffers(pa.large_string(), 1, [None, ends, long])
    codes = pa.array([0], pa.int8())
    yield "values.arrow", footer, _file(pa.DictionaryArray.from_arrays(codes, value), "zstd")
    a_list = pa.array([[0.0] * 1000])
    lists = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int8()), a_list)
    yield "lists.arrow", "Values of its type cannot be read", _file(lists, "zstd")
    yield "unions.arrow", "Values of its type cannot be read", _file(_union())
    yield "fields.arrow", footer, _Footer().file_of_fields(20, 8)  # 20**8
    yield (
        "deep.arrow",
        "footer or a message is damaged",
        _Footer().file_of_fields(1, 10_000),
    )
    yield "words.arrow", footer, _Footer().of_long_words(2**19, 1000)  # 512 MiB
    yield "negative.arrow", "footer or a message", few.replace(_number(8000), _number(-2))


def shared_schema(width: int, depth: int) -> bytes:
    """Return a schema, as Parquet keeps it, of fields within fields, of which one is all."""
    return _Footer().schema_of_fields(width, depth)


def _number(value: int) -> bytes:
    return struct.pack("<q", value)


def _union() -> "pa.Array":
    import pyarrow as pa

    return pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1.0])])


def _file(column: Any, compression: str | None = None) -> bytes:
    """Return a file of one record batch; zeros that NumPy has not touched take no memory."""
    import pyarrow as pa

    batch = pa.record_batch({name: pa.array(column) for name in ("x1", "x2", "y")})
    file = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(file, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return file.getvalue()


class _Footer:
    """A file without rows, whose tables of FlatBuffers are shared; slots as in Schema.fbs."""

    def __init__(self) -> None:
        import flatbuffers

        self._builder = flatbuffers.Builder(0)

    def file_of_fields(self, width: int, depth: int) -> bytes:
        return self._file([self._nested(width, depth)])

    def schema_of_fields(self, width: int, depth: int) -> bytes:
        schema = self._table({1: self._list([self._nested(width, depth)])})
        self._builder.Finish(self._table({2: schema}, header=1))
        return bytes(self._builder.Output())

    def _nested(self, width: int, depth: int) -> int:
        field = self._field("a")
        for _ in range(depth):
            field = self._table(
                {0: self._text("a"), 3: self._table(), 5: self._list([field] * width)}, _STRUCT
            )
        return field

    def of_long_words(self, length: int, count: int) -> bytes:
        pair = self._table({0: self._text("key"), 1: self._text("v" * length)})
        return self._file([self._field("a")], self._list([pair] * count))

    def _field(self, name: str) -> int:
        self._builder.StartObject(1)
        self._builder.PrependInt16Slot(0, 2, 0)  # double precision
        kind = self._builder.EndObject()
        return self._table({0: self._text(name), 3: kind, 5: self._list([])}, _FLOATING_POINT)

    def _table(self, slots: dict[int, int] | None = None, kind: int = 0, header: int = 0) -> int:
        self._builder.StartObject(7)
        for slot, place in (slots or {}).items():
            self._builder.PrependUOffsetTRelativeSlot(slot, place, 0)
        self._builder.PrependUint8Slot(1, header, 0)
        self._builder.PrependUint8Slot(2, kind, 0)
        return self._builder.EndObject()

    def _text(self, text: str) -> int:
        return self._builder.CreateString(text)

    def _list(self, places: list[int], size: int = 4) -> int:
        self._builder.StartVector(size, len(places), size)
        for place in reversed(places):
            self._builder.PrependUOffsetTRelative(place)
        return self._builder.EndVector()

    def _file(self, fields: list[int], words: int = 0) -> bytes:
        slots = {1: self._list(fields)} | ({2: words} if words else {})
        schema, no_blocks = self._table(slots), self._list([], 8)
        self._builder.Finish(self._table({1: schema, 2: no_blocks, 3: no_blocks}))
        footer = bytes(self._builder.Output())
        return b"ARROW1\0\0" + footer + struct.pack("<i", len(footer)) + b"ARROW1"
