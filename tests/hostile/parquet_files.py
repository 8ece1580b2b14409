"""Parquet files of a few hundred bytes that take gigabytes where they are read as they say."""

import base64
import struct
import sys
from collections.abc import Iterator

from hostile.arrow_files import shared_schema

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_MOST = 2**31 - 1
_I32, _I64, _BINARY, _LIST, _STRUCT = 5, 6, 8, 9, 12
_OPTIONAL, _REPEATED = 1, 2
_DOUBLE, _TEXT, _FIXED, _LISTS = 5, 6, 7, 3
_ZSTD = 6
_NAMES = ("x1", "x2", "y")


def parquet_bombs() -> Iterator[tuple[str, str, bytes]]:
    """Yield names, what must be said, and files that ask for too much."""
    group = r"A row group of \d+ rows takes more"
    leaves = [_element(name, _OPTIONAL, kind=_DOUBLE) for name in _NAMES]
    lists = [
        element
        for name in _NAMES
        for element in (
            _element(name, _OPTIONAL, children=1, converted=_LISTS),
            _element("list", _REPEATED, children=1),
            _element("element", _OPTIONAL, kind=_DOUBLE),
        )
    ]
    in_one = _page(_MOST, _levels((1, 0), (_MOST - 1, 1)) + _levels((_MOST, 2)))
    yield "one-list.parquet", group, _file(lists, 1, in_one, ["list", "element"])
    in_each = _page(_MOST, _levels((_MOST, 0)) + _levels((_MOST, 1)))
    yield "empty-lists.parquet", group, _file(lists, _MOST, in_each, ["list", "element"])
    yield "nulls.parquet", group, _file(leaves, _MOST, _page(_MOST, _levels((_MOST, 0))))
    numbers = _levels((1000, 1)) + bytes(8000)
    few = _page(1000, numbers)
    headers = "The headers of its pages cannot be read"
    claims = _page(1, _levels((1, 0)) + _levels((1, 1)))
    many = _file(lists, 1, claims, ["list", "element"], claimed=_MOST)
    yield "claimed-lists.parquet", group, many
    less = _page(-_MOST, b"")  # of which values are taken off, in a sum
    yield "less-lists.parquet", headers, _file(lists, 1, in_one + less, ["list", "element"])
    yield "less-rows.parquet", headers, _file(leaves, 1000, _page(-46, numbers))
    known = _dictionary(_MOST, bytes(16)) + _page(1000, _levels((1000, 1)) + b"\1\xd0\x0f\0")
    yield "dictionary.parquet", group, _file(leaves, 1000, known)
    for width in (1 << 20, _MOST):
        wide = [_element(name, _OPTIONAL, kind=_FIXED, width=width) for name in _NAMES]
        absent = _file(wide, 1000, _page(1000, _levels((1000, 0))), kind=_FIXED)
        yield f"wide-{width}.parquet", group, absent
    texts = [_element(name, _OPTIONAL, kind=_TEXT) for name in _NAMES]
    yield "texts.parquet", group, _file(texts, 1, _page_of_text(), kind=_TEXT, codec=_ZSTD)
    footer = "Its footer cannot be read"
    nested = [*[_element("x1", _OPTIONAL, children=1)] * 20_000, leaves[0]]
    yield "deep.parquet", footer, _file(nested, 1000, few, children=1)
    yield (
        "same-pages.parquet",
        footer,
        _file(leaves, 1000, few, same=True),
    )
    for name, width, depth in (("fields", 20, 8), ("deep-fields", 1, 10_000)):
        reason = "its footer and its dictionaries|its footer or a message"
        yield f"{name}.parquet", reason, _file(leaves, 1000, few, arrow=shared_schema(width, depth))


def _file(
    elements: list[bytes],
    num_rows: int,
    pages: bytes,
    below: list[str] | None = None,
    *,
    kind: int = _DOUBLE,
    codec: int = 0,
    claimed: int | None = None,
    children: int = 3,
    arrow: bytes = b"",
    same: bool = False,
) -> bytes:
    """Return a file of one row group, whose three columns have the same pages."""
    chunks = []
    for place, name in enumerate(_NAMES):
        path = [text(part) for part in (name, *(below or []))]
        start = 4 + (0 if same else place * len(pages))
        meta = fields(
            (1, _I32, zigzag(kind)), (2, _LIST, listed(_I32, [zigzag(0), zigzag(3)])),
            (3, _LIST, listed(_BINARY, path)), (4, _I32, zigzag(codec)),
            (5, _I64, zigzag(num_rows if claimed is None else claimed)),
            (6, _I64, zigzag(len(pages))), (7, _I64, zigzag(len(pages))),
            (9, _I64, zigzag(start)),
        )  # fmt: skip
        chunks.append(fields((2, _I64, zigzag(start)), (3, _STRUCT, meta)))
    group = fields(
        (1, _LIST, listed(_STRUCT, chunks)), (2, _I64, zigzag(3)), (3, _I64, zigzag(num_rows))
    )
    root = fields((4, _BINARY, text("schema")), (5, _I32, zigzag(children)))
    value = text(base64.b64encode(arrow))
    pair = fields((1, _BINARY, text("ARROW:schema")), (2, _BINARY, value))
    footer = fields(
        (1, _I32, zigzag(1)), (2, _LIST, listed(_STRUCT, [root, *elements])),
        (3, _I64, zigzag(num_rows)), (4, _LIST, listed(_STRUCT, [group])),
        *([(5, _LIST, listed(_STRUCT, [pair]))] if arrow else []),
    )  # fmt: skip
    body = pages if same else pages * 3
    return b"PAR1" + body + footer + struct.pack("<I", len(footer)) + b"PAR1"


def _element(
    name: str,
    repetition: int,
    *,
    kind: int | None = None,
    width: int | None = None,
    children: int | None = None,
    converted: int | None = None,
) -> bytes:
    said = [(1, kind), (2, width), (3, repetition), (4, name), (5, children), (6, converted)]
    return fields(
        *(
            (number, _BINARY, text(value))
            if isinstance(value, str)
            else (number, _I32, zigzag(value))
            for number, value in said
            if value is not None
        )
    )


def _page(num_values: int, body: bytes, unpacked: int | None = None) -> bytes:
    """Return a page of plain values, and what precedes it."""
    of_data = fields(
        (1, _I32, zigzag(num_values)), (2, _I32, zigzag(0)),
        (3, _I32, zigzag(3)), (4, _I32, zigzag(3)),
    )  # fmt: skip
    return (
        fields(
            (1, _I32, zigzag(0)), (2, _I32, zigzag(unpacked or len(body))),
            (3, _I32, zigzag(len(body))), (5, _STRUCT, of_data),
        )
        + body
    )  # fmt: skip


def _dictionary(num_values: int, body: bytes) -> bytes:
    """Return a page of plain values that others name by their places, and what precedes it."""
    length = (_I32, zigzag(len(body)))
    of_values = fields((1, _I32, zigzag(num_values)), (2, _I32, zigzag(0)))
    return fields((1, _I32, zigzag(2)), (2, *length), (3, *length), (7, _STRUCT, of_values)) + body


def _page_of_text() -> bytes:
    """Return a page of one text of 256 MiB."""
    pack, head = zstd.ZstdCompressor(), _levels((1, 1)) + struct.pack("<I", 2**28)
    parts = [pack.compress(head), *(pack.compress(bytes(2**20)) for _ in range(2**8)), pack.flush()]
    return _page(1, b"".join(parts), unpacked=len(head) + 2**28)


def _levels(*runs: tuple[int, int]) -> bytes:
    """Return runs of one level each, as RLE has them."""
    packed = b"".join(_varint(length << 1) + bytes([level]) for length, level in runs)
    return struct.pack("<I", len(packed)) + packed


def fields(*fields: tuple[int, int, bytes]) -> bytes:
    """Return a structure of Thrift's compact protocol."""
    numbers = [0, *(number for number, _, _ in fields)]
    return (
        b"".join(
            bytes([(number - before) << 4 | kind]) + value
            for before, (number, kind, value) in zip(numbers, fields, strict=False)
        )
        + b"\0"
    )


def listed(kind: int, values: list[bytes]) -> bytes:
    few = min(len(values), 15)
    size = _varint(len(values)) if few == 15 else b""
    return bytes([few << 4 | kind]) + size + b"".join(values)


def text(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return _varint(len(data)) + data


def zigzag(number: int) -> bytes:
    return _varint((number << 1) ^ (number >> 63))


def _varint(number: int) -> bytes:
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])
