"""How far rounding to the format that numbers came in may have moved them, relative to each.

What decimal digits say of their own precision would be a guess: text counts as float64.
"""

from collections.abc import Iterable

import numpy as np

from linexport._arrays import Float64Array
from linexport.numerics import FLOAT64

_SHORT = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""Unit roundoffs; whole numbers and all else are taken for float64."""


def unit_roundoffs(dtypes: Iterable[object]) -> Float64Array:
    """Return those of columns, by the types that NumPy, PyTorch, pandas or polars states."""
    names = (str(dtype).rpartition(".")[2].lower() for dtype in dtypes)
    return np.array([_SHORT.get(name, FLOAT64.unit_roundoff) for name in names])
