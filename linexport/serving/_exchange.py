"""What a request is answered with."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from linexport._arrays import FloatArray

Header = tuple[bytes, bytes]
Headers = Mapping[bytes, bytes]

JSON = b"application/json"
CLIENT_LEFT = 499
"""In the log only, as nginx has it: nobody was there to take an answer."""

encode_json = msgspec.json.Encoder().encode


class Answer(NamedTuple):
    """A whole HTTP response."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: Sequence[Header] = ()
    rows: int = 0
    """Predicted, for the log and the metrics."""


class Asked(NamedTuple):
    """An inference request that is understood."""

    features: FloatArray
    """Shape (N, D), not rounded to the model's dtype yet."""
    answer: Callable[[FloatArray], Answer]
    """Makes the answer of the predictions (N, K)."""


Ask = Callable[[bytes, Headers], Asked]
"""Understands a body under its headers, or raises Refusal or DataError."""


def shortened(text: str, most: int = 100) -> str:
    """Return what a message repeats of a request, which may be long."""
    return text if len(text) <= most else f"{text[:most]}..."


def joined(headers: Sequence[Header]) -> Headers:
    """Return headers by name; the values of one that is sent again follow a comma (RFC 9110, 5.3).

    So what says two things is not taken for the last of them.
    """
    by_name = dict(headers)
    if len(by_name) < len(headers):
        for name in by_name:
            by_name[name] = b", ".join(value for key, value in headers if key == name)
    return by_name


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error of ours
    """A request that is not served: the status and a sentence that says why, and what to do."""

    def __init__(self, status: int, message: str, headers: Sequence[Header] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers

    def answer(self) -> Answer:
        """Return the protocol's error object."""
        return Answer(self.status, encode_json({"error": str(self)}), headers=self.headers)


class ClientLeftError(Exception):
    """The connection closed before the request was there."""
