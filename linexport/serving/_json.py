"""JSON from strangers: typed, without duplicate keys, refused in a sentence."""

import codecs
import json
import re
from typing import Any, TypeVar

import msgspec

from linexport.serving._exchange import Refusal, shortened

T = TypeVar("T")

ANYTHING: "msgspec.json.Decoder[Any]" = msgspec.json.Decoder(float_hook=float)
"""For what is to be looked at closely; a number beyond float64 becomes infinity."""

_BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CONSTANT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|NaN|Infinity', re.DOTALL)
"""A string, or one of two numbers outside strings. An open string is one too: what follows its
quote is looked at once."""
_STANDARD = {b"NaN": b"null", b"Infinity": b"1e999"}


def decode(decoder: "msgspec.json.Decoder[T]", data: bytes) -> T:
    """Parse JSON and check it against the decoder's type.

    NaN and Infinity, which JSON does not have but Python writes, are taken as null and as infinity;
    so is a number beyond float64.

    Args:
        decoder: Of the type.
        data: The text.

    Raises:
        Refusal: 400, naming the place.
    """
    try:
        try:
            return decoder.decode(data)
        except msgspec.DecodeError as error:
            if not (b"NaN" in data or b"Infinity" in data or "out of range" in str(error)):
                raise
        standard = _CONSTANT.sub(lambda found: _STANDARD.get(found[0], found[0]), data)
        return msgspec.convert(ANYTHING.decode(standard), decoder.type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refusal(error, data) from error


def _refusal(error: Exception, data: bytes) -> Refusal:
    told = shortened(str(error), 300)
    if data.startswith(_BYTE_ORDER_MARKS):
        told = "The request begins with a byte order mark; send JSON in UTF-8 without one."
    elif isinstance(error, msgspec.ValidationError):
        told = f"The request is not as it should be: {told}; see /docs."
    elif isinstance(error, RecursionError):
        told = "The request's JSON is nested too deeply."
    else:
        told = f"The request's body is not valid JSON: {told}."
    return Refusal(400, told)


def require_unique_keys(data: bytes, num_members: int) -> None:
    """Refuse an object that has a key twice, of which decoders silently drop one.

    Every member of an object has a colon, so if there are as many colons as members were kept, none
    was dropped. If there are more, either one was or a string holds a colon: then look closely.

    Args:
        data: What `decode` took.
        num_members: Of all its objects, as decoded.

    Raises:
        Refusal: 400, naming the key.
    """
    if data.count(b":") != num_members:
        json.loads(data, object_pairs_hook=_unique, parse_int=str)  # int() refuses a long one


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise Refusal(
                400, f"The key '{shortened(key)}' occurs twice in one object; send it once."
            )
        members[key] = value
    return members
