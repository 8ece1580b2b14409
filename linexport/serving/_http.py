"""What a request says and what it is answered with, whatever server brings it."""

import codecs
import re
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from linexport._arrays import FloatArray
from linexport.errors import shortened

T = TypeVar("T")
Header = tuple[str, str]

JSON, OCTETS = "application/json", "application/octet-stream"
HEADER_LENGTH = "inference-header-content-length"
CLIENT_LEFT = 499
"""In the log and the metrics only, as nginx has it: perhaps nobody was there to take an answer."""

encode_json = msgspec.json.Encoder().encode

ANYTHING: "msgspec.json.Decoder[Any]" = msgspec.json.Decoder(float_hook=float)
"""For what is to be looked at closely; a number beyond float64 becomes infinity."""

_BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CONSTANT = re.compile(rb"NaN|Infinity")
_EITHER = 32 + zlib.MAX_WBITS
"""Tells gzip from zlib, as which deflate is sent."""
_STANDARD = {b"NaN": b"null", b"Infinity": b"1e999"}


class Answer(NamedTuple):
    """A whole HTTP response."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Sequence[Header] = ()
    rows: int = 0
    """Predicted, for the log and the metrics."""
    reason: str = ""
    """Why it is a refusal, for the log."""


class Asked(NamedTuple):
    """An inference request that is understood."""

    features: FloatArray
    """Shape (N, D), not rounded to the model's dtype yet."""
    answer: Callable[[FloatArray], Answer]
    """Makes the answer of the predictions (N, K)."""


class Sent(NamedTuple):
    """What a client sent to an address that predicts."""

    body: bytes
    header_length: str | None = None
    """What a header says of how long the body's JSON is."""
    query: str = ""
    """Of the address, behind its question mark."""


Ask = Callable[[Sent], Asked]
"""Understands a request; or raises Refusal."""


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error of ours
    """A request that is not served: the status and a sentence that says why, and what to do."""

    def __init__(self, message: str, status: int = 400, headers: Sequence[Header] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers

    def answer(self) -> Answer:
        """Return the protocol's error object."""
        body = encode_json({"error": str(self)})
        return Answer(self.status, body, headers=self.headers, reason=str(self))


def too_large(most: int) -> Refusal:
    """Return the refusal of a body of more bytes than allowed."""
    return Refusal(
        f"The body is larger than the {most} bytes allowed; send fewer rows at a time, or use "
        "`linexport predict` for a whole table.",
        413,
    )


def is_packed(encodings: Sequence[str]) -> bool:
    """Tell from Content-Encoding whether a body is compressed.

    Raises:
        Refusal: 415 if it is so in another way than by gzip or deflate, or twice.
    """
    named = [each.lower() for each in encodings if each.lower() != "identity"]
    if len(named) > 1 or not {*named} <= {"gzip", "deflate"}:
        raise Refusal("A body may be compressed once, by gzip or deflate.", 415)
    return bool(named)


def unpacked(body: bytes, most: int) -> bytes:
    """Return a body as it was before gzip or deflate, of no more bytes than allowed.

    Raises:
        Refusal: 400 if it is damaged, 413 if it is too large.
    """
    unpacker = zlib.decompressobj(_EITHER)
    try:
        plain = unpacker.decompress(body, most + 1)
    except zlib.error as error:
        raise Refusal("The compressed body is damaged.") from error
    if len(plain) > most:
        raise too_large(most)
    if not unpacker.eof or unpacker.unused_data:
        raise Refusal("The compressed body is cut off, or more follows it.")
    return plain


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
        return msgspec.convert(ANYTHING.decode(_standard(data)), decoder.type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refusal(error, data) from error


def _standard(data: bytes) -> bytes:
    """Return the text with what JSON has for NaN and Infinity."""
    starts = np.array([found.start() for found in _CONSTANT.finditer(data)], np.intp)
    parts, end = [], 0
    for start in _outside_strings(starts, data).tolist():
        constant = b"NaN" if data.startswith(b"NaN", start) else b"Infinity"
        parts += [data[end:start], _STANDARD[constant]]
        end = start + len(constant)
    return b"".join([*parts, data[end:]])


def _outside_strings(places: NDArray[np.intp], data: bytes) -> NDArray[np.intp]:
    """Return the places in a text that have an even number of quotes before them.

    At once, however many strings there are; a quote behind an odd number of backslashes is none.
    """
    characters = np.frombuffer(data, np.uint8)
    is_quote = characters == ord('"')
    if b"\\" in data:
        quotes = np.flatnonzero(is_quote)
        others = np.concatenate(([-1], np.flatnonzero(characters != ord("\\"))))
        backslashes = quotes - others[others.searchsorted(quotes) - 1] - 1
        is_quote[quotes[backslashes % 2 == 1]] = False
    is_inside = np.logical_xor.accumulate(is_quote)
    return places[~is_inside[places]]


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
