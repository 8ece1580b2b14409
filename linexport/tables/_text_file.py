"""What files of text on disk share: their size in bytes, and how several readers share one."""

import copy
import math
from pathlib import Path
from typing import Self

from linexport.tables._dialect import Dialect


class TextFile:
    """A file of text on disk, which can be read any number of times; see Part."""

    is_file = True
    index_columns = ()

    def __init__(self, path: Path, source: str, dialect: Dialect) -> None:
        self._path = path
        self._dialect = dialect
        self._share: tuple[float, float] = (0, math.inf)
        self.source = source

    @property
    def num_bytes(self) -> float:
        start, stop = self._share
        return max(min(self.size, stop) - max(start, 0), 0)

    @property
    def size(self) -> int:
        return self._path.stat().st_size

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
        part._share = (start, stop if stop < self.size else math.inf)  # noqa: SLF001 - its own class
        return part
