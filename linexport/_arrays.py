"""Array aliases. N = rows, D = features, K = targets."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Float32Array: TypeAlias = NDArray[np.float32]
Float64Array: TypeAlias = NDArray[np.float64]
FloatArray: TypeAlias = NDArray[np.float32] | NDArray[np.float64]
FloatDType: TypeAlias = np.dtype[Any]  # float32 or float64
