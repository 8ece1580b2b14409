"""Clients that mean no good: crowds of connections, some silent, some half a request, some slow.

Nothing that they are answered is looked at. What counts is what everybody else is answered
meanwhile, and what the server holds when they have gone.
"""

import random
import selectors
import socket
import struct
import threading
from contextlib import ExitStack, suppress

from _soak_requests import INFER, ROWS

CROWD, STAY_SECONDS, PAUSE_SECONDS = 2000, 1.0, 5.0
"""Connections at once, twice as many as the server takes; for so long, then all of them leave, and
after a pause the next come."""
SLOW, SLOW_SECONDS = 100, 0.2
"""Connections that send one byte every so often, for as long as they are let."""
_RESET = struct.pack("ii", 1, 0)
"""To leave without a word."""
_HEAD = f"POST {ROWS} HTTP/1.1\r\nhost: a\r\n".encode()
BEGINNINGS = {
    "silent": b"",
    "half a head": _HEAD,
    "long heads": _HEAD + b"".join(b"x-%d: %s\r\n" % (line, b"a" * 700) for line in range(80)),
    "half a body": _HEAD + b'content-length: 100\r\n\r\n{"x1":',
    "half a chunk": _HEAD + b"transfer-encoding: chunked\r\n\r\nffff\r\n{",
    "no answer taken": f"GET {INFER.rpartition('/')[0]} HTTP/1.1\r\nhost: a\r\n\r\n".encode() * 50,
}


def attack(port: int, seed: int, stop: threading.Event) -> int:
    """Send one crowd after the other, beside a constant number of slow clients.

    Returns:
        How many connections were opened.
    """
    chance, opened = random.Random(seed), 0
    slow = threading.Thread(target=_be_slow, args=(port, stop))
    slow.start()
    while not stop.is_set():
        kind = chance.choice(list(BEGINNINGS))
        opened += _crowd(port, BEGINNINGS[kind], stop, is_rude=chance.random() < 0.5)
        stop.wait(PAUSE_SECONDS)
    slow.join()
    return opened


def _crowd(port: int, beginning: bytes, stop: threading.Event, *, is_rude: bool) -> int:
    with ExitStack() as stack, selectors.DefaultSelector() as ready:
        for _ in range(CROWD):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            if is_rude:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            with suppress(BlockingIOError):  # as long as it is being made
                client.connect(("127.0.0.1", port))
            ready.register(client, selectors.EVENT_WRITE)
        opened = 0
        while len(found := ready.select(STAY_SECONDS)) and not stop.is_set():
            for key, _ in found:
                ready.unregister(key.fileobj)
                with suppress(OSError):
                    key.fileobj.send(beginning)  # type: ignore[union-attr]
                    opened += 1
        stop.wait(STAY_SECONDS)
    return opened


def _be_slow(port: int, stop: threading.Event) -> None:
    request = BEGINNINGS["long heads"]
    clients: dict[socket.socket, int] = {}
    with ExitStack() as stack:
        while not stop.wait(SLOW_SECONDS):
            if len(clients) < SLOW:
                with suppress(OSError):
                    client = socket.create_connection(("127.0.0.1", port), timeout=SLOW_SECONDS)
                    clients[stack.enter_context(client)] = 0
            for client, sent in list(clients.items()):
                try:
                    client.send(request[sent : sent + 1])
                    clients[client] += 1
                except OSError:  # it was let go
                    del clients[client]
                    client.close()
