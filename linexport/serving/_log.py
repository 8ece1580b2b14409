"""One JSON object a line: requests, and what happens to the server.

Of what was sent, only the address, the request's id, and what the reason of a refusal repeats.
"""

import logging
import os
import select
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import msgspec

from linexport.serving._http import Answer, encode_json

LONGEST_PATH = 200
"""Characters; a client may send thousands."""
WRITE_SECONDS = 0.1
"""For which lines of requests are collected: writing each by itself takes as long as all the rest
of a small request. A reader notices no delay, a crash loses few."""
MOST_LINES = 50_000
"""Waiting to be written, some 8 MiB: a reader who is merely slow catches up with them."""
PATIENCE_SECONDS = 2.0
"""For the reader to take what is left at the end."""


class _Request(msgspec.Struct, gc=False):
    time: datetime
    event: str
    method: str
    path: str
    status: int
    rows: int
    duration_ms: float
    id: str
    client: str
    reason: str | msgspec.UnsetType = msgspec.UNSET
    worker: int | msgspec.UnsetType = msgspec.UNSET


class Log:
    """Takes lines at once, and writes them in a thread of its own.

    A pipe that nobody reads makes whoever writes wait for ever; that is no reason to stop serving.
    Lines that find MOST_LINES before them are dropped, and how many is said where they are missing.
    """

    def __init__(
        self, write: Callable[[bytes], object], *, requests: bool = True, worker: int | None = None
    ) -> None:
        """Take what writes whole lines, in its own thread alone.

        Args:
            write: The lines.
            requests: Whether to note each request.
            worker: The number of this process among several, to be in each line.
        """
        self._write = write
        self._requests = requests
        self._worker = msgspec.UNSET if worker is None else worker
        self._waiting: deque[bytes] = deque()
        self._num_dropped = 0
        self._urgent = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="linexport-log", daemon=True)
        self._thread.start()

    def request(self, scope: Any, answer: Answer, request_id: str, seconds: float) -> None:
        """Note a request that was answered."""
        if self._requests:
            self._add(
                _Request(
                    datetime.now(UTC),
                    "request",
                    scope.method,
                    scope.path[:LONGEST_PATH],
                    answer.status,
                    answer.rows,
                    round(1000 * seconds, 3),
                    request_id,
                    scope.client,
                    answer.reason or msgspec.UNSET,
                    self._worker,
                )
            )

    def event(self, event: str, **facts: Any) -> None:
        """Note what happened to the server, to be written now."""
        if self._worker is not msgspec.UNSET:
            facts["worker"] = self._worker
        self._add({"time": datetime.now(UTC), "event": event, **facts})
        self._urgent.set()

    def failure(self, where: str, error: BaseException) -> None:
        """Note a mistake of ours: where in the code, without the values that it met."""
        frames = traceback.extract_tb(error.__traceback__)
        places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        self.event("failure", where=where, error=type(error).__name__, trace=places)

    def close(self) -> None:
        """Write what is left, if there is somebody to read it."""
        self._closed = True
        self._urgent.set()
        self._thread.join(PATIENCE_SECONDS)

    def _add(self, entry: Any) -> None:
        if len(self._waiting) >= MOST_LINES:
            self._num_dropped += 1
            return
        with suppress(ValueError):  # text that is no text
            self._waiting.append(encode_json(entry) + b"\n")

    def _run(self) -> None:
        while not self._closed or self._waiting:
            self._urgent.wait(WRITE_SECONDS)
            self._urgent.clear()
            lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if self._num_dropped:
                number, self._num_dropped = self._num_dropped, 0
                told = {"time": datetime.now(UTC), "event": "dropped", "lines": number}
                lines.append(encode_json(told) + b"\n")
            if lines:
                with suppress(OSError, ValueError):  # nobody is there any more
                    self._write(b"".join(lines))


class LogHandler(logging.Handler):
    """Brings the lines of other libraries into the same form."""

    def __init__(self, log: Log) -> None:
        """Take where they go."""
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Note one."""
        self._log.event(record.levelname.lower(), logger=record.name, message=record.getMessage())


@contextmanager
def logging_to_stderr(*, requests: bool, worker: int | None = None) -> Iterator[Log]:
    """Have lines written to standard error, and what is left of them in the end."""
    log = Log(_write_to_stderr, requests=requests, worker=worker)
    try:
        yield log
    finally:
        log.close()


def _write_to_stderr(lines: bytes) -> None:
    """Write past Python's buffer, whose lock a thread that waits for a reader would keep.

    Several processes write to one pipe, which keeps together what is no longer than PIPE_BUF.
    """
    if sys.stderr is None:  # it was closed before Python started
        return
    descriptor = sys.stderr.fileno()
    while lines:
        end = lines.rfind(b"\n", 0, select.PIPE_BUF) + 1 or len(lines)
        lines = lines[os.write(descriptor, lines[:end]) :]
