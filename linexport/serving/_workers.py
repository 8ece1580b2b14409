"""Inference requests in threads, a bounded number at the same time: read whole, then answered."""

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from linexport.serving._exchange import Answer, ClientLeftError, Headers, Refusal, joined
from linexport.serving.limits import Limits

Scope = MutableMapping[str, Any]
Respond = Callable[[bytes, Headers], Answer]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

REFUSED = "linexport.refused"
"""Where in a request's state a connection puts the Refusal of one that cannot become whole: what
came of it was no HTTP, or too long, or its client has had its time. That costs a request that is in
time nothing, where a timer of its own would cost a tenth of its answer."""
_RETRY = (b"retry-after", b"1")


class Workers:
    """Takes on requests until the limit; a place is free again when its work has ended."""

    def __init__(self, limits: Limits) -> None:
        """Take the limits."""
        self.in_flight = 0
        """Places that are taken; connections take them too, while they read a small request."""
        self._limits = limits
        self._pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="answer")

    async def answer(self, respond: Respond, scope: Scope, receive: Receive) -> Answer:
        """Read a request's body and answer it.

        Args:
            respond: What makes an answer of a body and headers.
            scope: The request's, as ASGI has it.
            receive: Likewise.

        Raises:
            Refusal: If there is no place, the body is too large or does not become whole, or the
                answer is too slow.
            ClientLeftError: If the client leaves before its request is whole.
        """
        if self.in_flight >= self._limits.requests:
            raise Refusal(
                429,
                f"As many requests as the server takes at the same time, {self.in_flight}, are "
                "being answered; try again.",
                [_RETRY],
            )
        self.in_flight += 1
        working = None
        try:
            headers = joined(scope["headers"])
            body = await _read(scope, headers, receive, self._limits)
            working = self._pool.submit(respond, body, headers)
        finally:
            if working is None:
                self.in_flight -= 1
        self._release_after(working)
        try:
            async with asyncio.timeout(self._limits.answer_seconds):
                return await asyncio.wrap_future(working)
        except TimeoutError as error:
            raise Refusal(
                503,
                f"The answer was not there within {self._limits.answer_seconds:g} s, so busy is "
                "the server; try again.",
                [_RETRY],
            ) from error

    def _release_after(self, working: "Future[Answer]") -> None:
        """Free the place when a thread is done, also if nobody waits for it any more."""
        loop = asyncio.get_running_loop()

        def release() -> None:
            self.in_flight -= 1

        def when_done(_: "Future[Answer]") -> None:
            with suppress(RuntimeError):  # the loop is closed: the server has stopped
                loop.call_soon_threadsafe(release)

        working.add_done_callback(when_done)


async def _read(scope: Scope, headers: Headers, receive: Receive, limits: Limits) -> bytes:
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise Refusal(415, "A compressed body is not accepted; send it without Content-Encoding.")
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > limits.body_bytes:
        raise _too_large(limits)
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeftError
        part = message.get("body", b"")
        size += len(part)
        if size > limits.body_bytes:
            raise _too_large(limits)
        parts.append(part)
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)
        if refusal := scope["state"].get(REFUSED):
            raise refusal


def _too_large(limits: Limits) -> Refusal:
    return Refusal(
        413,
        f"The body is larger than the {limits.body_bytes} bytes allowed; send fewer rows at a "
        "time, or use `linexport predict` for a whole table.",
    )
