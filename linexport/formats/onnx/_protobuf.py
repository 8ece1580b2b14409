"""Protobuf's wire format, as much of it as linear ONNX graphs take.

A message is its fields one after the other: each a tag, which holds the field's number and how its
value lies, then a varint, or a length and as many bytes. Source: the protocol buffers'
documentation, "Encoding" (protobuf.dev/programming-guides/encoding).
"""

from collections.abc import Iterator
from typing import Any

__all__ = ["fields", "message"]

Value = int | str | bytes
"""A number of at least 0, text, or bytes, which may be a message."""

_VARINT, _LENGTH = 0, 2
_BITS = 7
"""Of a number in each byte of a varint."""
_LONGEST_VARINT = 10
"""Bytes, for 64 bits."""
_MOST_FIELDS = 100
"""Of a message of ours, metadata included. A hostile file could have a billion of them."""


def message(*fields: tuple[int, Value]) -> bytes:
    """Return a message of these fields, by number, in the order given."""
    return b"".join(piece for number, value in fields for piece in _field(number, value))


def _field(number: int, value: Value) -> tuple[bytes, ...]:
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT), _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _LENGTH), _varint(len(data)), data


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number >> _BITS:
        parts.append(number & 0x7F | 0x80)
        number >>= _BITS
    parts.append(number)
    return bytes(parts)


def fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    """Yield the number and the value of each field: an integer, or a view of bytes.

    Raises:
        ValueError: If this is no message, or has other kinds of fields or more of them than ours.
    """
    place = 0
    for _ in range(_MOST_FIELDS):
        if place == len(data):
            return
        tag, place = _read_varint(data, place)
        value, place = _read_varint(data, place)
        if tag & 7 == _VARINT:
            yield tag >> 3, value
        elif tag & 7 == _LENGTH and value <= len(data) - place:
            yield tag >> 3, data[place : place + value]
            place += value
        else:
            break
    raise ValueError("This is no message of ours.")


def _read_varint(data: memoryview, place: int) -> tuple[int, int]:
    """Return the number that begins at a place, and where it ends."""
    number = 0
    for position, byte in enumerate(data[place : place + _LONGEST_VARINT]):
        number |= (byte & 0x7F) << _BITS * position
        if byte < 0x80:
            return number, place + position + 1
    raise ValueError("This is no message of ours.")
