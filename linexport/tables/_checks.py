"""What every table and array must hold before a model is fitted to it or evaluated on it.

N rows, C columns (features first where a fit is meant), D features.
"""

from collections.abc import Sequence

import numpy as np

from linexport._arrays import Float64Array
from linexport.errors import ConfigError, DataError

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


def require_rows(num_rows: int, source: str, *, rows_dropped: int = 0) -> None:
    """Raise DataError if there are none."""
    if num_rows == 0:
        left = f" after {rows_dropped} were left out" if rows_dropped else ""
        raise DataError(f"There are no rows{left}.", source=source)
