"""Array aliases. N = rows, D = features, K = targets."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

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
