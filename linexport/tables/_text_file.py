"""What files of text on disk share: their size in bytes, and how several readers share one."""

import copy
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self, TypeVar

from linexport.errors import DataError
from linexport.tables._dialect import Dialect

T = TypeVar("T")


class Share(NamedTuple):
    """What one of several readers takes of a file: the blocks whose middle lies there, in bytes."""

    start: float = 0
    stop: float = math.inf

    def num_bytes(self, size: int) -> float:
        """Return how many there are, in a file of so many."""
        return max(min(size, self.stop) - max(self.start, 0), 0)

    def blocks(self, blocks: Iterable[tuple[T, int]]) -> Iterator[tuple[T, int, bool]]:
        """Yield all blocks up to the last one of these, each with its bytes and whether it is one.

        Those before tell the number of the first row.
        """
        start = 0
        for block, num_bytes in blocks:
            middle, start = start + num_bytes / 2, start + num_bytes
            if middle >= self.stop:
                break
            yield block, num_bytes, middle >= self.start


class TextFile:
    """A file of text on disk, which can be read any number of times; see Part."""

    is_file = True
    index_columns = ()

    def __init__(self, path: Path, source: str, dialect: Dialect) -> None:
        self._path = path
        self._dialect = dialect
        self._share = Share()
        self._status = path.stat()
        self.source = source

    @property
    def num_bytes(self) -> float:
        return self._share.num_bytes(self.size)

    @property
    def size(self) -> int:
        return self._status.st_size

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        """Open the file, which must in the end be what it was when it was opened first.

        Else a row may be cut in two, also in the midst of a number.

        Raises:
            DataError: If it has changed.
        """
        with self._path.open("rb") as stream:
            yield stream
            require_unchanged(self._status, os.fstat(stream.fileno()), self.source)

    def cut(self, start: int, stop: int) -> Self:
        """Return the blocks whose middle is there; see Part.

        Where a record begins cannot be told from the middle of a file, as there may be newlines
        in quotes, nor what is compressed be read from there. So what comes before the share is read
        too, but only its records are counted. In CSV that takes two fifths of the time that
        parsing does, or most of it among many quotes.
        """
        part = copy.copy(self)
        # Of a compressed file the last blocks may come when all its bytes are read: they lie at
        # its end, and belong to the share that ends there.
        part._share = Share(start, stop if stop < self.size else math.inf)  # noqa: SLF001 - its own class
        return part


def require_unchanged(before: os.stat_result, after: os.stat_result, source: str) -> None:
    """Refuse a file that another process has written, or replaced, meanwhile.

    Raises:
        DataError: If its size, its time of modification or the file itself is another.
    """
    if _identity(before) != _identity(after):
        was, now = before.st_size, after.st_size
        sizes = f" from {was} to {now} bytes" * (was != now)
        raise DataError(
            f"It has changed{sizes} while it was read: wait until it is written, or copy it first.",
            source=source,
        )


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
