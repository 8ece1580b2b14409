"""What a request says and what it is answered with, whatever server brings it."""

import codecs
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from linexport._arrays import FloatArray

T = TypeVar("T")
Header = tuple[str, str]

JSON, OCTETS = "application/json", "application/octet-stream"
HEADER_LENGTH = "inference-header-content-length"
CLIENT_LEFT = 499
"""In the log only, as nginx has it: nobody was there to take an answer."""

encode_json = msgspec.json.Encoder().encode

ANYTHING: "msgspec.json.Decoder[Any]" = msgspec.json.Decoder(float_hook=float)
"""For what is to be looked at closely; a number beyond float64 becomes infinity."""

_BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CONSTANT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|NaN|Infinity', re.DOTALL)
"""A string, or one of two numbers outside strings. An open string is one too: what follows its
quote is looked at once."""
_STANDARD = {b"NaN": b"null", b"Infinity": b"1e999"}


class Answer(NamedTuple):
    """A whole HTTP response."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Sequence[Header] = ()
    rows: int = 0
    """Predicted, for the log and the metrics."""


class Asked(NamedTuple):
    """An inference request that is understood."""

    features: FloatArray
    """Shape (N, D), not rounded to the model's dtype yet."""
    answer: Callable[[FloatArray], Answer]
    """Makes the answer of the predictions (N, K)."""


Ask = Callable[[bytes, str | None], Asked]
"""Understands a body, of which a header may tell how long its JSON is; or raises Refusal."""


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error of ours
    """A request that is not served: the status and a sentence that says why, and what to do."""

    def __init__(self, message: str, status: int = 400, headers: Sequence[Header] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers

    def answer(self) -> Answer:
        """Return the protocol's error object."""
        return Answer(self.status, encode_json({"error": str(self)}), headers=self.headers)


def shortened(text: str, most: int = 100) -> str:
    """Return what a message repeats of a request, which may be long."""
    return text if len(text) <= most else f"{text[:most]}..."


def decode(decoder: "msgspec.json.Decoder[T]", data: bytes) -> T:
    """Parse JSON and check it against the decoder's type.

    NaN and Infinity, which JSON does not have but Python writes, are taken as null and as infinity;
    so is a number beyond float64. Of a key that is there twice, the last value counts.

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
        told = f"The request is not as it should be: {told}; see /openapi.json."
    elif isinstance(error, RecursionError):
        told = "The request's JSON is nested too deeply."
    else:
        told = f"The request's body is not valid JSON: {told}."
    return Refusal(told)
