"""A server that is to stop ends, whatever a library's threads wait for."""

import asyncio
import threading
from types import SimpleNamespace

from linexport.serving import Limits, _server


def test_a_server_that_does_not_end_is_ended(monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(_server, "_end", lambda _: ended.set())
    monkeypatch.setattr(_server, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(_server, "PATIENCE_SECONDS", 0.0)
    limits = Limits(client_seconds=0.01, answer_seconds=0.01)
    application = SimpleNamespace(limits=limits, log=None, ready=True)

    async def stop() -> None:
        running = asyncio.ensure_future(asyncio.Event().wait())
        await _server._stop(application, SimpleNamespace(stop=lambda: None), running)
        running.cancel()

    asyncio.run(stop())
    assert ended.wait(60)
    assert not application.ready


def test_the_end_is_said_before_it_comes(monkeypatch):
    said, status = [], []
    monkeypatch.setattr(_server.os, "_exit", status.append)
    _server._end(SimpleNamespace(event=lambda name, **more: said.append((name, more))))
    assert (said, status) == ([("stopped", {"waiting": True})], [0])
