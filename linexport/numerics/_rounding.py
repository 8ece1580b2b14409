"""The float32 nearest to what a model means exactly, from sums taken in float64.

N rows of float32, D features, K targets; weight, bias and mean are float64. A sum in float64, in
any order, is within E of the exact one (`_bounds`). To round to nearest keeps the order of numbers:
where both sum - E and sum + E round to the same float32, the exact number does so too. Four steps,
each for what the one before leaves undecided:

1. One E for all rows, from the largest difference from the mean in each column.
2. Each row's own E.
3. The exact products, summed with what each addition loses, and what that sum loses in turn. The
   last is a bound on what is left, mostly zero: then ties are decided too.
4. Integers, which lose nothing.

The steps and their constants are derived in docs/bounds.md, "Rounding once". Zero is always +0.
"""

import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array, FloatArray
from linexport.numerics._bounds import FLOAT32, FLOAT64, Affine, gamma, own_slack
from linexport.numerics.double_double import DoubleDouble, exact, two_product, two_sum

__all__ = ["CorrectRounding"]

Float32Array = NDArray[np.float32]

_GROUP = 64
"""Rows side by side, at most, while column maxima are taken: NumPy's vectors run along them."""
_SIDE_BY_SIDE = 2**12
"""Numbers of these rows, at most: longer vectors gain nothing."""
_CHUNK = 2**16
"""Products at a time in step 3: a few megabytes."""
_OBJECTS = 2**14
"""Products at a time in step 4, where each is an object."""
_ZERO = np.float32(0)
_LEAST = -149
"""Exponent of float32's smallest number."""


class CorrectRounding:
    """Rounds the sums of one model so that the same row gives the same bits, whoever summed it."""

    def __init__(self, affine: Affine) -> None:
        """Take the numbers of the model, whose features and predictions are float32."""
        self._affine = affine
        num_features = affine.weight.shape[1]
        # 2 for the rounding of sum - E and sum + E; the slack for that of E itself.
        relative = gamma(affine.num_roundings + 2, unit_roundoff=FLOAT64.unit_roundoff)
        slack = own_slack(num_features + 16)
        # Of four times the magnitude, which is infinity where a sum may overflow on its way.
        self._relative = relative * slack / 4
        with np.errstate(over="ignore"):
            self._weight = 4 * np.abs(affine.weight).T  # (D, K)
            self._bias = 4 * np.abs(affine.bias)
        # Far more than all underflows, and far less than float32 has digits for.
        self._absolute = num_features * FLOAT64.smallest_normal

    def __call__(self, features: FloatArray, sums: FloatArray) -> Float32Array:
        """Round sums to the nearest float32 of what they should be, ties to even.

        Args:
            features: Shape (N, D). Where a row has NaN or infinity, its sums are just converted.
            sums: Shape (N, K), as computed in float64 in any order.

        Returns:
            Shape (N, K), in the memory order of the sums.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            rounded, certain = _rounded(sums, self._limit(self._reach(features)))
            if np.count_nonzero(certain) < certain.size:
                self._settle(features, sums, rounded, np.flatnonzero(~certain.all(axis=1)))
        rounded += _ZERO  # -0 becomes +0
        return rounded

    def _limit(self, reach: NDArray[Any]) -> Float64Array:
        """Return E for (..., D) distances from the mean, shape (..., K), target units."""
        # Not by BLAS, which wakes its threads for ten thousand numbers, and waits for them.
        magnitude: Float64Array = np.einsum("...d,dk->...k", reach, self._weight) + self._bias
        return np.asarray(magnitude * self._relative + self._absolute)

    def _reach(self, features: FloatArray) -> NDArray[Any]:
        """Return the largest distance from the mean in each column, shape (D,)."""
        if len(features) == 1:
            return self._distance(features[0])
        ends = (_along_columns(extreme, features) for extreme in (np.fmin, np.fmax))
        return np.asarray(np.maximum(*map(self._distance, ends)))

    def _distance(self, features: NDArray[Any]) -> NDArray[Any]:
        """Return |features - mean|."""
        mean = self._affine.mean
        return np.asarray(np.abs(features if mean is None else np.subtract(features, mean)))

    def _settle(
        self,
        features: FloatArray,
        sums: FloatArray,
        rounded: Float32Array,
        rows: NDArray[np.intp],
    ) -> None:
        """Round those rows anew, by the steps from the second on."""
        given = features.take(rows, axis=0).astype(np.float64)
        limit = self._limit(self._distance(given))
        rounded[rows], certain = _rounded(sums[rows], limit)
        places, targets = np.nonzero(~certain)
        step = max(1, _CHUNK // given.shape[1])
        for start in range(0, len(places), step):
            row, target = places[start : start + step], targets[start : start + step]
            rounded[rows[row], target] = sums[rows[row], target]  # of rows that are not finite
            finite = np.isfinite(given[row]).all(axis=1)
            row, target = row[finite], target[finite]
            rounded[rows[row], target] = self._exactly(given[row], target)

    def _exactly(self, rows: Float64Array, targets: NDArray[np.intp]) -> Float32Array:
        """Return the predictions of one target for each of (P, D) rows, shape (P,)."""
        high, low, rest = self._summed_twice(rows, targets)
        above = np.where(rest > 0, np.nextafter(low + rest, np.inf), low)
        below = np.where(rest > 0, np.nextafter(low - rest, -np.inf), low)
        rounded = _nearest(two_sum(high, above))
        undecided = ~(rounded == _nearest(two_sum(high, below)))  # NaN after an overflow
        if not self._products_are_exact:
            undecided[:] = True
        places = np.flatnonzero(undecided)
        step = max(1, _OBJECTS // rows.shape[1])
        for start in range(0, len(places), step):
            place = places[start : start + step]
            rounded[place] = self._by_integers(rows[place], targets[place])
        return rounded

    def _summed_twice(
        self, rows: Float64Array, targets: NDArray[np.intp]
    ) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Return a sum, what it lost, and a bound on what that lost; each of shape (P,)."""
        weight, mean = self._affine.weight[targets], self._affine.mean
        inputs = exact(rows) if mean is None else two_sum(rows, -mean)
        terms = [self._affine.bias[targets, None], *two_product(inputs.high, weight)]
        if inputs.low.any():
            terms += two_product(inputs.low, weight)
        high, lost = _sum(np.concatenate(terms, axis=1))
        low, lost = _sum(lost)
        slack = own_slack(lost.shape[1])
        return high, low, np.abs(lost).sum(axis=1) * slack

    @cached_property
    def _products_are_exact(self) -> bool:
        """Whether no part of a product in step 3 underflows, whatever the rows."""
        weight, mean = self._affine.weight, self._affine.mean
        least = _LEAST if mean is None else min(_LEAST, _last_bit(mean))
        return least + _last_bit(weight) >= -1074

    @cached_property
    def _integers(self) -> "dict[str, tuple[NDArray[Any], int]]":
        arrays = {"weight": self._affine.weight, "bias": self._affine.bias}
        if self._affine.mean is not None:
            arrays["mean"] = self._affine.mean
        return {name: _as_integers(array) for name, array in arrays.items()}

    def _by_integers(self, rows: Float64Array, targets: NDArray[np.intp]) -> Float32Array:
        inputs = _as_integers(rows)
        if "mean" in self._integers:
            mean, exponent = self._integers["mean"]
            inputs = _added(inputs, (-mean, exponent))
        weight, exponent = self._integers["weight"]
        products = (inputs[0] * weight[targets]).sum(axis=1), inputs[1] + exponent
        bias, exponent = self._integers["bias"]
        totals, exponent = _added(products, (bias[targets], exponent))
        return np.array([_float32(total, exponent) for total in totals]).astype(np.float32)


def _rounded(sums: FloatArray, limit: Float64Array) -> tuple[Float32Array, NDArray[np.bool_]]:
    """Return the nearest float32, and where that is certain within a limit on the sums' error."""
    above = (sums + limit).astype(np.float32)
    return above, above == (sums - limit).astype(np.float32)


def _along_columns(extreme: np.ufunc, rows: FloatArray) -> FloatArray:
    """Reduce (N, D) to (D,)."""
    group = min(_GROUP, _SIDE_BY_SIDE // rows.shape[1])
    num_grouped = len(rows) // max(group, 1) * group
    if not rows.flags.c_contiguous or not num_grouped:
        return np.asarray(extreme.reduce(rows, axis=0, initial=np.nan))
    grouped = extreme.reduce(rows[:num_grouped].reshape(-1, group * rows.shape[1]), axis=0)
    rest = np.concatenate([grouped.reshape(group, -1), rows[num_grouped:]])
    return np.asarray(extreme.reduce(rest, axis=0))


def _sum(terms: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Sum (P, T) over the last axis, as a tree: shape (P,), and the (P, T - 1) losses, exactly."""
    lost = []
    while (half := terms.shape[1] // 2) > 0:
        sums, errors = two_sum(terms[:, :half], terms[:, half : 2 * half])
        terms = np.concatenate([sums, terms[:, 2 * half :]], axis=1)
        lost.append(errors)
    return terms[:, 0], np.concatenate(lost, axis=1)


def _nearest(value: DoubleDouble) -> Float32Array:
    """Round high + low once.

    The high part is first moved to its neighbour with an odd significand, if it is even and the low
    part is not zero: more than two digits beyond float32's, that decides as the sum itself does
    (Boldo and Melquiond, Emulation of FMA and correctly rounded sums: proved algorithms using
    rounding to odd, IEEE Trans. Comput. 57 (2008)).
    """
    bits = value.high.view(np.int64)
    step = np.where((value.low > 0) == (value.high > 0), 1, -1)
    odd = np.where((value.low != 0) & (bits % 2 == 0), bits + step, bits)
    return odd.view(np.float64).astype(np.float32)


def _last_bit(values: Float64Array) -> int:
    """Return the least exponent of a last digit; 0 if all are zero."""
    _, exponent = np.frexp(values[values != 0])
    return int(exponent.min(initial=FLOAT64.digits)) - FLOAT64.digits


def _as_integers(values: Float64Array) -> tuple[NDArray[Any], int]:
    """Return Python's integers and an exponent: values are these times 2**exponent."""
    significand, exponent = np.frexp(values)
    last = _last_bit(values) + FLOAT64.digits
    shift = np.where(values == 0, 0, exponent - last).astype(object)
    whole = np.ldexp(significand, FLOAT64.digits).astype(np.int64).astype(object)
    return whole << shift, last - FLOAT64.digits


def _added(a: tuple[NDArray[Any], int], b: tuple[NDArray[Any], int]) -> tuple[NDArray[Any], int]:
    exponent = min(a[1], b[1])
    return (a[0] << a[1] - exponent) + (b[0] << b[1] - exponent), exponent


def _float32(whole: int, exponent: int) -> float:
    """Round whole * 2**exponent to 24 digits, ties to even; float32 may be too narrow for it."""
    excess = max(whole.bit_length() - FLOAT32.digits, _LEAST - exponent)
    if excess > 0:
        unit = 1 << excess
        kept, rest = divmod(whole, unit)
        whole, exponent = kept + (2 * rest > unit - kept % 2), exponent + excess
    return math.ldexp(whole, min(exponent, 2 * -_LEAST))
