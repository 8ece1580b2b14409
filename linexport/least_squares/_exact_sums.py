"""Sums of products of columns as whole numbers: exact, and so the same in any order.

N rows, P columns, the last of them 1. The sum of weight x_i x_j over the rows is an integer times
2**exponent. Such sums are added and subtracted without error; what least squares takes of them is
rounded once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.least_squares._factor import CAREFUL, Factor, Frame, Gram, frame_around
from linexport.numerics import FLOAT64, DoubleDouble
from linexport.rows import Ranks

_KEPT_BITS = 160
"""Of an integer that is rounded to a double-double, which holds 107 at most."""

Integers = NDArray[np.object_]


@dataclass(kw_only=True, slots=True, eq=False)
class ExactSums:
    """The sums of products of all pairs of columns, and the number of rows."""

    products: Integers
    """Shape (P, P), symmetric, in units of 2**exponent."""
    exponent: int
    num_rows: int
    """Of weight above 0."""
    log_weights: int
    """The sum of the logarithms of the weights, each rounded to a multiple of 2**-40."""

    @classmethod
    def empty(cls, order: int) -> "ExactSums":
        """Return those of no row."""
        products = np.full((order, order), 0, dtype=object)
        return cls(products=products, exponent=0, num_rows=0, log_weights=0)

    def count(self, num_rows: int, log_weights: int) -> None:
        """Count rows whose products are added by themselves."""
        self.num_rows += num_rows
        self.log_weights += log_weights

    def add_products(self, whole: NDArray[np.int64], units: NDArray[np.int64]) -> None:
        """Add whole * 2**units, both of shape (P, P)."""
        lowest = min(self.exponent, int(units.min()))
        self.products = self._products_in(lowest)
        self.products += whole.astype(object) << (units - lowest).astype(object)
        self.exponent = lowest

    def __add__(self, other: "ExactSums") -> "ExactSums":
        return self._with(other, 1)

    def __sub__(self, other: "ExactSums") -> "ExactSums":
        return self._with(other, -1)

    def _with(self, other: "ExactSums", sign: int) -> "ExactSums":
        lowest = min(self.exponent, other.exponent)
        theirs = other._products_in(lowest)  # noqa: SLF001 - its own class
        return ExactSums(
            products=self._products_in(lowest) + sign * theirs,
            exponent=lowest,
            num_rows=self.num_rows + sign * other.num_rows,
            log_weights=self.log_weights + sign * other.log_weights,
        )

    def _products_in(self, exponent: int) -> Integers:
        shift = self.exponent - exponent
        return self.products << shift if shift else self.products

    def reduced(self) -> "ExactSums":
        """Return the same in the largest unit: equal sums then have equal numbers."""
        bits = reduce(int.__or__, self.products.ravel().tolist(), 0)
        spare = (bits & -bits).bit_length() - 1 if bits else 0
        exponent = self.exponent + spare if bits else 0
        return ExactSums(
            products=self.products >> spare,
            exponent=exponent,
            num_rows=self.num_rows,
            log_weights=self.log_weights,
        )

    def placed(self, places: NDArray[np.intp], order: int) -> "ExactSums":
        """Return the sums of the columns in another order, or of some of them.

        Args:
            places: Shape (P,): the new place of each column, another for each; -1 for none.
            order: How many columns there are then; those that get none are 0.
        """
        kept = np.flatnonzero(places >= 0)
        moved = ExactSums.empty(order)
        moved.count(self.num_rows, self.log_weights)
        moved.exponent = self.exponent
        moved.products[np.ix_(places[kept], places[kept])] = self.products[np.ix_(kept, kept)]
        return moved

    def mean(self, column: int, mark: int) -> float | None:
        """Return the mean of a column over the rows where another, of 0 and 1, is 0, rounded once.

        The column is 0 where that is 1. None if there is no such row.
        """
        count = self.products[-1, -1] - self.products[mark, -1]
        return float(self.products[column, -1] / count) if count else None

    def filled(
        self, columns: NDArray[np.intp], marks: NDArray[np.intp], fills: Float64Array
    ) -> "ExactSums":
        """Return the sums with marks times fills added to columns, each of shape (M,)."""
        whole, unit = _whole(fills)
        products = self.products << unit
        products[columns] += whole[:, None] * self.products[marks]
        filled = products << unit
        filled[:, columns] += whole * products[:, marks]
        return replace(self, products=filled, exponent=self.exponent - 2 * unit)

    @property
    def width(self) -> int:
        """Bytes that the largest number takes, with its sign."""
        numbers = (self.log_weights, *self.products.ravel().tolist())
        return int(max(number.bit_length() for number in numbers)) // 8 + 1

    def packed(self, width: int) -> bytes:
        """Return log_weights and the lower triangle, row by row, each in so many bytes."""
        lower = self.products[np.tril_indices(len(self.products))].tolist()
        numbers = (self.log_weights, *lower)
        return b"".join(number.to_bytes(width, "little", signed=True) for number in numbers)

    @classmethod
    def unpacked(cls, data: bytes, *, order: int, exponent: int, num_rows: int) -> "ExactSums":
        """Take what `packed` returned."""
        width = len(data) // (order * (order + 1) // 2 + 1)
        log_weights, *lower = (
            int.from_bytes(data[start : start + width], "little", signed=True)
            for start in range(0, len(data), width)
        )
        sums = cls.empty(order)
        sums.count(num_rows, log_weights)
        rows, columns = np.tril_indices(order)
        sums.products[rows, columns] = sums.products[columns, rows] = lower
        sums.exponent = exponent
        return sums

    def square_of(self, combination: Sequence[Fraction]) -> float:
        """Return the sum of squares of a combination of the columns, (P,), rounded once."""
        common = math.lcm(*(number.denominator for number in combination))
        whole = np.array([int(number * common) for number in combination], dtype=object)
        square = Fraction(int(whole @ self.products @ whole), common**2)
        return float(square * Fraction(2) ** self.exponent)

    def factor(
        self,
        *,
        num_features: int,
        minimum: Float64Array,
        maximum: Float64Array,
        unit_roundoff: Float64Array,
        frequencies: bool,
    ) -> Factor:
        """Return what least squares solves, each of its numbers rounded once.

        Args:
            num_features: D, the first columns.
            minimum: Shape (P - 1,), of the rows.
            maximum: Likewise.
            unit_roundoff: Shape (P - 1,), of the format that each column came in.
            frequencies: Whether the weights are, and so count as rows.
        """
        sums = self.reduced()
        frame = sums._frame(np.maximum(np.abs(minimum), np.abs(maximum)))  # noqa: SLF001
        scales = -np.append(frame.exponent, 0).astype(np.int64)
        matrix = _rounded(*sums._around(frame.shift), scales[:, None] + scales)  # noqa: SLF001
        # Rounded once to 106 bits, after 160 were kept.
        rounding = 1.01 * FLOAT64.unit_roundoff**2
        # Frequencies are whole, so their sum has no part below 1.
        count = sums.products[-1, -1]
        whole = count << sums.exponent if sums.exponent > 0 else count >> -sums.exponent
        return Factor(
            num_features=num_features,
            frame=frame,
            gram=Gram(matrix, np.sqrt(rounding * matrix.high.diagonal())),
            num_slices=CAREFUL,
            num_rows=whole if frequencies else sums.num_rows,
            log_weight_sum=0.0 if frequencies else math.ldexp(self.log_weights, -40),
            minimum=minimum,
            maximum=maximum,
            unit_roundoff=unit_roundoff,
        )

    def _frame(self, largest: Float64Array) -> Frame:
        """Return the frame of the columns' means and deviations, as `frame_around` has it."""
        if not self.products[-1, -1]:
            return frame_around(0 * largest, 0 * largest, largest)
        count, sums = self.products[-1, -1], self.products[:-1, -1].tolist()
        squares = self.products.diagonal()[:-1].tolist()
        means = np.array([total / count for total in sums])
        variances = [
            (square * count - total * total) / (count * count)
            for total, square in zip(sums, squares, strict=True)
        ]
        return frame_around(means, np.sqrt(variances), largest)

    def _around(self, shift: Float64Array) -> tuple[Integers, int]:
        """Return the products of columns less their shifts, and the exponent of their unit."""
        moved, unit = _whole(np.append(shift, 0.0))
        cross = np.multiply.outer(moved, self.products[-1])
        products = (self.products << (2 * unit)) - ((cross + cross.T) << unit)
        products += np.multiply.outer(moved, moved) * self.products[-1, -1]
        return products, self.exponent - 2 * unit


def _whole(values: Float64Array) -> tuple[Integers, int]:
    """Return numbers as integers over 2**unit, and the unit."""
    exact = [float(value).as_integer_ratio() for value in values]
    unit = max((denominator.bit_length() - 1 for _, denominator in exact), default=0)
    return np.array([(n << unit) // d for n, d in exact], dtype=object), unit


def _rounded(products: Integers, exponent: int, scales: NDArray[np.int64]) -> DoubleDouble:
    """Return products * 2**(exponent + scales), each rounded to a double-double."""
    high, low = np.empty(products.shape), np.empty(products.shape)
    for (i, j), value in np.ndenumerate(products):
        if j <= i:
            high[i, j], low[i, j] = _two_numbers(value, exponent + int(scales[i, j]))
            high[j, i], low[j, i] = high[i, j], low[i, j]
    return DoubleDouble(high, low)


def _two_numbers(value: Any, exponent: int) -> tuple[float, float]:
    spare = max(value.bit_length() - _KEPT_BITS, 0)
    value >>= spare
    high = float(value)
    return (
        math.ldexp(high, exponent + spare),
        math.ldexp(float(value - int(high)), exponent + spare),
    )


def gathered(sums: ExactSums, ranks: Ranks) -> ExactSums:
    """Return the sums of all ranks' rows from that of this one's, the same on each."""
    own = sums.reduced()
    if ranks.size == 1:
        return own
    width = int(ranks.gather(np.array([float(own.width)])).max())
    # Each byte as a number: ranks exchange float64.
    data = np.frombuffer(own.packed(width), dtype=np.uint8).astype(np.float64)
    arrays = ranks.gather(np.append([own.exponent, own.num_rows], data))
    parts = (
        ExactSums.unpacked(
            array[2:].astype(np.uint8).tobytes(),
            order=len(own.products),
            exponent=int(array[0]),
            num_rows=int(array[1]),
        )
        for array in arrays
    )
    return reduce(ExactSums.__add__, parts).reduced()
