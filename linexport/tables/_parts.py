"""What a table is made of: files or frames that yield batches."""

from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec
import polars as pl


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What to read of a table."""

    numbers: tuple[str, ...]
    """Columns that must hold numbers."""
    kept: tuple[str, ...]
    """Columns to hand on as they are; one may also be among the numbers."""
    text_remedy: Callable[[str], str]
    """Says what to do about text in a column of numbers, given its name."""


class Batch(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Rows that follow one another in one file."""

    numbers: pl.DataFrame
    """Columns of numeric or boolean type; null where a value is missing."""
    kept: pl.DataFrame
    """Columns as they are; text if they come from CSV."""
    source: str
    """The file, for messages."""
    first_row: int
    """Number of the first row in the file, counted from 1 without a header."""
    num_bytes: float
    """How much of the file these rows are: of Parquet, the rows' share of it; 0 in memory."""


class Part(Protocol):
    """One file or frame."""

    @property
    def source(self) -> str:
        """Its name for messages."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Its columns, each named once."""
        ...

    @property
    def is_file(self) -> bool:
        """Whether it is read from a file, and not from memory or a pipe."""
        ...

    @property
    def num_bytes(self) -> float | None:
        """The sum of `num_bytes` of its batches; None where only the end tells."""
        ...

    @property
    def size(self) -> int:
        """How much there is to read: in bytes for CSV, else in rows.

        Raises:
            DataError: If it can be read only once, and so not be shared.
        """
        ...

    def cut(self, start: int, stop: int) -> "Part":
        """Return the pieces whose middle lies from start to stop, as sizes are counted.

        Their rows keep their numbers, and nothing else is parsed or decoded.
        """
        ...

    def batches(self, selection: Selection) -> Iterator[Batch]:
        """Yield at least one batch, if only of no rows.

        Raises:
            DataError: Where the part cannot be read, or a number is text.
        """
        ...
