"""What is wrong with rows that cannot be predicted, and where; one set of sentences for all doors.

N rows, D features, K targets.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import FloatArray
from linexport.columns import Column
from linexport.errors import DataError
from linexport.predicting._config import Missing

__all__ = ["Faults", "Given", "all_finite", "misnamed"]

_MOST_NAMED = 10
_LONGEST_NAME = 100
"""Characters of a name that a message repeats: strangers may send any."""


class Given(NamedTuple):
    """Rows to predict."""

    rounded: FloatArray
    """Shape (N, D): NaN where a value is missing, infinity where it is beyond the dtype."""
    exact: Callable[[], NDArray[Any]]
    """Returns them as they were before they were rounded."""
    source: str
    """What messages call them."""
    first_row: int
    """The number of the first of them there, counted from 1."""


class Faults(NamedTuple):
    """Looks for what is at fault in the rows of one model."""

    features: Sequence[Column]
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
        given = given._replace(rounded=np.where(lacking, nan, given.rounded))
        return given, np.where(lacking, nan, prediction)

    def _refused(self, given: Given, row: int, place: int) -> DataError:
        value, dtype = given.exact()[row, place], given.rounded.dtype
        if np.isnan(value):
            message = (
                "There is no value; fill it in, or predict such rows as NaN with --missing nan "
                "(missing='nan')."
            )
        elif np.isinf(value):
            message = f"{value} is given; correct it."
        else:
            message = f"{value:.9g} is beyond the range of {dtype}; correct it{_wider(dtype)}."
        return DataError(
            message,
            source=given.source,
            column=self.features[place].name,
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


def misnamed(row: Mapping[str, Any], names: Sequence[str], source: str, number: int) -> DataError:
    """Say which of the names a row of named values lacks, or else what name it has beside them."""
    has = f"a row has {', '.join(map(repr, names[:_MOST_NAMED]))}"
    if len(names) > _MOST_NAMED:
        has += f" and {len(names) - _MOST_NAMED} more"
    lacking = next((name for name in names if name not in row), None)
    if lacking is not None:
        return DataError(f"There is no column '{lacking}'; {has}.", source=source, row=number)
    known = set(names)
    unknown = next(name for name in row if name not in known)
    shown = unknown if len(unknown) <= _LONGEST_NAME else f"{unknown[:_LONGEST_NAME]}..."
    return DataError(f"'{shown}' is no feature; {has}.", source=source, row=number)


def all_finite(values: FloatArray) -> bool:
    """Tell whether there is neither NaN nor infinity, reading the values once."""
    if values.size == 1:
        return math.isfinite(values.item())  # a tenth of the time of what is below
    flat = values.ravel(order="K")
    with np.errstate(over="ignore", invalid="ignore"):
        if math.isfinite(flat.dot(flat)):  # BLAS, in all threads; NaN and infinity spread
            return True
    return bool(np.isfinite(values).all())  # or a square was beyond the range


def _first(found: NDArray[np.bool_]) -> tuple[int, int]:
    row, place = np.argwhere(found)[0]
    return int(row), int(place)


def _wider(dtype: np.dtype[Any]) -> str:
    return ", or use a float64 model" if dtype == np.float32 else ""
