"""CSV as polars parses it.

The file is read in blocks of whole records, each parsed by polars: memory stays constant, every
value counts for the type of its column, and every message can name the row.
"""

import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from linexport._polars import pl
from linexport.errors import DataError
from linexport.tables._dialect import Dialect
from linexport.tables._misfits import units_remedy, wrong_width
from linexport.tables._numbers import FrameBatch, Kind, is_plain, not_a_number, parse_numbers
from linexport.tables._part import Selection
from linexport.tables._records import Records, not_text, records
from linexport.tables._text_file import Share, TextFile


class CsvFile(TextFile):
    """A CSV file on disk."""

    def __init__(self, path: Path, source: str, dialect: Dialect) -> None:
        super().__init__(path, source, dialect)
        with self._opened() as stream:
            self.names = records(stream, source, dialect).names

    def batches(self, selection: Selection) -> Iterator[FrameBatch]:
        with self._opened() as stream:
            found = records(stream, self.source, self._dialect)
            parser = _Parser(found, self._dialect, self.source, selection)
            yield from parser.batches(_sized(found, stream), self._share)


class CsvStream:
    """CSV that can be read only once: standard input, or a pipe, which is closed at the end."""

    is_file = False
    index_columns = ()
    num_bytes = None

    def __init__(self, stream: BinaryIO, source: str, dialect: Dialect) -> None:
        self._stream = stream
        self._dialect = dialect
        self.source = source
        # Importing polars makes the system go on with a read that Ctrl-C has interrupted; this
        # undoes it, so that waiting for a pipe can be ended.
        signal.siginterrupt(signal.SIGINT, True)
        self._records: Records | None = records(stream, source, dialect)
        self.names = self._records.names

    @property
    def size(self) -> int:
        raise DataError(
            "It can be read only once, and so not be shared between ranks; save it to a file.",
            source=self.source,
        )

    def cut(self, start: int, stop: int) -> "CsvStream":  # noqa: ARG002
        raise AssertionError("what has no size is not cut")

    def batches(self, selection: Selection) -> Iterator[FrameBatch]:
        if self._records is None:
            raise DataError("It can be read only once; save it to a file.", source=self.source)
        found, self._records = self._records, None
        parser = _Parser(found, self._dialect, self.source, selection)
        yield from parser.batches(((block, len(block)) for block in found.blocks), Share())
        if self._stream is not sys.stdin.buffer:
            self._stream.close()


class _Parser:
    """Parses the blocks of one file, in order."""

    def __init__(self, found: Records, dialect: Dialect, source: str, selection: Selection) -> None:
        self._names = found.names
        self._delimiter = found.delimiter
        self._top = found.top
        self._dialect = dialect
        self._source = source
        self._selection = selection
        self._kinds: dict[str, Kind | None] = dict.fromkeys(selection.numbers)
        # polars parses a number fastest while it splits the line, but then knows no missing value
        # other than an empty one and no boolean. A column that shows one is read as text, as are
        # kept columns, from there on.
        self._parsed_by_polars = (
            set(selection.numbers) - set(selection.kept) if dialect.has_plain_numbers else set()
        )

    def batches(self, blocks: Iterable[tuple[bytes, int]], share: Share) -> Iterator[FrameBatch]:
        """Parse each block of the share.

        Args:
            blocks: Of whole records, and what each is of the file, in bytes.
            share: In bytes from the first record.
        """
        next_row, first_block, is_empty = 1, b"", True
        for block, num_bytes, is_ours in share.blocks(blocks):
            if not is_ours:
                first_block = first_block or block
                next_row += _count_records(block)
                continue
            if is_empty and first_block:  # it says which columns hold booleans
                self._batch(self._split(first_block, 1), 1, 0)
            frame = self._split(block, next_row)
            yield self._batch(frame, next_row, num_bytes)
            next_row += frame.height
            is_empty = False
        if is_empty:
            yield self._batch(pl.DataFrame(schema=self._schema()), next_row, 0)

    def _split(self, block: bytes, first_row: int) -> pl.DataFrame:
        """Return the block's fields, as numbers where polars can parse them, else as text."""
        self._check_encoding(block, first_row)
        try:
            frame = self._read(block)
        except pl.exceptions.PolarsError:
            return self._split_as_text(block, first_row)
        if frame.to_series(-1).has_nulls():  # as a line that is too short leaves it
            self._check_structure(block, first_row)
        return frame

    def _split_as_text(self, block: bytes, first_row: int) -> pl.DataFrame:
        self._check_structure(block, first_row)
        plain, self._parsed_by_polars = self._parsed_by_polars, set()
        try:
            frame = self._read(block)
        except pl.exceptions.PolarsError as error:
            raise self._malformed(block, first_row) from error
        self._parsed_by_polars = {
            name for name in plain if is_plain(frame.get_column(name), self._dialect)
        }
        return frame

    def _read(self, block: bytes) -> pl.DataFrame:
        return pl.read_csv(
            block,
            has_header=False,
            schema=self._schema(),
            separator=self._delimiter,
        )

    def _schema(self) -> dict[str, type[pl.DataType]]:
        return {
            name: pl.Float64 if name in self._parsed_by_polars else pl.String
            for name in self._names
        }

    def _check_structure(self, block: bytes, first_row: int) -> None:
        self._check_field_counts(block, first_row)
        self._check_quotes(block, first_row)

    def _check_encoding(self, block: bytes, first_row: int) -> None:
        """Raise DataError at the first byte that is not UTF-8."""
        if block.isascii():
            return
        try:
            block.decode("utf-8")
        except UnicodeDecodeError as error:
            row = first_row + int(_record_ends(block).searchsorted(error.start))
            raise DataError(
                not_text(block[error.start], self._dialect), source=self._source, row=row
            ) from error

    def _check_quotes(self, block: bytes, first_row: int) -> None:
        """Raise DataError if a quote is never closed."""
        if block.count(b'"') % 2:
            raise DataError(
                "A quote is never closed; close it, or double it inside a quoted field.",
                source=self._source,
                row=first_row + len(_record_ends(block)),
            )

    def _check_field_counts(self, block: bytes, first_row: int) -> None:
        """Raise DataError at the first record that has not one field for each column."""
        (separators,) = _outside_quotes(block, self._delimiter).nonzero()
        num_columns, ends = len(self._names), _record_ends(block)
        num_fields = np.diff(separators.searchsorted(ends), prepend=0) + 1
        wrong = np.flatnonzero(num_fields != num_columns)
        if not len(wrong):
            return
        row = int(wrong[0])
        record = block[int(ends[row - 1]) + 1 if row else 0 : int(ends[row])]
        raise DataError(
            wrong_width(
                record, int(num_fields[row]), num_columns, self._delimiter, self._top, self._source
            ),
            source=self._source,
            row=first_row + row,
        )

    def _malformed(self, block: bytes, first_row: int) -> DataError:
        """Find the first record that polars refuses; all of them have the right width."""
        ends = _record_ends(block)
        good, bad = 0, len(ends)  # so many records can be read, and cannot
        while bad - good > 1:
            middle = (good + bad) // 2
            try:
                self._read(block[: int(ends[middle - 1]) + 1])
            except pl.exceptions.PolarsError:
                bad = middle
            else:
                good = middle
        return DataError(
            "Its quotes do not match; quote the whole field and double the quotes inside it.",
            source=self._source,
            row=first_row + good,
        )

    def _batch(self, frame: pl.DataFrame, first_row: int, num_bytes: int) -> FrameBatch:
        numbers = [self._parse(frame, name, first_row) for name in self._selection.numbers]
        return FrameBatch(
            frame=pl.DataFrame(numbers),
            kept=pl.DataFrame({name: frame.get_column(name) for name in self._selection.kept}),
            source=self._source,
            first_row=first_row,
            num_bytes=num_bytes,
        )

    def _parse(self, frame: pl.DataFrame, name: str, first_row: int) -> pl.Series:
        column = frame.get_column(name)
        numbers, kind, wrong = parse_numbers(column, self._kinds[name], self._dialect)
        if wrong is not None:
            remedy = self._selection.text_remedy
            if first_row == 1 and wrong == 0 and self._is_above_numbers(column):
                remedy = units_remedy
            raise not_a_number(
                column, wrong, self._source, first_row, remedy, kind=kind, dialect=self._dialect
            )
        self._kinds[name] = kind
        return numbers

    def _is_above_numbers(self, column: pl.Series) -> bool:
        """Tell whether all but the first of some text are numbers, as under a row of units."""
        below, _, wrong = parse_numbers(column[1:], None, self._dialect)
        return wrong is None and below.count() > 0


def _sized(found: Records, stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Say how much of the file each block is, which is not its length where the file is no UTF-8.

    Those that one read made together are of no bytes but the first.
    """
    read = 0
    for block in found.blocks:
        before, read = read, read + len(block) if found.as_it_lies else stream.tell()
        yield block, read - before


def _count_records(block: bytes) -> int:
    """Return how many records a block of whole ones holds."""
    return b"".join(block.split(b'"')[::2]).count(b"\n")  # every other part is within quotes


def _record_ends(block: bytes) -> NDArray[np.intp]:
    """Return where the newlines are that end a record."""
    (ends,) = _outside_quotes(block, "\n").nonzero()
    return ends


def _outside_quotes(block: bytes, character: str) -> NDArray[np.bool_]:
    characters = np.frombuffer(block, dtype=np.uint8)
    found: NDArray[np.bool_] = characters == ord(character)
    if b'"' in block:
        found &= ~np.logical_xor.accumulate(characters == ord('"'))
    return found
