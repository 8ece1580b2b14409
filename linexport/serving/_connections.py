"""Connections that do not wait for ever: uvicorn's, with limits for slow and greedy clients.

uvicorn leaves it to a proxy to bound how long a client may take to send its headers, how long they
are, and how long it may take to read its answer. The clock is looked at once a second for all
connections, so that a request that is in time costs no timer.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from linexport.serving._exchange import Refusal
from linexport.serving._workers import LATE, too_late
from linexport.serving.application import Application

HEADER_BYTES = 2**16
"""As uvicorn's other protocol implementation allows; requests have a few hundred."""
SWEEP_SECONDS = 1.0


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

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._asking_since = self.loop.time()
        if len(self.connections) > self._application.limits.connections:
            self._application.metrics.refused_connection()
            self._refuse(503, "The server has as many connections as it takes; try again.")

    def data_received(self, data: bytes) -> None:
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
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._asking_since = None
        super().on_message_complete()

    def look_at_the_clock(self, now: float) -> None:
        """Close the connection if the client takes too long."""
        limit = self._application.limits.client_seconds
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
        body = Refusal(status, message).answer().body
        head = (
            f"HTTP/1.1 {status} \r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


async def sweep(connections: Iterable[Any]) -> None:
    """Have every connection look at the clock, for ever."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        for connection in list(connections):
            connection.look_at_the_clock(loop.time())
