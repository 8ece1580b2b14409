"""Small, plain CSV, without polars, byte for byte as it is with polars.

To load polars takes as long as all else that predicting a few rows takes. A file is plain if it has
at most LARGEST bytes, and as many numbers in each line as the header has names: digits, with a
minus, a fraction or an exponent or without, and no spaces or quotes; and if of its dialect no more
is said than the delimiter.
"""

import io
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import msgspec
import numpy as np

from linexport._arrays import Float64Array, FloatArray, FloatDType
from linexport.tables._dialect import USUAL, Dialect
from linexport.tables._records import CSV_DELIMITERS, SIGNATURE_BYTES, is_text, records
from linexport.tables._text_file import Share, require_unchanged

if TYPE_CHECKING:
    from linexport._polars import pl
    from linexport.tables._part import Selection

LARGEST = 1 << 16
"""Bytes of a file. So many take 30 ms to read and write here, 100 ms if each number has one digit;
to load polars takes 170."""

_Fields = Sequence[Sequence[str]]
"""Of rows: numbers as they stand in the file."""
_NAME = re.compile(r"[\w.-]+( [\w.-]+)*")
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_POSITIONAL = {4: (1e-6, 1e13), 8: (1e-5, 1e16)}
"""From where and below where polars writes a number without an exponent, by the bytes of one."""


class PlainFile(msgspec.Struct, frozen=True):
    """A file that is plain, held in memory; see Part."""

    source: str
    names: tuple[str, ...]
    size: int
    """Bytes."""
    blocks: Sequence[tuple[_Fields, int]]
    """Rows that polars would be given at once, and their bytes."""
    share: Share = Share()

    is_file: ClassVar[bool] = False  # it is read already
    index_columns: ClassVar[tuple[str, ...]] = ()

    @property
    def num_bytes(self) -> float:
        return self.share.num_bytes(self.size)

    def cut(self, start: int, stop: int) -> "PlainFile":
        return msgspec.structs.replace(self, share=Share(start, stop))

    def batches(self, selection: "Selection") -> "Iterator[PlainBatch]":
        places = {name: place for place, name in enumerate(self.names)}
        batch = PlainBatch(
            source=self.source,
            first_row=1,
            num_bytes=0,
            fields=(),
            chosen=[places[name] for name in selection.numbers],
            kept=selection.kept,
            kept_places=[places[name] for name in selection.kept],
        )
        is_empty = True
        for fields, num_bytes, is_ours in self.share.blocks(self.blocks):
            if is_ours:
                yield msgspec.structs.replace(batch, fields=fields, num_bytes=num_bytes)
                is_empty = False
            batch = msgspec.structs.replace(batch, first_row=batch.first_row + len(fields))
        if is_empty:
            yield batch


class PlainBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that follow one another; see Batch."""

    source: str
    first_row: int
    num_bytes: float
    fields: _Fields
    chosen: Sequence[int]
    """Where the numbers are in each row."""
    kept: Sequence[str]
    kept_places: Sequence[int]

    @property
    def num_rows(self) -> int:
        return len(self.fields)

    @property
    def held_bytes(self) -> float:
        """No more than the file, in memory anyway."""
        return 0

    @property
    def number_types(self) -> Sequence[str]:
        """What text is read as."""
        return ["Float64"] * len(self.chosen)

    @property
    def kept_types(self) -> Sequence[str]:
        """Text, as polars calls it."""
        return ["String"] * len(self.kept)

    def numbers(self, dtype: FloatDType | None = None) -> FloatArray:
        with np.errstate(over="ignore"):
            return self._float64().astype(dtype or np.float64, order="K", copy=False)

    def blocks(self) -> Iterator[tuple[int, Float64Array]]:
        yield 0, self._float64()

    def _float64(self) -> Float64Array:
        columns = [[float(row[place]) for row in self.fields] for place in self.chosen]
        return np.array(columns, np.float64).reshape(len(columns), self.num_rows).T

    def kept_and(self, names: Sequence[str], values: FloatArray) -> "PlainRows":
        kept = [[row[place] for place in self.kept_places] for row in self.fields]
        return PlainRows((*self.kept, *names), kept, values)


class PlainRows(msgspec.Struct, frozen=True):
    """Rows that are written; see WrittenRows."""

    names: tuple[str, ...]
    kept: _Fields
    values: FloatArray
    """Shape (n, K): the last K of the columns."""

    @property
    def height(self) -> int:
        return len(self.values)

    def write_csv(self, file: BinaryIO, *, include_header: bool, separator: str) -> None:
        """Write CSV; numbers get the fewest digits that read back as the same bits."""
        if not (all(map(_NAME.fullmatch, self.names)) and np.isfinite(self.values).all()):
            self._frame().write_csv(file, include_header=include_header, separator=separator)
            return
        lines = [separator.join(self.names)] if include_header else []
        numbers = zip(*(map(_shortest, column) for column in self.values.T), strict=True)
        lines += (
            separator.join([*row, *texts]) for row, texts in zip(self.kept, numbers, strict=True)
        )
        file.write("".join(f"{line}\n" for line in lines).encode())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._frame().__arrow_c_stream__(requested_schema)

    def _frame(self) -> "pl.DataFrame":
        from linexport._polars import pl

        num_kept = len(self.names) - self.values.shape[1]
        text = {
            name: pl.Series([row[place] for row in self.kept], dtype=pl.String)
            for place, name in enumerate(self.names[:num_kept])
        }
        numbers = dict(zip(self.names[num_kept:], self.values.T, strict=True))
        return pl.DataFrame(text | numbers)


def read_plain(path: Path, source: str, dialect: Dialect = USUAL) -> PlainFile | None:
    """Read a file if it is plain.

    Raises:
        DataError: If its header is none of CSV, plain or not.
        OSError: If it cannot be read.
    """
    is_usual = replace(dialect, delimiter=None) == USUAL
    if not is_usual or dialect.delimiter not in (None, *CSV_DELIMITERS):
        return None
    with path.open("rb") as stream:
        before = os.fstat(stream.fileno())
        if before.st_size > LARGEST:
            return None
        data = stream.read()
        require_unchanged(before, os.fstat(stream.fileno()), source)
    if not is_text(data[:SIGNATURE_BYTES], dialect):
        return None
    names, delimiter, blocks, *_ = records(io.BytesIO(data), source, dialect)
    plain = re.compile(_NUMBER + f"(?:{re.escape(delimiter)}{_NUMBER}){{{len(names) - 1}}}")
    parsed = []
    for block in blocks:
        rows = block.decode("latin-1").replace("\r\n", "\n").split("\n")
        if rows.pop() or not all(map(plain.fullmatch, rows)):
            return None
        parsed.append(([row.split(delimiter) for row in rows], len(block)))
    return PlainFile(source, names, len(data), parsed)


def _shortest(value: np.floating[Any]) -> str:
    """Write a number as polars does."""
    smallest, limit = _POSITIONAL[value.itemsize]
    size, as_type = abs(value), value.dtype.type
    if size == 0 or as_type(smallest) <= size < as_type(limit):
        return np.format_float_positional(value, unique=True, trim="0")
    return np.format_float_scientific(value, unique=True, trim="-", exp_digits=1)
