"""Columns of a table as features: an Encoding applied to batches of rows.

n rows, D features.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array, FloatArray, FloatDType
from linexport._asked import asked
from linexport._polars import pl
from linexport.encoding import MISSING, CategoryColumn, DateColumn, Encoding, NumberColumn
from linexport.errors import DataError
from linexport.tables._categories import Category, Place, canonical
from linexport.tables._dates import as_dates, open_orders
from linexport.tables._dialect import Dialect
from linexport.tables._numbers import nameless, shown
from linexport.tables._part import Batch, WrittenRows

_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_EPOCH = dt.date(1970, 1, 1)


def encoded(
    encoding: Encoding, kept: Sequence[str], dialect: Dialect | None = None
) -> tuple[tuple[str, ...], tuple[str, ...], Callable[[Batch], Batch]]:
    """Return which columns to read as numbers, which as they are, and what makes features of both.

    Those to hand on come first among the latter. What a dialect says is no value, is none in text.
    Cells are looked up at once, by the thread that reads: to look up text takes longer than to
    read it, and as long as to predict.
    """
    encoder = Encoder(encoding, dialect)
    nulls = dialect.also_missing if dialect else ()
    others = tuple(dict.fromkeys((*kept, *encoder.others)))
    return (
        encoder.numbers,
        others,
        lambda rows: EncodedBatch(
            rows=rows, encoder=encoder, kept=tuple(kept), others=_read(rows, encoder, nulls)
        ),
    )


class Encoder:
    """An Encoding made ready for any number of batches."""

    def __init__(self, encoding: Encoding, dialect: Dialect | None = None) -> None:
        columns = encoding.columns
        self.numbers = tuple(c.name for c in columns if isinstance(c, NumberColumn))
        """Columns to be read as numbers."""
        self.others = tuple(c.name for c in columns if not isinstance(c, NumberColumn))
        """Columns to be read as they are."""
        self.num_features = len(encoding.features)
        self._fillers: list[_Number | Category | _Date] = []
        place = number = 0
        for column in columns:
            if isinstance(column, NumberColumn):
                self._fillers.append(_Number(column, place, number))
                number += 1
            elif isinstance(column, CategoryColumn):
                self._fillers.append(Category(column, place))
            else:
                self._fillers.append(_Date(column, place, dialect))
            place += len(column.features)

    def types(self, number_types: Sequence[str]) -> list[str]:
        """Return the features' types, as those of the numbers are; what is made is exact."""
        found = ["Float64"] * self.num_features
        for filler in self._fillers:
            if isinstance(filler, _Number):
                found[filler.place] = number_types[filler.number]
        return found

    def read(self, columns: pl.DataFrame, place: Place) -> dict[str, NDArray[np.generic]]:
        """Return what each of the other columns holds: the place of a level, or days.

        Raises:
            DataError: At the first cell that is no level, or no date.
        """
        return {
            filler.column.name: filler.read(columns.get_column(filler.column.name), place)
            for filler in self._fillers
            if not isinstance(filler, _Number)
        }

    def fill(
        self,
        features: FloatArray,
        numbers: FloatArray,
        others: dict[str, NDArray[np.generic]],
        rows: slice,
    ) -> None:
        """Write (n, D) features of (n, C) numbers, and of some rows of what `read` returned."""
        for filler in self._fillers:
            if isinstance(filler, _Number):
                filler.fill(features, numbers[:, filler.number])
            else:
                filler.fill(features, others[filler.column.name][rows])


class EncodedBatch(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Rows whose columns are encoded; see Batch."""

    rows: Batch
    """Their numbers; among the kept columns are those that become features otherwise."""
    encoder: Encoder
    kept: tuple[str, ...]
    """Columns to hand on."""
    others: dict[str, NDArray[np.generic]]
    """What `Encoder.read` found in the rest."""

    @property
    def source(self) -> str:
        return self.rows.source

    @property
    def first_row(self) -> int:
        return self.rows.first_row

    @property
    def num_rows(self) -> int:
        return self.rows.num_rows

    @property
    def num_bytes(self) -> float:
        return self.rows.num_bytes

    @property
    def held_bytes(self) -> float:
        return self.rows.held_bytes

    @property
    def number_types(self) -> Sequence[str]:
        return self.encoder.types(self.rows.number_types)

    @property
    def kept_types(self) -> Sequence[str]:
        return self.rows.kept_types[: len(self.kept)]

    def numbers(self, dtype: FloatDType | None = None) -> FloatArray:
        shape = (self.num_rows, self.encoder.num_features)
        features: FloatArray = np.empty(shape, dtype or np.float64, order="F")
        numbers = self.rows.numbers(dtype) if self.encoder.numbers else features
        self.encoder.fill(features, numbers, self.others, slice(None))
        return features

    def blocks(self) -> Iterator[tuple[int, Float64Array]]:
        num_features = self.encoder.num_features
        nothing = [(0, np.empty((self.num_rows, 0)))]
        for start, numbers in self.rows.blocks() if self.encoder.numbers else nothing:
            features: Float64Array = np.empty((len(numbers), num_features), order="F")
            rows = slice(start, start + len(numbers))
            self.encoder.fill(features, numbers, self.others, rows)
            yield start, features

    def kept_and(self, names: Sequence[str], values: FloatArray) -> WrittenRows:
        rows = frame_of(self.rows.kept_and(names, values))
        return pl.DataFrame({name: rows.get_column(name) for name in (*self.kept, *names)})


def _read(rows: Batch, encoder: Encoder, nulls: tuple[str, ...]) -> dict[str, NDArray[np.generic]]:
    if not encoder.others:
        return {}
    frame = kept_frame(rows)
    if nulls:
        text = pl.col(pl.String)
        is_null = text.str.strip_chars().is_in(nulls)
        frame = frame.with_columns(pl.when(~is_null).then(text).name.keep())
    return encoder.read(frame, Place(rows.source, rows.first_row))


class _Number:
    """A column of numbers, and where its features begin."""

    def __init__(self, column: NumberColumn, place: int, number: int) -> None:
        self.column, self.place = column, place
        self.number = number
        """Its place among the numbers."""

    def fill(self, features: FloatArray, values: FloatArray) -> None:
        features[:, self.place] = values
        if self.column.fill is None:
            return
        missing = np.isnan(values)
        features[missing, self.place] = self.column.fill
        if self.column.indicator:
            features[:, self.place + 1] = missing


class _Date:
    """A column of dates or times, and where its feature is."""

    def __init__(self, column: DateColumn, place: int, dialect: Dialect | None) -> None:
        self.column, self.place = column, place
        self._dialect = dialect
        self._days = (dt.date.fromisoformat(column.origin) - _EPOCH).days

    def read(self, cells: pl.Series, place: Place) -> NDArray[np.generic]:
        cells = nameless(cells)
        if cells.dtype in (pl.String, pl.Categorical, pl.Enum):
            cells = self._parsed(canonical(cells.cast(pl.String)), place)
        if cells.dtype not in (pl.Date, pl.Datetime, pl.Null):
            raise DataError(
                f"It holds {cells.dtype}, not dates; write year-month-day, as "
                f"{self.column.origin}.",
                source=place.source,
                column=self.column.name,
            )
        whole = cells.to_physical().cast(pl.Int64)
        if isinstance(cells.dtype, pl.Datetime):
            unit = _DAY[cells.dtype.time_unit]
            # NumPy's division is to the nearest; that of polars multiplies by the reciprocal.
            return (whole - self._days * unit).cast(pl.Float64).to_numpy() / unit
        return (whole - self._days).cast(pl.Float64).to_numpy()

    def _parsed(self, text: pl.Series, place: Place) -> pl.Series:
        text = text.set(text.is_in(MISSING), None)
        found = as_dates(text, self._dialect.date_order if self._dialect else None)
        wrong = (found.is_null() & text.is_not_null()).arg_true()
        if len(wrong):
            raise DataError(
                f"{shown(text[int(wrong[0])])} is not a date; {self._advice(text[int(wrong[0])])}.",
                source=place.source,
                column=self.column.name,
                row=place.row(int(wrong[0])),
            )
        return found

    def _advice(self, value: str) -> str:
        text = pl.Series([value])
        days = {
            order: as_dates(text, order).dt.to_string("%Y-%m-%d").item()
            for order in open_orders(self._dialect)
        }
        read = [f"as {day} ({asked(date_order=order)})" for order, day in days.items() if day]
        if read:
            return f"read it {' or '.join(read)}"
        return f"write year-month-day, as {self.column.origin}"

    def fill(self, features: FloatArray, days: NDArray[np.generic]) -> None:
        features[:, self.place] = days


def kept_frame(rows: Batch) -> pl.DataFrame:
    """Return the columns to hand on of a batch, as polars has them."""
    return frame_of(rows.kept_and((), np.empty((rows.num_rows, 0))))


def frame_of(rows: WrittenRows) -> pl.DataFrame:
    """Return rows that are to be written as polars has them."""
    return rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(rows)
