"""What a table is made of: parts, one for each file or frame, and the batches that they yield.

Each kind of file has a module of its own behind this; nothing above knows which it was.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from linexport._arrays import Float64Array, FloatArray, FloatDType
from linexport._files import first_line, meant
from linexport.errors import DataError


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What to read of a table."""

    numbers: tuple[str, ...]
    """Columns that must hold numbers."""
    kept: tuple[str, ...]
    """Columns to hand on as they are; one may also be among the numbers."""
    text_remedy: Callable[[str], str]
    """Says what to do about text in a column of numbers, given its name."""


class WrittenRows(Protocol):
    """Rows as they are written; a polars DataFrame is such."""

    @property
    def height(self) -> int:
        """How many there are."""

    def write_csv(self, file: BinaryIO, *, include_header: bool, separator: str) -> None:
        """Write them as polars does."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Hand them over as Arrow, for whatever is not CSV."""


class Batch(Protocol):
    """Rows that follow one another in one file."""

    @property
    def source(self) -> str:
        """The file, for messages."""

    @property
    def first_row(self) -> int:
        """Number of the first row in the file, counted from 1 without a header."""

    @property
    def num_rows(self) -> int:
        """How many there are."""

    @property
    def num_bytes(self) -> float:
        """How much of the file they are: of Parquet, the rows' share of it; 0 in memory."""

    @property
    def held_bytes(self) -> float:
        """How much memory they take."""

    @property
    def number_types(self) -> Sequence[str]:
        """Of the numbers as they came, in polars' words: Float32 says that they were rounded so."""

    @property
    def kept_types(self) -> Sequence[str]:
        """Of the columns to hand on."""

    def numbers(self, dtype: FloatDType | None = None) -> FloatArray:
        """Return (n, C) numbers, float64 unless said; one column lies after the other.

        Each is rounded once: NaN where a value is missing, infinity where it is too large.
        """

    def blocks(self) -> Iterator[tuple[int, Float64Array]]:
        """Yield at least one block (m, C) of the numbers, and the rows before it.

        Columns lie side by side. A block stays in the cache while it is dealt with, so that all
        rows cross the memory bus once.
        """

    def kept_and(self, names: Sequence[str], values: FloatArray) -> WrittenRows:
        """Return the columns to hand on, and after them (n, K) values of the names."""


class Part(Protocol):
    """One file or frame."""

    @property
    def source(self) -> str:
        """Its name for messages."""

    @property
    def names(self) -> tuple[str, ...]:
        """Its columns, each named once."""

    @property
    def index_columns(self) -> Sequence[str]:
        """Those of its columns that pandas says are the index of its rows, not data."""

    @property
    def is_file(self) -> bool:
        """Whether it is read from a file, and so ahead; not from memory or a pipe."""

    @property
    def num_bytes(self) -> float | None:
        """The sum of `num_bytes` of its batches; None where only the end tells."""

    @property
    def size(self) -> int:
        """How much there is to read: in bytes for CSV, else in rows.

        Raises:
            DataError: If it can be read only once, and so not be shared.
        """

    def cut(self, start: int, stop: int) -> "Part":
        """Return the pieces whose middle lies from start to stop, as sizes are counted.

        Their rows keep their numbers, and nothing else is parsed or decoded.
        """

    def batches(self, selection: Selection) -> Iterator[Batch]:
        """Yield at least one batch, if only of no rows.

        Raises:
            DataError: Where the part cannot be read, or a number is text.
        """


def unreadable(error: BaseException, source: str, column: str | None = None) -> DataError:
    """Say why something cannot be read, as whatever failed has it."""
    reason = getattr(error, "strerror", None) or first_line(error).rstrip(".")
    if type(error).__name__ == "DuplicateError":  # of polars, which may not be loaded
        return DataError(f"Two columns have one name: {reason}; rename one.", source=source)
    end = meant(Path(source)) if isinstance(error, FileNotFoundError) else "."
    return DataError(f"It cannot be read: {reason}{end}", source=source, column=column)
