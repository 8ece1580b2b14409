"""JSON lines: an object in each, whose members are columns.

The first block of the file, 8 MiB, says which columns there are; one that a line lacks has no value
there. Text that is a number is one, as in CSV, and so are the spellings of no value.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from linexport._polars import pl
from linexport.columns import require_unique
from linexport.errors import DataError
from linexport.tables._dialect import Dialect
from linexport.tables._numbers import FAULTS, FrameBatch, Kind, text_numbers
from linexport.tables._part import Selection, unreadable
from linexport.tables._records import UTF8_BOM, lines, not_text, record_blocks
from linexport.tables._text_file import TextFile

_DEEPEST = 16
"""Of objects and lists within one another. What polars takes grows with the cube of the depth:
10 GB for 900."""
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"')


def _too_deep(block: bytes) -> int | None:
    """Return the first line that is nested too deep, counted from 0; blank ones are none."""
    if block.count(b"{") + block.count(b"[") <= block.count(b"\n"):  # as most are
        return None
    characters = np.frombuffer(re.sub(rb"\n\s+", b"\n", _STRING.sub(b"", block)), np.uint8)
    # In ASCII, [ and ] differ from { and } by 32 alone.
    folded = characters & ~np.uint8(32)
    steps = (folded == ord("[")).view(np.int8) - (folded == ord("]")).view(np.int8)
    deep = np.flatnonzero(steps.cumsum(dtype=np.int32) > _DEEPEST)
    return int((characters[: deep[0]] == ord("\n")).sum()) if len(deep) else None


class JsonLines(TextFile):
    """A file of JSON lines."""

    def __init__(self, path: Path, source: str, dialect: Dialect) -> None:
        super().__init__(path, source, dialect)
        first = next(self._blocks(), None)
        if first is None:
            raise DataError("The file is empty.", source=source)
        self._schema = self._parsed(first[0], 1).schema
        self.names = require_unique(self._schema.names(), source)

    def batches(self, selection: Selection) -> Iterator[FrameBatch]:
        next_row, is_empty = 1, True
        kinds: dict[str, Kind | None] = dict.fromkeys(selection.numbers)
        for block, num_bytes, is_ours in self._share.blocks(self._blocks()):
            if not is_ours:
                next_row += sum(bool(line.strip()) for line in io.BytesIO(block))
                continue
            frame = self._parsed(block, next_row)
            yield self._batch(frame, selection, kinds, next_row, num_bytes)
            next_row += frame.height
            is_empty = False
        if is_empty:
            yield self._batch(pl.DataFrame(schema=self._schema), selection, kinds, next_row, 0)

    def _blocks(self) -> Iterator[tuple[bytes, int]]:
        """Yield blocks of whole lines, with what was read of the file for each."""
        with self._opened() as stream:
            read = 0
            for block in record_blocks(lines(stream, self._dialect, self.source), quoted=False):
                before, read = read, stream.tell()
                yield block.removeprefix(UTF8_BOM) if not before else block, read - before

    def _parsed(self, block: bytes, first_row: int) -> pl.DataFrame:
        if (row := _too_deep(block)) is not None:
            raise self._malformed(block, first_row) or DataError(
                f"The line is nested more than {_DEEPEST} deep; a column holds one value per row.",
                source=self.source,
                row=first_row + row,
            )
        try:
            return pl.read_ndjson(block, infer_schema_length=None)
        except FAULTS as error:
            raise self._malformed(block, first_row) or unreadable(error, self.source) from error

    def _malformed(self, block: bytes, first_row: int) -> DataError | None:
        """Return what to say of the first line that is no JSON object."""
        rows = (line for line in io.BytesIO(block) if line.strip())
        for row, line in enumerate(rows, start=first_row):
            try:
                msgspec.json.decode(line, type=dict)
            except UnicodeDecodeError as error:
                reason = not_text(line[error.start], self._dialect)
                return DataError(reason, source=self.source, row=row)
            except (msgspec.MsgspecError, RecursionError) as error:
                reason = f"The line is no JSON object: {error}."
                return DataError(reason, source=self.source, row=row)
        return None

    def _batch(
        self,
        frame: pl.DataFrame,
        selection: Selection,
        kinds: dict[str, Kind | None],
        first_row: int,
        num_bytes: int,
    ) -> FrameBatch:
        columns = {column.name: column for column in frame.iter_columns()}
        found = {name: self._column(columns.get(name), name, frame.height) for name in self.names}
        remedy = selection.text_remedy
        numbers = [
            text_numbers(found[name], kinds, self._dialect, self.source, first_row, remedy)
            for name in kinds
        ]
        return FrameBatch(
            frame=pl.DataFrame(numbers),
            kept=pl.DataFrame({name: found[name] for name in selection.kept}),
            source=self.source,
            first_row=first_row,
            num_bytes=num_bytes,
        )

    def _column(self, column: pl.Series | None, name: str, num_rows: int) -> pl.Series:
        """Return a column, of the type that the first block has where this one has no value."""
        if column is None:
            return pl.Series(name, [None], self._schema[name]).new_from_index(0, num_rows)
        return column.cast(self._schema[name]) if column.dtype == pl.Null else column
