"""One small factor that stands for any number of rows.

N rows, D features, K targets, P = D + K + 1. Each row is seen as ((x, y) - shift) * 2**-exponent
with a 1 behind it, all times the root of the row's weight: z. The factor holds the sum of z z' in
double-double, a bound on its error, and the range of each column. Factors of different rows merge
by addition, in any order; nothing of it grows with N.

The shift, a rounded mean, spares the sum of squares the cancellation that would otherwise cost it
twice the digits of mean / deviation.
"""

from dataclasses import dataclass, replace
from functools import reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.least_squares._moments import Extent
from linexport.numerics import FLOAT64, DoubleDouble, double_double as dd
from linexport.rows import Ranks

CAREFUL = 3
"""Slices that make double-double sums the limit, not the products."""
_SAFE_EXPONENT = 100
"""Numbers from 2**-100 to 2**100 can be squared and cut into slices as they are."""
_SMALLEST_SPREAD = 2.0**-400
_SQUARED_ROUNDOFF = FLOAT64.unit_roundoff**2
_NUM_SCALARS = 4
"""In an encoded factor."""


class Frame(NamedTuple):
    """The origin and unit that each column is seen in; shape (D + K,)."""

    shift: Float64Array
    exponent: NDArray[np.int32]


class Gram(NamedTuple):
    """The sum of z z' over the rows, and how well it is known."""

    matrix: DoubleDouble
    """Shape (P, P)."""
    error: Float64Array
    """Shape (P,): element (i, j) is off by at most error[i] * error[j]."""

    def __add__(self, other: "Gram") -> "Gram":  # type: ignore[override]
        """Return the sum over both sets of rows."""
        matrix = dd.add(self.matrix, other.matrix)
        rounding = 3.01 * _SQUARED_ROUNDOFF * matrix.high.diagonal()
        # By Cauchy's inequality, the roots of sums of squares bound the sums of products.
        return Gram(matrix, np.sqrt(self.error**2 + other.error**2 + rounding))

    def sheared(self, exponent: NDArray[np.int32], offset: DoubleDouble) -> "Gram":
        """Return what the rows z * 2**exponent + offset give; both of shape (P - 1,)."""
        scales = np.append(exponent, np.int32(0))
        scaled = DoubleDouble(*(part.copy() for part in self.matrix))
        dd.scale_in_place(scaled, scales)
        sums, count = dd.part(scaled, np.s_[:-1, -1]), dd.part(scaled, np.s_[-1, -1])
        half = dd.multiply(DoubleDouble(count.high / 2, count.low / 2), offset)
        edge = dd.add(sums, half)
        border = dd.add(sums, dd.multiply(count, offset))
        inner = dd.part(scaled, np.s_[:-1, :-1])
        for rows in dd.blocks(inner.high.shape):
            cross = dd.multiply(dd.part(offset, np.s_[rows, None]), edge)
            transposed = dd.multiply(offset, dd.part(edge, np.s_[rows, None]))
            moved = dd.add(dd.part(inner, rows), dd.add(cross, transposed))
            for part, block in zip(inner, moved, strict=True):
                part[rows] = block
        for part, column in zip(scaled, border, strict=True):
            part[:-1, -1] = part[-1, :-1] = column
        return Gram(scaled, self._sheared_error(exponent, offset))

    def _sheared_error(self, exponent: NDArray[np.int32], offset: DoubleDouble) -> Float64Array:
        """Each new element is a sum of four terms: 23 u**2 of their magnitudes, at most."""
        error, distance = self.error.copy(), np.abs(offset.high)
        error[:-1] = np.ldexp(error[:-1], exponent) + distance * error[-1]
        norms = np.sqrt(self.matrix.high.diagonal())
        norms[:-1] = np.ldexp(norms[:-1], exponent) + distance * norms[-1]
        return np.asarray(np.sqrt(error**2 + 24 * _SQUARED_ROUNDOFF * norms**2))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Factor(Extent):
    """What least squares needs to know of some rows."""

    frame: Frame
    gram: Gram
    num_slices: int
    """The fewest that any of the rows were cut into; see `add_split_gram`."""

    def merge(self, other: "Factor") -> "Factor":
        """Return the factor of both sets of rows."""
        if not (self.num_rows and other.num_rows):
            return self if self.num_rows else other
        return Factor(
            num_features=self.num_features,
            frame=self.frame,
            gram=self.gram + other.moved(self.frame).gram,
            num_slices=min(self.num_slices, other.num_slices),
            num_rows=self.num_rows + other.num_rows,
            log_weight_sum=self.log_weight_sum + other.log_weight_sum,
            minimum=np.minimum(self.minimum, other.minimum),
            maximum=np.maximum(self.maximum, other.maximum),
            unit_roundoff=np.maximum(self.unit_roundoff, other.unit_roundoff),
        )

    def without_sums(self) -> "Factor":
        """Return what else is known of the rows: the sums of wide ones take much memory."""
        return replace(self, gram=Gram(dd.zeros((0, 0)), np.zeros(0)))

    def in_range(self) -> bool:
        """Tell whether no sum overflowed, and no column varies so little that its squares vanish.

        A frame derived from the first rows may be unfit for those that follow.
        """
        spread = np.ldexp(self.maximum / 2 - self.minimum / 2, -self.frame.exponent)
        fits = (spread == 0) | ((spread > _SMALLEST_SPREAD) & (spread < 1 / _SMALLEST_SPREAD))
        return bool(fits.all() and np.isfinite(self.gram.matrix.high).all())

    def better_frame(self) -> Frame:
        """Return the frame that all of these rows would have chosen."""
        largest = np.maximum(np.abs(self.minimum), np.abs(self.maximum))
        if not self.in_range():
            middle = self.minimum / 2 + self.maximum / 2
            return frame_around(middle, self.maximum / 2 - self.minimum / 2, largest)
        matrix, shift, exponent = self.gram.matrix.high, *self.frame
        mean = matrix[:-1, -1] / matrix[-1, -1]
        variance = matrix.diagonal()[:-1] / matrix[-1, -1] - mean**2
        deviation = np.sqrt(np.maximum(variance, 0.0))
        return frame_around(
            shift + np.ldexp(mean, exponent), np.ldexp(deviation, exponent), largest
        )

    def moved(self, frame: Frame) -> "Factor":
        """Return the same rows, seen in another frame."""
        step = dd.two_sum(self.frame.shift, -frame.shift)
        offset = dd.scale_by_power_of_two(step, -frame.exponent)
        gram = self.gram.sheared(self.frame.exponent - frame.exponent, offset)
        return replace(self, frame=frame, gram=gram)


def frame_around(mean: Float64Array, deviation: Float64Array, largest: Float64Array) -> Frame:
    """Return the frame for columns of which this is known, each of shape (D + K,).

    The shift is the mean, rounded to a power of two below the deviation: it has few bits, and so
    x - shift is often exact.
    """
    exponent = np.frexp(largest)[1]
    grid = np.frexp(deviation)[1] - 1
    # A mean beyond 2**53 deviations is left as it is: ldexp then makes no whole number of it.
    steps = np.rint(np.ldexp(mean, -grid))
    shift = np.where((deviation > 0) & np.isfinite(steps), np.ldexp(steps, grid), mean)
    unfit = (np.abs(exponent) > _SAFE_EXPONENT) & (largest > 0)
    return Frame(shift, np.where(unfit, exponent, 0).astype(np.int32))


def first_frame(columns: Float64Array) -> Frame:
    """Return a frame for columns of which these are some rows; shape (D + K, n)."""
    largest = np.maximum(columns.max(axis=1), -columns.min(axis=1))
    exponent = np.frexp(largest)[1]
    scaled = np.ldexp(columns, -exponent[:, None])  # its squares neither overflow nor vanish
    mean, deviation = (np.ldexp(part(axis=1), exponent) for part in (scaled.mean, scaled.std))
    varies = (columns != columns[:, :1]).any(axis=1)
    return frame_around(
        np.where(varies, mean, columns[:, 0]), np.where(varies, deviation, 0.0), largest
    )


def merged(factor: Factor, ranks: Ranks) -> Factor:
    """Return the factor of all ranks' rows from that of this one's, the same bits on each rank.

    All merge all factors, in the order of the ranks.
    """
    if ranks.size == 1:
        return factor
    arrays = ranks.gather(_encoded(factor))
    return reduce(Factor.merge, (_decoded(array, factor.num_features) for array in arrays))


def _encoded(factor: Factor) -> Float64Array:
    """Return one array that holds every number exactly: row counts are below 2**53."""
    matrix = factor.gram.matrix
    scalars = [
        float(len(factor.gram.error)),
        float(factor.num_slices),
        float(factor.num_rows),
        factor.log_weight_sum,
    ]
    columns = (
        *factor.frame,
        factor.minimum,
        factor.maximum,
        factor.unit_roundoff,
        factor.gram.error,
    )
    return np.concatenate([scalars, *columns, matrix.high.ravel(), matrix.low.ravel()])


def _decoded(array: Float64Array, num_features: int) -> Factor:
    size, num_slices, num_rows, log_weight_sum = array[:_NUM_SCALARS].tolist()
    order = int(size)
    lengths = [order - 1] * 5 + [order, order**2, order**2]
    shift, exponent, minimum, maximum, unit_roundoff, error, high, low = np.split(
        array[_NUM_SCALARS:], np.cumsum(lengths)[:-1]
    )
    shape = (order, order)
    return Factor(
        num_features=num_features,
        frame=Frame(shift, exponent.astype(np.int32)),
        gram=Gram(DoubleDouble(high.reshape(shape), low.reshape(shape)), error),
        num_slices=int(num_slices),
        num_rows=int(num_rows),
        log_weight_sum=log_weight_sum,
        minimum=minimum,
        maximum=maximum,
        unit_roundoff=unit_roundoff,
    )
