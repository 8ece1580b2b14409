"""Writing for a reader who may be slow, or have stopped reading."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from linexport.serving._exchange import encode_json

__all__ = ["Backlog"]

MOST_BYTES = 8 << 20
"""Waiting to be written: some 50,000 lines, which a reader who is merely slow catches up with."""
PATIENCE_SECONDS = 2.0
"""For the reader to take what is left at the end."""


class Backlog:
    """Takes whole lines at once, and writes them in a thread of its own.

    A pipe that nobody reads makes whoever writes wait for ever. Lines that find MOST_BYTES before
    them are dropped, and how many is said where they are missing.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        """Take what writes; only its own thread calls it."""
        self._write = write
        self._waiting: list[bytes] = []
        self._num_bytes = self._num_dropped = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="linexport-log", daemon=True)
        self._thread.start()

    def add(self, lines: bytes) -> None:
        """Have lines written, in the order in which they come."""
        with self._changed:
            if self._num_bytes + len(lines) > MOST_BYTES:
                self._num_dropped += lines.count(b"\n")
                return
            if self._num_dropped:
                told = {"time": datetime.now(UTC), "event": "dropped", "lines": self._num_dropped}
                lines = encode_json(told) + b"\n" + lines
                self._num_dropped = 0
            self._waiting.append(lines)
            self._num_bytes += len(lines)
            self._changed.notify()

    def close(self) -> None:
        """Write what is left, if there is somebody to read it."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(PATIENCE_SECONDS)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                lines, self._waiting = b"".join(self._waiting), []
            with suppress(OSError, ValueError):  # nobody is there any more
                self._write(lines)
            with self._changed:
                self._num_bytes -= len(lines)
