"""Rows outside the range of the training data, where a linear model extrapolates.

Nothing that was proven about the fit holds there, however exactly the prediction is computed.
"""

import warnings
from collections.abc import Sequence

import msgspec
import numpy as np

from linexport._arrays import FloatArray, FloatDType
from linexport.columns import Column
from linexport.errors import ConfigError, DataError, ExtrapolationWarning
from linexport.predicting._config import CheckRange

__all__ = ["OutsideRange", "TrainingRange", "check_mode", "warn"]


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
        return self._as_error(
            "correct it, or predict it with --check-range warn (check_range='warn')"
        )

    def __str__(self) -> str:
        others = f"; {self.num_rows} rows are so" if self.num_rows > 1 else ""
        return str(self._as_error(f"the prediction is an extrapolation{others}"))

    def _as_error(self, consequence: str) -> DataError:
        return DataError(
            f"{self.value:.9g} is outside the training range, {self.column.minimum:.9g} to "
            f"{self.column.maximum:.9g}; {consequence}.",
            source=self.source,
            column=self.column.name,
            row=self.row,
        )


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
        names = ", ".join(f"'{name}'" for name in self.unknown)
        message = f"The model states no training range of {names}"
        if check_range == "error":
            raise ConfigError(
                f"{message}, so not every row outside can be refused; use warn or off."
            )
        warnings.warn(f"{message}: not checked.", ExtrapolationWarning, stacklevel=2)


def check_mode(check_range: str) -> None:
    """Raise ConfigError unless it is one of the three."""
    if check_range not in ("off", "warn", "error"):
        raise ConfigError(f"check_range must be 'off', 'warn' or 'error', got {check_range!r}.")


def warn(outside: OutsideRange) -> None:
    """Warn of rows outside the training range, as Python warns."""
    warnings.warn(str(outside), ExtrapolationWarning, stacklevel=3)
