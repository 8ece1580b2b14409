"""Parquet files, and frames of polars."""

import copy
import functools
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from linexport._polars import pl
from linexport.columns import require_unique
from linexport.errors import DataError
from linexport.tables._arrow_footer import record_batches
from linexport.tables._dialect import Dialect
from linexport.tables._numbers import FAULTS, FrameBatch, Kind, require_numbers, text_numbers
from linexport.tables._parquet_footer import PARQUET_MAGIC, read_footer
from linexport.tables._parquet_pages import memory_of
from linexport.tables._part import Selection, unreadable
from linexport.tables._spans import rows_per_batch, spans

_BYTES_PER_READ = 24 << 20  # what smaller row groups are joined to: each costs 3 to 5 ms by itself
_WIDE = 512  # columns; with more of them, row groups are read in parts
_BYTES_PER_WIDE_READ = 72 << 20  # of rows: polars loads all of a column's row group for some of it,
_BYTES_LOADED, _FEWEST_COLUMNS = 16 << 20, 16  # so columns are taken by the few
_FREE_READ, _READ_PER_BYTE = 256 << 20, 16  # bytes that a file of so many makes in one read
_NARROW = (pl.Float32, pl.Int32, pl.UInt32)  # 4 bytes each; others are taken for 8
_MOST_ROWS_OF_FILE = 2**32 - 2


class RowGroup(NamedTuple):
    """Rows that a file holds together; a record batch of Arrow IPC is one too."""

    start: int
    stop: int
    place: int
    """Which one of the file it is."""


class Frame:
    """A lazy frame, evaluated a batch at a time.

    Memory grows with the largest row group of Parquet or record batch of Arrow IPC, not with the
    file. Row groups of many columns, which are as long as others and so much larger, are read in
    parts, and so are those that make far more than their file holds.
    """

    def __init__(
        self,
        frame: pl.LazyFrame,
        source: str,
        *,
        row_groups: list[RowGroup] | None = None,
        memory_of: Callable[[int], int] = lambda _: 0,
        file_bytes: int = 0,
        path: Path | None = None,
        dialect: Dialect | None = None,
    ) -> None:
        """Take rows, and what tells the sizes of the pieces that they can only be read in.

        The rows are all of a file of so many bytes, 0 where they are in memory; the path is that of
        Parquet.
        With a dialect, text may be numbers.
        """
        self._dialect = dialect
        self._path = path
        self._frame = frame
        self.source = source
        self._file_bytes = file_bytes
        self._row_groups, self._memory_of = row_groups, memory_of
        self._share: tuple[int, int] | None = None
        try:
            self._schema = frame.collect_schema()
        except FAULTS as error:
            raise unreadable(error, source) from error
        self.names = require_unique(self._schema.names(), source)

    @property
    def is_file(self) -> bool:
        return self._row_groups is not None

    @property
    def index_columns(self) -> tuple[str, ...]:
        if self._path is None:
            return ()
        try:
            metadata = pl.read_parquet_metadata(self._path)
        except FAULTS as error:
            raise unreadable(error, self.source) from error
        return index_columns(metadata.get("pandas"), self.names)

    @property
    def num_bytes(self) -> float:
        if self._row_groups is None or self._share is None:
            return self._file_bytes
        num_rows = sum(group.stop - group.start for group in self._shared(self._row_groups))
        return num_rows * self._bytes_per_row()

    @property
    def size(self) -> int:
        if self._row_groups is not None:
            return max((group.stop for group in self._row_groups), default=0)
        return int(self._frame.select(pl.len()).collect().item())

    def cut(self, start: int, stop: int) -> "Frame":
        part = copy.copy(self)
        part._share = (max(start, 0), max(start, stop, 0))  # noqa: SLF001 - its own class
        return part

    def batches(self, selection: Selection) -> Iterator[FrameBatch]:
        names = list(dict.fromkeys(selection.numbers + selection.kept))
        num_rows = rows_per_batch(len(names))
        bytes_per_row = self._bytes_per_row()
        kinds: dict[str, Kind | None] = {}
        for first_row, frame in self._numbered(names, num_rows):
            numbers, kept = (_columns(frame, each) for each in (selection.numbers, selection.kept))
            if self._dialect is None:
                require_numbers(numbers, self.source, first_row, selection.text_remedy)
            for start, stop in spans(frame, num_rows):
                rows = numbers.slice(start, stop - start)
                if self._dialect is not None:
                    rows = self._parsed(rows, kinds, first_row + start, selection)
                yield FrameBatch(
                    frame=rows,
                    kept=kept.slice(start, stop - start),
                    source=self.source,
                    first_row=first_row + start,
                    num_bytes=(stop - start) * bytes_per_row,
                )
            del frame, numbers, kept, rows  # their memory is needed for the next ones

    def _parsed(
        self,
        numbers: pl.DataFrame,
        kinds: dict[str, Kind | None],
        first_row: int,
        selection: Selection,
    ) -> pl.DataFrame:
        dialect, remedy = self._dialect or Dialect(), selection.text_remedy
        return pl.DataFrame(
            [
                text_numbers(column, kinds, dialect, self.source, first_row, remedy)
                for column in numbers.iter_columns()
            ]
        )

    def _bytes_per_row(self) -> float:
        return self._file_bytes / max(self.size, 1) if self._file_bytes else 0.0

    def _numbered(self, names: list[str], num_rows: int) -> Iterator[tuple[int, pl.DataFrame]]:
        """Yield at least one frame, with the number of its first row."""
        is_empty = True
        try:
            for numbered in self._read(names, num_rows):
                yield numbered
                is_empty = False
                del numbered  # see `batches`
        except FAULTS as error:
            raise unreadable(error, self.source) from error
        if is_empty:
            yield 1, pl.DataFrame(schema={name: self._schema[name] for name in names})

    def _read(self, names: list[str], num_rows: int) -> Iterator[tuple[int, pl.DataFrame]]:
        if self._row_groups is None:
            rows, first_row = self._frame, 1
            if self._share is not None:
                start, stop = self._share
                rows, first_row = rows.slice(start, stop - start), start + 1
            for frame in _selected(rows, names).collect_batches(chunk_size=num_rows):
                yield first_row, frame
                first_row += frame.height
            return
        # One read at a time: polars would hold a dozen row groups otherwise, to gain nothing here.
        bytes_per_row = sum(4 if self._schema[name] in _NARROW else 8 for name in names)
        most, wide = max(_BYTES_PER_READ // bytes_per_row, num_rows), len(names) > _WIDE
        worth = _FREE_READ + _READ_PER_BYTE * self._file_bytes  # of nulls, a byte may hold millions
        is_loaded = self._path is None  # all of a record batch, for any of its rows
        row_groups = self._shared(self._row_groups)
        for start, stop in _joined(row_groups, self._memory_of, most, worth):
            if not wide and (is_loaded or (stop - start) * bytes_per_row <= worth):
                rows = self._frame.slice(start, stop - start)
                yield start + 1, _selected(rows, names).collect()
                continue
            step = stop - start
            if not is_loaded:
                # Of whole batches: to add up the sums of a few rows takes as long as of many.
                step = max(_BYTES_PER_WIDE_READ // (bytes_per_row * num_rows), 1) * num_rows
            num_columns = max(_BYTES_LOADED // (8 * (stop - start)), _FEWEST_COLUMNS)
            for first in range(start, stop, step):
                rows = self._frame.slice(first, min(step, stop - first))
                yield first + 1, _collected(rows, names, num_columns)

    def _shared(self, row_groups: list[RowGroup]) -> list[RowGroup]:
        """Return those of the share."""
        if self._share is None:
            return row_groups
        first, last = (
            bisect_left(row_groups, 2 * end, key=lambda group: group.start + group.stop)
            for end in self._share
        )
        return row_groups[first:last]


def _selected(rows: pl.LazyFrame, names: Sequence[str]) -> pl.LazyFrame:
    return rows.select(pl.selectors.by_name(*names))  # to select takes * and ^x.*$ for patterns


def _collected(rows: pl.LazyFrame, names: Sequence[str], num_columns: int) -> pl.DataFrame:
    """Read some columns at a time, and move float64 to one piece of memory.

    That goes back to the system at once. Of many small columns, polars' allocator keeps what is
    freed, and again as much between them.
    """
    parts, memory = list[pl.DataFrame](), None
    for start in range(0, len(names), num_columns):
        part = _selected(rows, names[start : start + num_columns]).collect()
        if memory is None:
            memory = np.empty((len(names), part.height))
        if set(part.dtypes) == {pl.Float64} and not any(part.null_count().row(0)):
            moved = memory[start : start + part.width]
            for place, column in zip(moved, part.iter_columns(), strict=True):
                place[...] = column.to_numpy()
            part = pl.DataFrame(moved.T, schema=part.schema)  # which copies nothing
        parts.append(part)
    return pl.concat(parts, how="horizontal")


def _columns(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Select some; DataFrame.select would plan a query each time, in ten times the time."""
    if not names:
        return pl.DataFrame(height=frame.height)
    return pl.DataFrame({name: frame.get_column(name) for name in names})


def _joined(
    row_groups: list[RowGroup], memory_of: Callable[[int], int], most_rows: int, most_bytes: int
) -> Iterator[tuple[int, int]]:
    """Yield spans of as many together as have at most so many rows, and take so much, or of one."""
    start = stop = held = 0
    for group in row_groups:
        num_bytes = memory_of(group.place)
        is_more = group.stop - start > most_rows or held + num_bytes > most_bytes
        if stop > start and is_more:
            yield start, stop
        if stop == start or is_more:
            start, held = group.start, 0
        stop, held = group.stop, held + num_bytes
    if stop > start:
        yield start, stop


def _row_groups(sizes: Iterable[int], source: str) -> list[RowGroup]:
    """Put them one after the other, by their rows, those of no rows left out.

    Raises:
        DataError: If there are more rows than polars counts to.
    """
    row_groups, start = [], 0
    for place, num_rows in enumerate(sizes):
        if num_rows:
            row_groups.append(RowGroup(start, start + num_rows, place))
        start += num_rows
    if start > _MOST_ROWS_OF_FILE:
        raise DataError(
            f"It has {start} rows; a file has {_MOST_ROWS_OF_FILE} at most: split it.",
            source=source,
        )
    return row_groups


def parquet_file(path: Path, source: str) -> Frame:
    """Open a Parquet file.

    Raises:
        DataError: If it is none, or is damaged.
    """
    with path.open("rb") as file:
        if file.read(len(PARQUET_MAGIC)) != PARQUET_MAGIC:
            raise DataError("This is not a Parquet file, though it is named so.", source=source)
    groups = read_footer(path, source)  # before polars looks
    return Frame(
        pl.scan_parquet(path, glob=False, hive_partitioning=False),
        source,
        row_groups=_row_groups((group.num_rows for group in groups), source),
        memory_of=functools.cache(lambda place: memory_of(groups[place], path, source)),
        file_bytes=path.stat().st_size,
        path=path,
    )


def arrow_file(path: Path, source: str) -> Frame:
    """Open an Arrow IPC file, as which Feather is written today.

    Raises:
        DataError: If it is none, is damaged, or asks for too much.
    """
    batches = record_batches(path, source)  # before polars looks
    return Frame(
        pl.scan_ipc(path, glob=False, hive_partitioning=False),
        source,
        row_groups=_row_groups((batch.num_rows for batch in batches), source),
        memory_of=lambda place: batches[place].num_bytes,
        file_bytes=path.stat().st_size,
    )


def index_columns(metadata: str | bytes | None, names: Sequence[str]) -> tuple[str, ...]:
    """Return which columns are the index, as pandas notes it in the metadata of a schema.

    Source: "Storing pandas DataFrame objects in Apache Parquet format", pandas' developer guide.
    What is not understood names none.
    """
    try:
        noted = msgspec.json.decode(metadata or b"{}", type=_PandasMetadata).index_columns
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return ()
    return tuple(name for name in names if name in noted)


class _PandasMetadata(msgspec.Struct, frozen=True):
    index_columns: list[Any] = []
    """Names; a range that is no column is a mapping."""
