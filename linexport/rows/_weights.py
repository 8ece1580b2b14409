"""Weights of rows: which numbers they may be."""

import numpy as np

from linexport._arrays import Float64Array
from linexport.errors import DataError
from linexport.fit import Weighting


def check_weights(
    weights: Float64Array, weighting: Weighting, *, source: str, first_row: int
) -> None:
    """Check weights (n,); NaN and infinity are left to who looks for missing values.

    Raises:
        DataError: At the first that is negative, or a frequency that is no whole number.
    """
    wrong, why = weights < 0, "is negative; it must be at least 0"
    if weighting.kind == "frequency" and not wrong.any():
        wrong = np.isfinite(weights) & (weights != np.rint(weights))
        why = (
            "is no whole number, which a frequency is; for weights that are precisions take "
            "--weights-kind precision (weights_kind='precision')"
        )
    if wrong.any():
        place = int(wrong.argmax())
        raise DataError(
            f"The weight {weights[place]:.9g} {why}.",
            source=source,
            column=weighting.column,
            row=first_row + place,
        )
