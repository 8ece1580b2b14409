"""What is refused, warned of or predicted as NaN, and where; one set of sentences for all doors.

N rows, D features, K targets.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from linexport._arrays import FloatArray, FloatDType
from linexport._asked import asked
from linexport._digits import digits_between
from linexport.columns import Column, listed
from linexport.errors import ConfigError, DataError, ExtrapolationWarning
from linexport.predicting._config import CheckRange, Missing


class Given(msgspec.Struct, frozen=True, eq=False):
    """Rows to predict."""

    rounded: FloatArray
    """Shape (N, D): NaN where a value is missing, infinity where it is beyond the dtype."""
    exact: Callable[[], NDArray[Any]]
    """Returns them as they were before they were rounded."""
    source: str
    """What messages call them."""
    first_row: int
    """The number of the first of them there, counted from 1."""


class Faults(msgspec.Struct, frozen=True):
    """Looks for what is at fault in the rows of one model."""

    columns: Sequence[str]
    """What messages call each of the features: the column of the table that it is made of."""
    targets: Sequence[Column]

    def look(
        self, given: Given, prediction: FloatArray, missing: Missing
    ) -> tuple[Given, FloatArray]:
        """Return rows and predictions, (N, K), with NaN throughout each row that lacks a value.

        Raises:
            DataError: At the first value that is infinite, too large or, unless it is allowed,
                missing; or else at the first prediction that is too large.
        """
        lacking = np.isnan(given.rounded)
        refused = np.isinf(given.rounded) | (lacking & (missing == "error"))
        if refused.any():
            raise self._refused(given, *_first(refused))
        lacking = np.logical_or.reduce(lacking, axis=1, keepdims=True)
        beyond = ~(np.isfinite(prediction) | lacking)
        if beyond.any():
            raise self._beyond(given, *_first(beyond))
        nan = prediction.dtype.type(np.nan)
        given = msgspec.structs.replace(given, rounded=np.where(lacking, nan, given.rounded))
        return given, np.where(lacking, nan, prediction)

    def _refused(self, given: Given, row: int, place: int) -> DataError:
        value, dtype = given.exact()[row, place], given.rounded.dtype
        if np.isnan(value):
            message = no_value("predict such rows as NaN")
        elif np.isinf(value):
            message = f"{value} is given; correct it."
        else:
            message = f"{value:.9g} is beyond the range of {dtype}; correct it{_wider(dtype)}."
        return DataError(
            message,
            source=given.source,
            column=self.columns[place],
            row=given.first_row + row,
        )

    def _beyond(self, given: Given, row: int, place: int) -> DataError:
        dtype = given.rounded.dtype
        return DataError(
            f"The prediction of '{self.targets[place].name}' is beyond the range of {dtype}; "
            f"correct the features{_wider(dtype)}.",
            source=given.source,
            row=given.first_row + row,
        )


def no_value(otherwise: str) -> str:
    """Refuse a value that is missing, and say what becomes of such rows if they are allowed."""
    return f"There is no value; fill it in, or {otherwise} with {asked(missing='nan')}."


class OutsideRange(msgspec.Struct, frozen=True, kw_only=True):
    """Rows with a value outside the training range, and the first such value."""

    num_rows: int
    source: str
    """The file or object, as messages name it."""
    column: Column
    row: int
    """Counted from 1."""
    value: float

    def __add__(self, other: "OutsideRange") -> "OutsideRange":
        """Take in later rows of the same source."""
        return msgspec.structs.replace(self, num_rows=self.num_rows + other.num_rows)

    def error(self) -> DataError:
        """Return the refusal to predict it."""
        return self._as_error(f"correct it, or predict it with {asked(check_range='warn')}")

    def __str__(self) -> str:
        others = f"; {self.num_rows} rows are so" if self.num_rows > 1 else ""
        return str(self._as_error(f"the prediction is an extrapolation{others}"))

    def _as_error(self, consequence: str) -> DataError:
        low, high = self.column.minimum or 0.0, self.column.maximum or 0.0
        nearest = low if self.value < low else high
        digits = max(digits_between(*ends, 9) for ends in ((low, high), (self.value, nearest)))
        return DataError(
            f"{self.value:.{digits}g} is outside the training range, {low:.{digits}g} to "
            f"{high:.{digits}g}; {consequence}.",
            source=self.source,
            column=self.column.name,
            row=self.row,
        )


Report: TypeAlias = Callable[[OutsideRange], None]
"""Is told of rows outside the training range."""


class TrainingRange:
    """The ranges of D features, rounded as their values are before they are predicted from.

    Rounding keeps the order of numbers, so a value inside its range is never called outside.
    """

    def __init__(self, features: Sequence[Column], dtype: FloatDType) -> None:
        """Take the ranges that the columns state; a column without one is not checked."""
        self.features = tuple(features)
        self.unknown = tuple(column.name for column in features if column.minimum is None)
        """Names of the columns without a range."""
        lower = [-np.inf if column.minimum is None else column.minimum for column in features]
        upper = [np.inf if column.maximum is None else column.maximum for column in features]
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinity, as in the rows
            self._lower = np.array(lower).astype(dtype)
            self._upper = np.array(upper).astype(dtype)

    def find(self, values: FloatArray, source: str, first_row: int) -> OutsideRange | None:
        """Find the values outside among (N, D) rounded ones; NaN is not outside."""
        outside = (values < self._lower) | (values > self._upper)
        if not outside.any():
            return None
        row, place = (int(index) for index in np.argwhere(outside)[0])
        return OutsideRange(
            num_rows=int(outside.any(axis=1).sum()),
            source=source,
            column=self.features[place],
            row=first_row + row,
            value=float(values[row, place]),
        )

    def require_known(self, check_range: CheckRange) -> None:
        """Say which columns cannot be checked: an error if an error was asked for, else a warning.

        Raises:
            ConfigError: If check_range is 'error' and a column states no range.
        """
        if not self.unknown:
            return
        message = f"The model states no training range of {listed(self.unknown)}"
        if check_range == "error":
            raise ConfigError(
                f"{message}, so not every row outside can be refused; use warn or off."
            )
        warnings.warn(f"{message}: not checked.", ExtrapolationWarning, stacklevel=2)


def all_finite(values: FloatArray) -> bool:
    """Tell whether there is neither NaN nor infinity, reading the values once."""
    if values.size == 1:
        return math.isfinite(values.item())  # a tenth of the time of what is below
    flat = values.ravel(order="K")
    with np.errstate(over="ignore", invalid="ignore"):
        if math.isfinite(flat.dot(flat)):  # BLAS, in all threads; NaN and infinity spread
            return True
    return bool(np.isfinite(values).all())  # or a square was beyond the range


def check_missing(missing: str) -> None:
    """Raise ConfigError unless it is one of the two."""
    if missing not in ("error", "nan"):
        raise ConfigError(f"missing must be 'error' or 'nan', got {missing!r}.")


def check_mode(check_range: str) -> None:
    """Raise ConfigError unless it is one of the three."""
    if check_range not in ("off", "warn", "error"):
        raise ConfigError(f"check_range must be 'off', 'warn' or 'error', got {check_range!r}.")


def warn(outside: OutsideRange) -> None:
    """Warn of rows outside the training range, as Python warns."""
    warnings.warn(str(outside), ExtrapolationWarning, stacklevel=3)


def warn_once(outside: Sequence[OutsideRange]) -> None:
    """Warn of what was reported batch by batch, if anything was."""
    if outside:
        warn(reduce(add, outside))


def _first(found: NDArray[np.bool_]) -> tuple[int, int]:
    row, place = np.argwhere(found)[0]
    return int(row), int(place)


def _wider(dtype: np.dtype[Any]) -> str:
    return ", or use a float64 model" if dtype == np.float32 else ""
