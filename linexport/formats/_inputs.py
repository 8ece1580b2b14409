"""What every runtime does with an array before its engine sees it, and after."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import FloatArray, FloatDType
from linexport.errors import DataError


def as_features(
    values: NDArray[Any], dtype: FloatDType, num_features: int, *, order: Literal["C", "F"] = "C"
) -> FloatArray:
    """Return a contiguous (N, D) array of the artifact's dtype; a copy only where needed.

    Values that the dtype cannot hold are rounded to nearest, as IEEE 754 has it: beyond the largest
    number lies infinity.

    Raises:
        DataError: If the array is not (N, D) or not numeric.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise DataError(f"Features must be numbers, got an array of {array.dtype}.")
    if array.ndim != 2 or array.shape[1] != num_features:
        raise DataError(
            f"Features must have shape (rows, {num_features}), got {array.shape}; "
            "one row is features[None]."
        )
    with np.errstate(over="ignore"):
        return np.asarray(array, dtype=dtype, order=order)


def as_prediction(values: Any) -> FloatArray:
    """Return (N, K); some exporters drop the axis of a single target."""
    prediction = np.asarray(values)
    return prediction[:, None] if prediction.ndim == 1 else prediction
