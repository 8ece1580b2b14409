"""Array aliases, and what every runtime takes and gives. N = rows, D = features, K = targets."""

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from linexport.errors import DataError

Float64Array: TypeAlias = NDArray[np.float64]
FloatArray: TypeAlias = NDArray[np.float32] | NDArray[np.float64]
FloatDType: TypeAlias = np.dtype[Any]  # float32 or float64


def has_masked(values: Any) -> bool:
    """Tell whether an array, or one in a list of them, hides some of its values."""
    arrays = values if isinstance(values, list | tuple) else [values]
    return any(
        isinstance(array, np.ndarray) and hasattr(array, "mask") and np.any(array.mask)
        for array in arrays
    )


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
