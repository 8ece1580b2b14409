"""Asks an application as the server would, without one."""

import asyncio
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from granian.rsgi import ProtocolClosed

from linexport.serving._application import Application


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The sentence of a refusal, which is all that it holds."""
        assert set(self.json) == {"error"}
        return self.json["error"]


class Headers:
    """As the server hands them over."""

    def __init__(self, pairs) -> None:
        self.pairs = [(name.lower(), str(value)) for name, value in pairs]

    def get(self, name):
        return next(iter(self.get_all(name)), None)

    def get_all(self, name):
        return [value for key, value in self.pairs if key == name]


NEVER = object()
"""Among the parts of a body: what follows is not sent."""


class Exchange:
    """A request's body, in parts, and what it is answered with; None is a client that leaves."""

    def __init__(self, parts) -> None:
        self.parts = list(parts)
        self.response: Response | None = None

    async def __call__(self) -> bytes:
        return b"".join([part async for part in self])

    async def __aiter__(self):
        while self.parts:
            await asyncio.sleep(0)
            part = self.parts.pop(0)
            if part is NEVER:
                await asyncio.sleep(3600)
            if part is None:
                raise ProtocolClosed
            yield part

    def response_bytes(self, status, headers, body):
        assert self.response is None
        self.response = Response(status, dict(headers), body)


def scope_of(method, path, headers=()):
    """What the server hands over of a request; it has a Host unless that is given."""
    if not any(name.lower() == "host" for name, _ in headers):
        headers = [("host", "localhost"), *headers]
    path, _, query = path.partition("?")
    return SimpleNamespace(
        method=method,
        path=path,
        headers=Headers(headers),
        http_version="1.1",
        client="127.0.0.1:4000",
        query_string=query,
    )


@dataclass
class Client:
    """Asks an application as a server would, without one."""

    application: Application
    written: list[dict[str, Any]] = field(default_factory=list)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What was logged; nothing is after this."""
        self.application.log.close()
        return self.written

    async def ask(self, method, path, parts=(b"",), headers=()) -> Response:
        """Send a body in parts, or as a whole if it is one and has a length."""
        exchange = Exchange(parts)
        self.application.loop = asyncio.get_running_loop()
        await self.application.handle(scope_of(method, path, headers), exchange)
        return exchange.response or Response(0, {}, b"")

    def get(self, path: str, method: str = "GET", headers=()) -> Response:
        return asyncio.run(self.ask(method, path, headers=headers))

    def post(self, path: str, body: Any, *headers: tuple[str, Any]) -> Response:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return asyncio.run(
            self.ask("POST", path, [data], [("content-length", len(data)), *headers])
        )
