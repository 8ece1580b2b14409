"""A real server process on loopback, and raw connections to it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Any

TEXTBOOK = Path(__file__).parent.parent.parent / "models" / "textbook"
HOST = b"host: x\r\n"
PATIENCE = 60
"""Seconds after which a test fails rather than waits; nothing is expected to take so long."""


@dataclass
class Server:
    process: "subprocess.Popen[bytes]"
    lines: "Queue[dict[str, Any]]" = field(default_factory=Queue)
    port: int = 0
    started: dict[str, Any] = field(default_factory=dict)
    """What it said once it served."""

    def event(self, name: str) -> dict[str, Any]:
        """Wait for a line of the log."""
        while True:
            line = self.lines.get(timeout=PATIENCE)
            if line["event"] == name:
                return line

    def ask(self, path: str, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def wait_for_requests_in_flight(self, number: int) -> None:
        line = f"linexport_requests_in_flight {number}.0".encode()
        deadline = time.monotonic() + PATIENCE
        while line not in urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics").read():
            assert time.monotonic() < deadline, f"there are never {number} requests in flight"

    def stop(self) -> int:
        """Ask the server to stop, and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def stop_quietly(self) -> None:
        """Stop a server that must have had nothing to say but of requests."""
        assert self.stop() == 0
        while (line := self.lines.get(timeout=PATIENCE))["event"] != "stopped":
            assert line["event"] in {"request", "stopping"}, line


@contextmanager
def serving(*arguments: object) -> Iterator[Server]:
    """Start `linexport serve` on a free port."""
    command = [sys.executable, "-m", "linexport", "serve", "--port", "0", *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ)
    server = Server(process)
    reader = threading.Thread(target=_read, args=(process, server.lines))
    reader.start()
    try:
        server.started = server.event("serving")
        (address,) = server.started["urls"]
        server.port = 0 if address.startswith("unix:") else int(address.rsplit(":", 1)[1])
        yield server
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stderr.close()


def _read(process: "subprocess.Popen[bytes]", lines: "Queue[dict[str, Any]]") -> None:
    for line in process.stderr:
        said = line.startswith(b"{")  # or it is the command's own last word
        lines.put(json.loads(line) if said else {"event": "error", "message": line.decode()})


def read_all(connection: socket.socket) -> bytes:
    """Return what comes until the server closes."""
    received = b""
    while part := connection.recv(1 << 16):
        received += part
    return received


def post(
    row: Any, *lines: bytes, path: str = "/v2/models/textbook/rows", version: str = "1.1"
) -> bytes:
    """Return a request for the prediction of rows, with more lines of headers."""
    body = json.dumps(row).encode()
    head = f"POST {path} HTTP/{version}\r\ncontent-length: {len(body)}\r\n".encode()
    return head + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def answers(received: bytes) -> list[tuple[int, Any]]:
    """Split what a connection received: (status, document) of each answer."""
    found = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        (length,) = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
        assert any(line.startswith(b"date:") for line in lines)
        # What the server refuses before it is a request is answered without a sentence.
        found.append((int(lines[0].split()[1]), json.loads(rest[:length] or "null")))
        received = rest[length:]
    return found
