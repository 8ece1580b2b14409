"""What an operation of a foreign graph may cost, and how it is refused."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linexport.numerics import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, Precision, Scaled, Values

__all__ = [
    "Budget",
    "Constants",
    "Refused",
    "joined_size",
    "mixed_size",
    "precision_of_array",
    "row_size",
]

Constants = NDArray[Any]
"""Numbers that a graph states, in the dtype in which it has them."""
_PRECISIONS = {
    "float64": FLOAT64, "float32": FLOAT32, "float16": FLOAT16, "bfloat16": BFLOAT16,
}  # fmt: skip


class Refused(Exception):  # noqa: N818 - it says nothing by itself: a dialect makes an error of it
    """Why an operation is not taken, in words that follow its name, without a full stop."""


class Budget:
    """How many numbers may be made of a file, and multiplied, charged before it is done.

    A number takes some 50 bytes while it is made, and a product some 50 nanoseconds. The floors
    serve small files: 200 MB, and two seconds. Layers of 400 by 400 float32 numbers take 100
    products for each byte.
    """

    ELEMENTS, ELEMENTS_PER_BYTE = 2**22, 16
    PRODUCTS, PRODUCTS_PER_BYTE = 2**25, 128
    OF_A_FEATURE, OF_A_TARGET = 8, 100
    """Numbers that one counts for beside its weights: its column takes 400 bytes, and a target's
    predictions 5,000 while they are proven. A weight and a bias in float32 pay for more."""

    def __init__(self, num_bytes: int) -> None:
        """Take the size of the file."""
        self._elements = self.ELEMENTS + self.ELEMENTS_PER_BYTE * num_bytes
        self._products = self.PRODUCTS + self.PRODUCTS_PER_BYTE * num_bytes
        self._num_bytes = num_bytes

    def charge(self, elements: int, products: int = 0) -> None:
        """Take from what is left.

        Raises:
            Refused: If it is not enough.
        """
        self._elements -= elements
        self._products -= products
        if self._elements < 0 or self._products < 0:
            raise Refused(
                f"makes more numbers than a file of {self._num_bytes} bytes is allowed: write the "
                "model as one linear layer"
            )


def row_size(values: Values) -> int:
    """Return how many numbers each of the values takes."""
    return 1 if isinstance(values, Scaled) else values.inputs.width


def joined_size(parts: Sequence[Values]) -> int:
    """Return how many numbers values take that are put side by side."""
    if all(isinstance(part, Scaled) for part in parts):
        return sum(part.width for part in parts)
    return mixed_size(parts)


def mixed_size(parts: Sequence[Values]) -> int:
    """Return how many numbers values take that are written as combinations of the same columns."""
    columns = np.concatenate([part.inputs.columns for part in parts])
    num_columns = int(np.unique(columns).size)
    widths = [part.width if isinstance(part, Scaled) else 0 for part in parts]
    return sum(
        part.width * (num_columns + width) for part, width in zip(parts, widths, strict=True)
    )


def precision_of_array(array: Constants) -> Precision:
    """Return in what constants are floating point.

    Raises:
        Refused: If they are not.
    """
    if array.dtype.name not in _PRECISIONS:
        raise Refused("computes in whole numbers, or with none at all")
    return _PRECISIONS[array.dtype.name]
