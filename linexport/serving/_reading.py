"""What a client sends, told apart into requests, as far as it is bounded and valid HTTP.

httptools parses. What it leaves open is decided here: how much may come that is no body, that
asking for another protocol is ignored, and what a client is told who sends what is no HTTP.
"""

from abc import ABC, abstractmethod
from typing import Any

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserInvalidURLError,
    HttpParserUpgrade,
)
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from linexport.serving._exchange import Refusal
from linexport.serving.application import Application

HEADER_BYTES = 2**16
"""As uvicorn's other protocol implementation allows; requests have a few hundred."""
HEADER_LINES = 100
"""As Apache and gunicorn allow; browsers and proxies together send some 30."""
PART_BYTES = 2**14
"""Of what came together is parsed at once. Of headers that begin within a part, that part does not
count towards HEADER_BYTES: it is not known how much of it is theirs."""
_TOO_LONG = f"The headers are longer than {HEADER_BYTES} bytes."
_TOO_MANY = f"There are more than {HEADER_LINES} headers."


class Reader(HttpToolsProtocol, ABC):
    """One client's requests. What they are answered with is up to the class derived from it."""

    def __init__(self, *args: Any, application: Application, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._application = application
        self.headers = []
        self._framing_bytes = 0
        """Of parts since a request was whole or its body went on: of headers, or of trailers."""
        self._refused: Refusal | None = None
        """Why nothing more is read."""

    @abstractmethod
    def refuse(self, refusal: Refusal) -> None:
        """Answer what is being read with a refusal, after what was asked before, and close."""

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if len(data) <= PART_BYTES:
            self._parse(data)
        else:
            for start in range(0, len(data), PART_BYTES):
                self._parse(data[start : start + PART_BYTES])

    def on_headers_complete(self) -> None:
        if len(self.headers) > HEADER_LINES:
            raise Refusal(431, _TOO_MANY)
        self._framing_bytes = 0
        if not self.parser.should_upgrade():
            self.on_request()
        elif self.parser.get_method() == b"CONNECT":
            raise Refusal(501, "This is no proxy; it does not take CONNECT.")

    def on_request(self) -> None:
        """Take a request, the headers of which are there."""
        super().on_headers_complete()
        self.headers = []  # for trailers, which are not to be taken for headers

    def on_body(self, body: bytes) -> None:
        self._framing_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._framing_bytes = 0
        self.on_whole()

    def on_whole(self) -> None:
        """Take the end of a request."""
        super().on_message_complete()

    def _parse(self, part: bytes) -> None:
        self._framing_bytes += len(part)
        while part and self._refused is None:
            try:
                self.parser.feed_data(part)
                break
            except HttpParserUpgrade as upgrade:
                # A server may ignore that a client asks for another protocol (RFC 9110, section
                # 7.8), but httptools takes the request to be over with its headers. So it gets
                # them again, without what made it think so, and then the rest.
                (num_parsed,) = upgrade.args
                part = self._head_without_upgrade() + part[num_parsed:]
            except HttpParserError as error:
                self.refuse(self._refusal(error))
        if self._framing_bytes > HEADER_BYTES:
            self.refuse(Refusal(431, _TOO_LONG))
        if len(self.headers) > HEADER_LINES:
            self.refuse(Refusal(431, _TOO_MANY))

    def _head_without_upgrade(self) -> bytes:
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (method, self.url, version)]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def _refusal(self, error: Exception) -> Refusal:
        """Say what is wrong; httptools wraps what is raised in the methods that it calls."""
        if isinstance(error, HttpParserCallbackError) and isinstance(error.__context__, Exception):
            error = error.__context__
        if isinstance(error, HttpParserInvalidURLError | UnicodeDecodeError):
            return Refusal(400, "The address is not valid; write what is not ASCII as %XX.")
        if isinstance(error, HttpParserError):
            return Refusal(400, f"The request is not valid HTTP: {error}.")
        return self._application.refusal(self.url.decode(errors="replace"), error)
