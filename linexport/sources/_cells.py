"""A table's columns as an estimator is given them, and the encoding that they turn out to need.

What fills in and one-hot encodes is met where cells are still as the table has them; all else takes
numbers. A column that is used more than once makes its features once.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from linexport._arrays import Float64Array
from linexport.columns import Column
from linexport.encoding import EncodedColumn, Encoding, NumberColumn
from linexport.errors import ModelError
from linexport.numerics import Scaled, Values, input_columns
from linexport.sources._estimators import fitted, kind_of

__all__ = [
    "Cells",
    "Table",
    "feature_columns",
    "filled",
    "fills",
    "is_missing",
    "numbers_of",
    "require_cells",
]


class Table:
    """The columns that an estimator was fitted on, and the features that are made of them."""

    def __init__(self, names: Sequence[str] | None, width: int) -> None:
        """Without names, its columns are numbers, and each of them a feature."""
        self.width = width
        self._names = None if names is None else [str(name) for name in names]
        self._columns: dict[int, EncodedColumn] = {}
        self._starts: dict[int, int] = {}
        self._ranges: dict[int, tuple[float, float]] = {}
        self.num_features = 0
        """D, as far as columns have been used."""
        if names is None:
            self.require_numbers(range(width))

    @property
    def is_named(self) -> bool:
        """Whether the columns have names."""
        return self._names is not None

    @property
    def encoding(self) -> Encoding | None:
        """What makes the features; None where they are the columns."""
        columns = tuple(self._columns.values())
        plain = all(isinstance(c, NumberColumn) and c.fill is None for c in columns)
        return None if plain else Encoding(columns=columns)

    @property
    def used(self) -> list[int]:
        """The columns that make the features, in their order."""
        return list(self._columns)

    def cells(self) -> "Cells":
        """Return all columns, as they are."""
        return Cells(self, tuple(range(self.width)))

    def in_order(self) -> "Table":
        """Return a table whose columns that are used make its features in their own order."""
        table = Table(self._names, self.width)
        table.require_numbers(sorted(self.used))
        return table

    def name(self, place: int) -> str:
        """Return a column's name."""
        return f"x{place + 1}" if self._names is None else self._names[place]

    def require(self, place: int, column: EncodedColumn) -> int:
        """Return which is the first feature of a column.

        Raises:
            ModelError: If other features have been made of it.
        """
        if place not in self._columns:
            self._starts[place] = self.num_features
            self._columns[place] = column
            self.num_features += len(column.features)
        if self._columns[place] != column:
            raise ModelError(
                f"The column '{column.name}' is taken twice, and encoded or filled in differently: "
                "fit on a table that has it under two names."
            )
        return self._starts[place]

    def require_numbers(self, places: Sequence[int]) -> list[int]:
        """Return which are the features of columns that are numbers."""
        return [self.require(place, NumberColumn(name=self.name(place))) for place in places]

    def values(self, features: Sequence[int]) -> Scaled:
        """Return some features, in the order given."""
        chosen = np.array(features, np.int64)
        return input_columns(int(chosen.max(initial=-1)) + 1).taken(chosen)

    def saw(self, places: Sequence[int], low: Float64Array, high: Float64Array) -> None:
        """Note the range of columns in the data that was fitted."""
        for place, least, most in zip(places, low.tolist(), high.tolist(), strict=False):
            fill = getattr(self._columns[place], "fill", None)
            ends = (least, most) if fill is None else (least, most, fill)
            self._ranges[place] = (min(ends), max(ends))

    def described(self, columns: Sequence[Column]) -> tuple[Column, ...]:
        """Name the features and say their ranges, as far as these are known."""
        if self.encoding is not None:
            named = list(feature_columns(self.encoding.columns, columns))
        else:
            named = [
                replace(column, name=self.name(place))
                for place, column in zip(self.used, columns, strict=True)
            ]
        for place, (low, high) in self._ranges.items():
            start = self._starts[place]
            named[start] = replace(named[start], minimum=low, maximum=high)
        return tuple(named)


def feature_columns(
    encoded: Iterable[EncodedColumn], found: Sequence[Column]
) -> tuple[Column, ...]:
    """Return the D features of an encoding's columns; those that are 0 or 1 have that range.

    Args:
        encoded: The columns.
        found: The features under any names, with what scales them.
    """
    named = [(column, name) for column in encoded for name in column.features]
    return tuple(
        replace(feature, name=name)
        if isinstance(column, NumberColumn) and name == column.name
        else Column(name=name, minimum=0.0, maximum=1.0)
        for (column, name), feature in zip(named, found, strict=True)
    )


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Some of a table's columns, as they are or with missing cells filled in."""

    table: Table
    places: tuple[int, ...]
    imputer: Any = None

    def taken(self, places: Any) -> "Cells | Values":
        """Return some of the columns, in the order given."""
        if self.imputer is not None:
            return self.numbers().taken(np.asarray(places))
        return Cells(self.table, tuple(self.places[place] for place in places))

    def numbers(self) -> Values:
        """Return the columns as numbers, behind them the indicators of what was filled in."""
        if self.imputer is None:
            return self.table.values(self.table.require_numbers(self.places))
        filling = fills(self.imputer, self)
        told = set()
        if self.imputer.add_indicator:
            told = set(self.imputer.indicator_.features_.tolist())
        first, behind = [], []
        for number, (place, fill) in enumerate(zip(self.places, filling, strict=True)):
            name = self.table.name(place)
            if isinstance(fill, str) or not math.isfinite(fill):
                raise ModelError(
                    f"The SimpleImputer fills '{name}' with {fill!r}, which is no number: put a "
                    "OneHotEncoder behind it, or fill in a number."
                )
            column = NumberColumn(name=name, fill=float(fill), indicator=number in told)
            start = self.table.require(place, column)
            first.append(start)
            if number in told:
                behind.append(start + 1)
        return self.table.values(first + behind)


def numbers_of(values: Cells | Values) -> Values:
    """Return columns as numbers, and what is made of them as it is."""
    return values.numbers() if isinstance(values, Cells) else values


def require_cells(step: Any, values: Cells | Values) -> Cells:
    """Return columns of a table that an encoding can be made of.

    Raises:
        ModelError: If they are no longer as the table has them, or have no names.
    """
    kind = kind_of(step)
    if not isinstance(values, Cells) or (values.imputer and kind == "SimpleImputer"):
        raise ModelError(
            f"{kind} is taken as the first step of its columns, not after others: an "
            "encoding fills in and encodes what the table has."
        )
    if not values.table.is_named:
        raise ModelError(
            f"The {kind} was fitted on an array, so its columns have no names, by which an "
            "encoding finds them: fit it on a table (a DataFrame)."
        )
    return values


def filled(imputer: Any, values: Cells | Values) -> Cells:
    """Return columns whose missing cells a SimpleImputer fills in."""
    return replace(require_cells(imputer, values), imputer=imputer)


def fills(imputer: Any, cells: Cells) -> list[Any]:
    """Return what a SimpleImputer puts in for each column.

    Raises:
        ModelError: If it looks for another value than a missing one, or leaves a column out.
    """
    statistics = fitted(imputer, "statistics_")
    if not is_missing(imputer.missing_values):
        raise ModelError(
            f"SimpleImputer(missing_values={imputer.missing_values!r}) replaces a value that is "
            "not missing: replace it in the table, and fit on that."
        )
    if getattr(imputer, "_fill_dtype", np.dtype(float)) == np.float32:
        statistics = statistics.astype(np.float32)
    found = [fill.item() if isinstance(fill, np.generic) else fill for fill in statistics]
    for place, fill in zip(cells.places, found, strict=True):
        if is_missing(fill):
            raise ModelError(
                f"The SimpleImputer saw no value of '{cells.table.name(place)}', so it has none to "
                "fill with: leave the column out."
            )
    return found


def is_missing(value: Any) -> bool:
    """Tell what stands for no value."""
    return value is None or type(value).__name__ == "NAType" or value != value
