"""uvicorn's connections, with limits for slow clients and a short way for small requests.

uvicorn leaves it to a proxy to bound how long a client may take to send its headers, how long they
are, and how long it may take to read its answer. The clock is looked at once a second for all
connections, so that a request that is in time costs no timer.

A small request to predict is answered without an ASGI task of its own, which would cost as much as
the prediction; see `_gathering`. All others go the common way.
"""

import asyncio
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from time import perf_counter
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from linexport.serving._exchange import CLIENT_LEFT, Answer, Header, Headers, Refusal, joined
from linexport.serving._gathering import Small
from linexport.serving._routes import Route
from linexport.serving._workers import LATE, too_late
from linexport.serving.application import Application

HEADER_BYTES = 2**16
"""As uvicorn's other protocol implementation allows; requests have a few hundred."""
SWEEP_SECONDS = 1.0
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class Connection(HttpToolsProtocol):
    """One client."""

    def __init__(self, *args: Any, application: Application, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._application = application
        self._asking_since: float | None = None
        """When the client began a request that is not whole yet."""
        self._taking_since: float | None = None
        """When it was first seen to leave an answer unread."""
        self._header_bytes: int | None = None
        """Read so far, while headers are being read."""
        self._small: tuple[Route, Headers, float] | None = None
        """Of the request that is being read, if it is small: what is to answer it, its headers, and
        when it began."""
        self._body: list[bytes] = []
        """Of a small request, so far."""
        self._num_unanswered = 0
        """Small requests that are whole."""
        self._idle_since: float | None = None
        """When the last small request was answered, if no other has begun."""
        self._last = False
        """Whether the connection is to be closed when the small requests are answered."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._asking_since = self.loop.time()
        if len(self.connections) > self._application.limits.connections:
            self._application.metrics.refused_connection()
            self._refuse(503, "The server has as many connections as it takes; try again.")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._small is not None:
            self._application.workers.in_flight -= 1
            route, _, started = self._small
            left = Answer(CLIENT_LEFT, b"")
            self._application.note(route, "POST", self.url.decode(), left, started)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._idle_since = None
        if self._asking_since is None:
            self._asking_since = self.loop.time()
        super().data_received(data)
        if self._header_bytes is not None:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES:
                self._refuse(431, f"The headers are longer than {HEADER_BYTES} bytes.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = 0

    def on_headers_complete(self) -> None:
        self._header_bytes = None
        headers = joined(self.headers)
        route = self._application.predicting(self.url)
        inference = route and route.inference
        if route and inference and self._is_small(headers, inference.most_bytes):
            self._small = route, headers, perf_counter()
            self._application.workers.in_flight += 1
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._small is None:
            super().on_body(body)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        self._asking_since = None
        if self._small is None:
            super().on_message_complete()
            return
        (route, headers, started), self._small = self._small, None
        body, self._body = b"".join(self._body), []
        self._num_unanswered += 1
        self._application.workers.in_flight -= 1
        small = Small(route, self.url.decode(), headers, body, started, self._send)
        self._application.gatherer.add(small, self.loop)

    def shutdown(self) -> None:
        if self._small is not None or self._num_unanswered:
            self._last = True
        else:
            super().shutdown()

    def _is_small(self, headers: Headers, most_bytes: int) -> bool:
        """Tell whether the request, whose headers are there, may go the short way."""
        if self.cycle is not None and not self.cycle.response_complete:
            return False  # answers go out in the order of the requests
        limits = self._application.limits
        if self._application.in_flight >= limits.requests:
            return False  # to be refused
        parser = self.parser
        length = headers.get(b"content-length", b"")
        return (
            parser.get_method() == b"POST"
            and length.isdigit()
            and int(length) <= min(most_bytes, limits.body_bytes)
            and b"content-encoding" not in headers
            and not self.expect_100_continue
            and not self.flow.write_paused
            and not parser.should_upgrade()
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
        )

    def _send(self, answer: Answer) -> bool:
        """Send the answer of a small request; return False if the client has left."""
        self._num_unanswered -= 1
        if self.transport.is_closing():
            return False
        close = self._last and not self._num_unanswered
        self._write(answer, self.server_state.default_headers, close=close)
        self.server_state.total_requests += 1
        self._idle_since = self.loop.time()
        return True

    def _write(self, answer: Answer, more: Sequence[Header] = (), *, close: bool) -> None:
        headers = [
            *more,
            (b"content-type", answer.content_type),
            (b"content-length", b"%d" % len(answer.body)),
            *answer.headers,
        ]
        if close:
            headers.append((b"connection", b"close"))
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        self.transport.write(b"%b%b\r\n%b" % (_STATUS_LINES[answer.status], lines, answer.body))
        if close:
            self.transport.close()

    def look_at_the_clock(self, now: float) -> None:
        """Close the connection if the client takes too long."""
        limits = self._application.limits
        if self._idle_since is not None and now - self._idle_since > limits.idle_seconds:
            self.transport.close()
            return
        limit = limits.client_seconds
        if self.transport.get_write_buffer_size() == 0:
            self._taking_since = None
        elif self._taking_since is None:
            self._taking_since = now
        elif now - self._taking_since > limit:
            self.transport.abort()
            return
        if self._asking_since is None or now - self._asking_since <= limit:
            return
        if self.cycle is None or self.cycle.response_complete:
            self._refuse(408, too_late(self._application.limits))
        else:  # the application waits for the body: wake it
            self.cycle.scope["state"][LATE] = True
            self.cycle.message_event.set()

    def _refuse(self, status: int, message: str) -> None:
        if self.transport.is_closing():
            return
        self._write(Refusal(status, message).answer(), close=True)


async def sweep(connections: Iterable[Any]) -> None:
    """Have every connection look at the clock, for ever."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        for connection in list(connections):
            connection.look_at_the_clock(loop.time())
