"""What every table and array must hold before a model is fitted to it or evaluated on it.

N rows, C columns (features first where a fit is meant), D features.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from linexport._arrays import Float64Array, FloatArray
from linexport.errors import ConfigError, DataError

if TYPE_CHECKING:
    from linexport.data.sharing import Gather

_DROP = "leave such rows out with --missing drop (missing='drop')"


def check_missing(missing: str, alternative: str) -> None:
    """Raise ConfigError unless it is one of the two things to do about a missing value."""
    if missing not in ("error", alternative):
        raise ConfigError(f"missing must be 'error' or '{alternative}', got {missing!r}.")


def finite_rows(
    values: Float64Array, names: Sequence[str], *, source: str, first_row: int, missing: str
) -> Float64Array:
    """Return the rows of (N, C) values in which every value is finite.

    Raises:
        DataError: At the first other row, unless missing is 'drop'.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):  # half the time of asking each value: NaN and infinity spread
            return values
    finite = np.isfinite(values)
    if finite.all():  # it was the sum that overflowed
        return values
    if missing == "drop":
        return values[finite.all(axis=1)]
    row, column = np.argwhere(~finite)[0]
    raise fault(values[row, column], names[column], source, first_row + int(row), _DROP)


def fault(value: float, name: str, source: str, row: int, alternative: str) -> DataError:
    """Describe a value that is not finite, and what to do if it cannot be corrected."""
    seen = "There is no value; fill it in" if np.isnan(value) else f"{value} is given; correct it"
    return DataError(f"{seen}, or {alternative}.", source=source, column=name, row=row)


class FeatureRanges:
    """The smallest and largest value of each feature, over any number of batches."""

    def __init__(self, num_features: int) -> None:
        self._minimum = np.full(num_features, np.inf)
        self._maximum = np.full(num_features, -np.inf)
        self.num_rows = 0
        """Rows seen."""

    def update(self, features: FloatArray) -> None:
        """Take (N, D) finite values into account."""
        np.minimum(self._minimum, features.min(axis=0, initial=np.inf), out=self._minimum)
        np.maximum(self._maximum, features.max(axis=0, initial=-np.inf), out=self._maximum)
        self.num_rows += len(features)

    def of_all(self, rows_dropped: int, gather: "Gather") -> "tuple[FeatureRanges, int]":
        """Return the ranges and the number of rows dropped of all ranks together."""
        counts = [float(self.num_rows), float(rows_dropped)]  # exact up to 2**53
        stacked = gather(np.concatenate([self._minimum, self._maximum, counts]))
        num_features = len(self._minimum)
        ranges = FeatureRanges(num_features)
        ranges._minimum = stacked[:, :num_features].min(axis=0)
        ranges._maximum = stacked[:, num_features:-2].max(axis=0)
        ranges.num_rows, total_dropped = (int(count) for count in stacked[:, -2:].sum(axis=0))
        return ranges, total_dropped

    def check(self, names: Sequence[str], source: str, *, rows_dropped: int = 0) -> None:
        """Raise DataError unless a fit can be determined by these rows.

        There must be a row for each feature and one for the bias, and every feature must vary.
        """
        left = f" after {rows_dropped} were left out" if rows_dropped else ""
        if self.num_rows == 0:
            raise DataError(f"There are no rows{left}.", source=source)
        if self.num_rows <= len(names):
            raise DataError(
                f"There are too few rows{left}: {self.num_rows}. One for each feature and one for "
                f"the bias are needed, {len(names) + 1} in all.",
                source=source,
            )
        constant = np.flatnonzero(self._minimum == self._maximum)
        if len(constant):
            name, value = names[constant[0]], self._minimum[constant[0]]
            raise DataError(
                f"Every value is {value}, so it cannot be told from the bias; leave the column out "
                f"with --exclude {name}.",
                source=source,
                column=name,
            )
