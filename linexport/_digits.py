"""How many digits a number is written in, so that what is printed can be used.

D features. Six digits of each coefficient are enough where features are near 0. Of a time in
milliseconds, 1.7e12, half a unit in the sixth digit of its weight moves predictions by more than
their error. So each number gets as many digits as it takes: what is cut off, times the largest |x|
of its feature, is at most a (D + 1)th of a limit. The printed equation is then off by at most that
limit, wherever in the features' ranges. The limit is the one of docs/bounds.md, "Small enough".

A range is written in so many digits that its ends are told apart.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from linexport.columns import Column

__all__ = [
    "FEWEST_DIGITS",
    "PART_OF_RESIDUALS",
    "PART_OF_SPREAD",
    "TABLE_DIGITS",
    "Written",
    "digits_between",
    "formula",
    "written_coefficients",
    "written_range",
]

FEWEST_DIGITS = 6
TABLE_DIGITS = 9
"""Of a coefficient where all that is known is told, at least: they tell float32 numbers apart."""
_MOST_DIGITS = 17
"""They tell every float64 from its neighbours."""
PART_OF_RESIDUALS = 1 / 100
"""So that rounding changes the root mean square error by less than 1 %."""
PART_OF_SPREAD = 1 / 10_000
"""A hundredth of the residuals of a model that explains 99 % of the variance, rounded down: a tenth
of a standard deviation, of which +-4 make up the spread, a hundredth of it 1/8,000."""
_DIGITS_OF_DIFFERENCE = 3
"""So that it is known to within a percent: both ends are rounded, each by half a unit."""
_SHOWN_FEATURES = 5


class Written(NamedTuple):
    """One target's coefficients as text."""

    intercept: str
    features: dict[str, str]


def written_coefficients(
    intercept: float,
    features: Mapping[str, float],
    columns: Sequence[Column],
    rmse: float | None = None,
    *,
    fewest: int = FEWEST_DIGITS,
) -> Written:
    """Write coefficients so that their sum predicts what they do, over the columns' ranges.

    Args:
        intercept: Target units.
        features: Target units per feature unit, by feature name.
        columns: The features; of one whose range is not known, a weight has the fewest digits.
        rmse: Root of the mean squared error, target units; None if it is not known.
        fewest: Digits of each number, at least.
    """
    reach = {column.name: _reach(column) for column in columns}
    share = _limit(intercept, features, columns, rmse) / (len(features) + 1)
    return Written(
        _written(intercept, 1.0, share, fewest),
        {
            name: _written(weight, reach.get(name, 0.0), share, fewest)
            for name, weight in features.items()
        },
    )


def formula(written: Written) -> str:
    """Write coefficients as a sum, short of the many."""
    terms = [
        f"{text if text.startswith('-') else f'+{text}'} {name}"
        for name, text in list(written.features.items())[:_SHOWN_FEATURES]
    ]
    terms += [f"+ {left} more"] if (left := len(written.features) - len(terms)) else []
    return " ".join([written.intercept, *terms])


def digits_between(low: float, high: float, fewest: int = FEWEST_DIGITS) -> int:
    """Return how many digits tell two numbers apart, to some digits of their difference.

    Where that is more than the fewest, all digits before the point are among them: 1700000000 to
    1700003540 says more than 1.7e+09 to 1.70000354e+09.
    """
    size, difference = max(abs(low), abs(high)), abs(high - low)
    if not 0 < difference < math.inf:
        return fewest
    most = 10.0**_MOST_DIGITS  # a ratio beyond takes no more digits than there are
    same = math.ceil(math.log10(min(max(size / difference, 1.0), most)))
    digits = same + _DIGITS_OF_DIFFERENCE
    if digits > fewest:
        digits = max(digits, math.floor(math.log10(size)) + 1)
    return min(max(digits, fewest), _MOST_DIGITS)


def written_range(low: float, high: float) -> str:
    """Write the ends of a range in the digits that tell them apart."""
    digits = digits_between(low, high)
    return f"{low:.{digits}g} to {high:.{digits}g}"


def _limit(
    intercept: float, features: Mapping[str, float], columns: Sequence[Column], rmse: float | None
) -> float:
    """Return the most that a printed equation may be off by, target units."""
    size, spread = abs(intercept), 0.0
    for column in columns:
        weight = abs(features.get(column.name, 0.0))
        size += weight * _reach(column)
        spread += weight * ((column.maximum or 0.0) - (column.minimum or 0.0))
    # A residual that float64 arithmetic may leave of an exact relation says nothing.
    noise = (len(features) + 2) * sys.float_info.epsilon / 2 * size
    limit = PART_OF_RESIDUALS * (rmse or 0.0)
    return limit if limit > noise else PART_OF_SPREAD * spread


def _reach(column: Column) -> float:
    """Return the largest |x| of a feature; 0 where it is not known."""
    return max(abs(column.minimum or 0.0), abs(column.maximum or 0.0))


def _written(value: float, reach: float, share: float, fewest: int) -> str:
    """Write a number in the fewest digits whose error, times the reach, is within the share."""
    for digits in range(fewest, _MOST_DIGITS):
        text = f"{value:.{digits}g}"
        if share == 0 or abs(float(text) - value) * reach <= share:
            return text
    return f"{value:.{_MOST_DIGITS}g}"
