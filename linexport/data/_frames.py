"""Parquet files, and tables that are in memory already."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from linexport.data._names import require_unique
from linexport.data._numbers import require_numbers
from linexport.data._parts import Batch, Selection
from linexport.errors import DataError

PARQUET_MAGIC = b"PAR1"
_VALUES_PER_BATCH = 1 << 20  # 8 MiB of float64
_FEWEST_ROWS, _MOST_ROWS = 1 << 10, 1 << 16


class Frame:
    """A lazy frame, evaluated a batch at a time.

    Memory grows with the largest row group of a Parquet file, not with the file.
    """

    def __init__(self, frame: pl.LazyFrame, source: str) -> None:
        self._frame = frame
        self.source = source
        try:
            self._schema = frame.collect_schema()
        except pl.exceptions.PolarsError as error:
            raise _unreadable(error, source) from error
        self.names = require_unique(self._schema.names(), source)

    def batches(self, selection: Selection) -> Iterator[Batch]:
        """Yield the rows; see Part."""
        first_row = 1
        for frame in self._frames(list(dict.fromkeys(selection.numbers + selection.kept))):
            numbers = frame.select(selection.numbers)
            require_numbers(numbers, self.source, first_row, selection.text_remedy)
            yield Batch(
                numbers=numbers,
                kept=frame.select(selection.kept),
                source=self.source,
                first_row=first_row,
            )
            first_row += frame.height

    def _frames(self, names: list[str]) -> Iterator[pl.DataFrame]:
        num_rows = min(max(_VALUES_PER_BATCH // len(names), _FEWEST_ROWS), _MOST_ROWS)
        frame = None
        try:
            for frame in self._frame.select(names).collect_batches(chunk_size=num_rows):
                yield frame
        except pl.exceptions.PolarsError as error:
            raise _unreadable(error, self.source) from error
        if frame is None:
            yield pl.DataFrame(schema={name: self._schema[name] for name in names})


def parquet_file(path: Path, source: str) -> Frame:
    """Open a Parquet file.

    Raises:
        DataError: If it is none, or is damaged.
    """
    with path.open("rb") as file:
        if file.read(len(PARQUET_MAGIC)) != PARQUET_MAGIC:
            raise DataError("This is not a Parquet file, though it is named so.", source=source)
    return Frame(pl.scan_parquet(path, glob=False, hive_partitioning=False), source)


def arrow_table(table: Any, source: str) -> Frame:
    """Take a table with the Arrow PyCapsule interface; a stream of it is read at once.

    Raises:
        DataError: If the table cannot be exported, or two columns have one name.
    """
    try:
        frame = pl.DataFrame(table)
    except (Exception, pl.exceptions.PanicException) as error:  # the exporter's, of any library
        raise _unreadable(error, source) from error
    return Frame(frame.lazy(), source)


def mapping(columns: Mapping[str, Any], source: str) -> Frame:
    """Take arrays, tensors or lists of one length by name, or scalars for one row.

    Raises:
        DataError: If a column is not one-dimensional or of one type, or the lengths differ.
    """
    series = [_series(name, values, source) for name, values in columns.items()]
    try:
        return Frame(pl.DataFrame(series).lazy(), source)
    except pl.exceptions.ShapeError as error:
        lengths = ", ".join(f"'{column.name}' {len(column)}" for column in series)
        raise DataError(f"The columns differ in length: {lengths}.", source=source) from error


def _series(name: object, values: Any, source: str) -> pl.Series:
    if not isinstance(name, str):
        raise DataError(f"A column name must be text, got {name!r}.", source=source)
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    if np.ndim(values) > 1:
        raise DataError(
            f"It must be one-dimensional, got shape {np.shape(values)}.", source=source, column=name
        )
    if np.ndim(values) == 0:
        values = [values]
    try:
        return pl.Series(name, values)
    except TypeError:  # a list of int and float, for instance
        pass
    try:
        return pl.Series(name, np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"Its values cannot be read: {error}.", source=source, column=name
        ) from error


def _unreadable(error: BaseException, source: str) -> DataError:
    reason = next(iter(str(error).splitlines()), "").strip().rstrip(".") or type(error).__name__
    if isinstance(error, pl.exceptions.DuplicateError):
        return DataError(f"Two columns have one name: {reason}; rename one.", source=source)
    return DataError(f"It cannot be read: {reason}.", source=source)
