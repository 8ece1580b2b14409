"""How many messages an ONNX file holds, counted before protobuf makes objects of them.

An empty message has two bytes in a file, and takes some 300 in protobuf, in onnx's checker and in
Python together. `wire` describes the format that is read here.
"""

from functools import cache
from typing import Any

import onnx

from linexport.errors import ArtifactError
from linexport.formats.onnx.wire import read_varint

__all__ = ["require_few"]

_FREE_MESSAGES, _BYTES_PER_MESSAGE = 2**17, 64
"""Of a small file, for 40 MB; and for each so many bytes of a large one, another."""
_FREE_FIELDS, _BYTES_PER_FIELD = 2**20, 64
"""Likewise of all fields, as of a list of numbers each by itself: they are looked at here."""
_FIXED = {1: 8, 5: 4}
"""Bytes of a value, by how it lies."""


def require_few(data: bytes) -> None:
    """Refuse a file of many small messages; what is no message at all is left to protobuf.

    Raises:
        ArtifactError: If there are too many.
    """
    messages = _FREE_MESSAGES + len(data) // _BYTES_PER_MESSAGE
    fields = _FREE_FIELDS + len(data) // _BYTES_PER_FIELD
    todo = [(onnx.ModelProto.DESCRIPTOR, 0, len(data))]
    try:
        while todo:
            kind, place, end = todo.pop()
            inside = _messages_in(kind)
            while place < end:
                tag, place = read_varint(data, place)
                if tag < 8:
                    return
                lies, fields = tag & 7, fields - 1
                if lies == 2:
                    size, place = read_varint(data, place)
                    if (inner := inside.get(tag >> 3)) is not None:
                        messages -= 1
                        todo.append((inner, place, min(place + size, end)))
                    place += size
                elif lies == 0:
                    _, place = read_varint(data, place)
                elif lies in _FIXED:
                    place += _FIXED[lies]
                else:
                    return
                if messages < 0 or fields < 0:
                    raise ArtifactError(
                        f"The ONNX file has more parts than {len(data)} bytes are allowed."
                    )
    except IndexError:
        return


@cache
def _messages_in(kind: Any) -> dict[int, Any]:
    """Return which fields of a message hold messages, and of what kind."""
    return {each.number: each.message_type for each in kind.fields if each.message_type}
