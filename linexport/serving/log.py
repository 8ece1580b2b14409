"""One JSON object a line: requests, and what happens to the server. Never what was sent."""

import logging
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec

from linexport.serving._exchange import encode_json

__all__ = ["Log"]

LONGEST_PATH = 200
"""Characters; a client may send thousands."""


class _Request(msgspec.Struct):
    time: datetime
    event: str
    method: str
    path: str
    status: int
    rows: int
    duration_ms: float


class Log:
    """Writes lines; that nobody reads them any more is no reason to stop serving."""

    def __init__(self, write: Callable[[bytes], object], *, requests: bool = True) -> None:
        """Take what writes whole lines, and whether to log each request."""
        self._write = write
        self._requests = requests
        self._lines: list[bytes] = []
        self._later: Callable[[Callable[[], None]], object] | None = None

    def collect(self, later: Callable[[Callable[[], None]], object]) -> None:
        """Write the lines of requests together from now on, which is half of what they cost.

        Args:
            later: Calls what it is given a little later.
        """
        self._later = later

    def request(self, method: str, path: str, status: int, rows: int, seconds: float) -> None:
        """Note a request that was answered."""
        if self._requests:
            milliseconds = round(1000 * seconds, 3)
            path = path[:LONGEST_PATH]
            self._add(
                _Request(datetime.now(UTC), "request", method, path, status, rows, milliseconds)
            )
            if self._later is None:
                self.flush()
            elif len(self._lines) == 1:
                self._later(self.flush)

    def event(self, event: str, **facts: Any) -> None:
        """Note what happened to the server, at once."""
        self._add({"time": datetime.now(UTC), "event": event, **facts})
        self.flush()

    def flush(self) -> None:
        """Write the lines that were collected."""
        lines, self._lines = self._lines, []
        with suppress(OSError, ValueError):
            self._write(b"".join(lines))

    def failure(self, where: str, error: BaseException) -> None:
        """Note a mistake of ours: where in the code, without the values that it met."""
        frames = traceback.extract_tb(error.__traceback__)
        places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        self.event("failure", where=where, error=type(error).__name__, trace=places)

    def handler(self) -> logging.Handler:
        """Return a handler that brings the lines of other libraries into the same form."""
        return _Handler(self)

    def _add(self, entry: Any) -> None:
        with suppress(ValueError):  # text that is no text
            self._lines.append(encode_json(entry) + b"\n")


class _Handler(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.event(record.levelname.lower(), logger=record.name, message=record.getMessage())
