"""uvicorn's connections, with limits for slow clients and a short way for small requests.

uvicorn leaves it to a proxy to bound how long a client may take to send its request, and to read
its answer. The clock is looked at once a second for all connections, so that a request that is in
time costs no timer.

A small request to predict is answered without an ASGI task of its own, which would cost as much as
the prediction; see `_gathering`. All others go the common way.
"""

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from time import perf_counter
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from linexport.serving._exchange import CLIENT_LEFT, Answer, Headers, Refusal, joined
from linexport.serving._gathering import Small
from linexport.serving._reading import Reader
from linexport.serving._routes import Inference, Route
from linexport.serving._workers import REFUSED

SWEEP_SECONDS = 1.0
GRACE_SECONDS = 1.0
"""For which idle connections are kept once the server is to stop, so that what is on its way is
answered, and busy clients are told of the end with an answer. The longest ways across the world and
back take 0.3 s, and a lost packet is sent again after 0.2 s or so."""
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class Connection(Reader):
    """One client."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._asking_since: float | None = None
        """When the client began a request that is not whole yet."""
        self._taking_since: float | None = None
        """When it was first seen to leave an answer unread."""
        self._small: tuple[Route, Inference, Headers, float] | None = None
        """Of the request that is being read, if it is small: what is to answer it, its headers, and
        when it began."""
        self._body: list[bytes] = []
        """Of a small request, so far."""
        self._common: RequestResponseCycle | None = None
        """Of the request that is being read, if it goes the common way."""
        self._num_unanswered = 0
        """Small requests that are whole, and all that go the common way."""
        self._idle_since: float | None = None
        """When the last small request was answered, if no other has begun."""
        self._last = False
        """Whether the connection is to be closed when nothing is left to be answered."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._asking_since = self.loop.time()
        if len(self.connections) > self._application.limits.connections:
            self._application.metrics.refused_connection()
            self.refuse(Refusal(503, "The server has as many connections as it takes; try again."))
        elif not self._application.ready:  # the server stops, and has told the others
            self.shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._small is not None:
            self._application.workers.in_flight -= 1
            route, *_, started = self._small
            left = Answer(CLIENT_LEFT, b"")
            self._application.note(route, "POST", self.url.decode(), left, started)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._idle_since = None
        if self._asking_since is None:
            self._asking_since = self.loop.time()
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Stay open for a client that sends no more, until it has its answers.

        One that leaves looks the same. Half a request is not answered if it is all there is.
        """
        if self._asking_since is None:
            self._last = True
        elif self._num_unanswered > (self._common is not None):
            self.refuse(Refusal(400, "The connection ended before the request was whole."))
        else:
            return False
        return self._num_unanswered > 0

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._asking_since is None:  # after another that came with it
            self._asking_since = self.loop.time()

    def on_request(self) -> None:
        route = self._application.predicting(self.url)
        inference = route and route.inference
        if (
            route
            and inference
            and self._is_small(headers := joined(self.headers), inference.most_bytes)
        ):
            self._small = route, inference, headers, perf_counter()
            self._application.workers.in_flight += 1
            return
        super().on_request()
        self._common = self.cycle
        self._num_unanswered += 1
        # A client that waits to be asked for the body does not send it to be refused: what came
        # next on this connection could not be told from it.
        if self._last or self.expect_100_continue:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        if self._small is None:
            super().on_body(body)
        else:  # all of it is less than HEADER_BYTES: no need to tell it from headers
            self._body.append(body)

    def on_whole(self) -> None:
        self._asking_since = None
        if self._small is not None:
            (route, inference, headers, started), self._small = self._small, None
            body, self._body = b"".join(self._body), []
            self._num_unanswered += 1
            self._application.workers.in_flight -= 1
            path = self.url.decode()
            small = Small(route, inference, path, headers, body, started, self._send)
            self._application.gatherer.add(small, self.loop)
        elif self._common is not None:  # else it comes again, without asking for a protocol
            super().on_whole()
            if self.expect_100_continue and not self._last:
                keep = self.parser.should_keep_alive()
                self._common.keep_alive = keep and self.parser.get_http_version() == "1.1"
            self._common = None

    def on_response_complete(self) -> None:
        self._num_unanswered -= 1
        super().on_response_complete()
        if self._last:
            self._end()

    def shutdown(self) -> None:
        """Close when what was asked is answered, and tell so; but if nothing was, after a while."""
        self._last = True
        if self.cycle is not None:
            self.cycle.keep_alive = False
        grace_seconds = min(GRACE_SECONDS, self._application.limits.client_seconds)
        self.loop.call_later(grace_seconds, self._end)

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
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
        )

    def _send(self, answer: Answer) -> bool:
        """Send the answer of a small request; return False if the client has left."""
        self._num_unanswered -= 1
        if self.transport.is_closing():
            return False
        self._write(answer, close=self._last and self._refused is None and self._is_idle)
        self.server_state.total_requests += 1
        self._idle_since = self.loop.time()
        if self._last:
            self._end()
        return True

    def _write(self, answer: Answer, *, close: bool) -> None:
        headers = [*self.server_state.default_headers, *answer.headers]
        if close:
            headers.append((b"connection", b"close"))
        self.transport.write(
            b"%b%bcontent-type: %b\r\ncontent-length: %d\r\n\r\n%b"
            % (
                _STATUS_LINES[answer.status],
                b"".join([b"%b: %b\r\n" % header for header in headers]),
                answer.content_type,
                len(answer.body),
                answer.body,
            )
        )
        if close:
            self.transport.close()

    @property
    def _is_idle(self) -> bool:
        """Whether all that was asked is answered, and nothing is half asked."""
        asking = self._asking_since is not None and self.scope is not None  # has begun at all
        return not asking and not self._num_unanswered

    def _end(self) -> None:
        """Close, if nothing is left to be answered."""
        if not self._is_idle or self.transport.is_closing():
            return
        if self._refused is None:
            self.transport.close()
        else:
            self._write(self._refused.answer(), close=True)

    def refuse(self, refusal: Refusal) -> None:
        """Answer what is being read with a refusal, after what was asked before, and close."""
        if self._refused is not None:
            return
        self._refused, self._last, self._asking_since = refusal, True, None
        if self._common is None:
            self._end()
        elif self._common.response_complete:  # this is the rest of what it did not want
            self.transport.close()
        else:  # the application waits for the body: wake it
            self._common.keep_alive = False
            self._common.scope["state"][REFUSED] = refusal
            self._common.message_event.set()

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
        if self._asking_since is None:
            return
        if self.flow.read_paused:  # it is the client that waits
            self._asking_since = now
        elif now - self._asking_since > limit:
            self.refuse(Refusal(408, f"The request was not there within {limit:g} s."))


async def sweep(connections: Iterable[Any]) -> None:
    """Have every connection look at the clock, for ever."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        for connection in list(connections):
            connection.look_at_the_clock(loop.time())
