"""Weights of rows: which numbers they may be."""

import numpy as np

from linexport._arrays import Float64Array
from linexport._asked import asked
from linexport.errors import DataError
from linexport.fit import Weighting

_LARGEST_FREQUENCY = 2.0**53
"""Up to here float64 counts."""


def check_weights(
    weights: Float64Array, weighting: Weighting, *, source: str, first_row: int
) -> None:
    """Check weights (n,); NaN and infinity are left to who looks for missing values.

    Raises:
        DataError: At the first that is negative, or a frequency that is no such number.
    """
    wrong, why = weights < 0, "is negative; it must be at least 0"
    if weighting.kind == "frequency" and not wrong.any():
        whole = (weights == np.rint(weights)) & (weights <= _LARGEST_FREQUENCY)
        wrong = np.isfinite(weights) & ~whole
        why = (
            "is no whole number up to 2**53, which a frequency is; for weights that are precisions "
            f"take {asked(weights_kind='precision')}"
        )
    if wrong.any():
        place = int(wrong.argmax())
        raise DataError(
            f"The weight {weights[place]:.9g} {why}.",
            source=source,
            column=weighting.column,
            row=first_row + place,
        )
