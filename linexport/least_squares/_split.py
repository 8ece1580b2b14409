"""Matrix products in about twice the working precision, at the speed of BLAS.

A matrix is cut into slices of few bits, so few that BLAS multiplies two slices without any error,
in whatever order it sums: with n terms and slices of b bits, on grids g and g', each partial sum is
a multiple of g g' below n 2**(2 b) g g', and exact if that is at most 2**53 g g'. What is left
after the last slice is so small that its ordinary product is accurate enough. (All BLAS libraries
in use sum products; one that multiplied by Strassen's method would not do.)

Source: Ozaki, Ogita, Oishi and Rump, Error-free transformations of matrix multiplication by using
fast routines of matrix multiplication and its applications, Numerical Algorithms 59 (2012).
"""

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.numerics import FLOAT64, DoubleDouble, double_double as dd, gamma

_UNIT_ROUNDOFF = FLOAT64.unit_roundoff
_CACHED_ELEMENTS = 2**13
"""Four arrays of so many float64 are 256 KiB, which fits the second-level cache."""
_PRODUCT_SLICES = 5
"""Of 21 bits and more for up to 2**12 terms: a double-double's 106."""


class RunningSum:
    """A sum of matrices in double-double, in the same memory from first to last."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._high, self._low = np.zeros(shape), np.zeros(shape)
        # A few rows at a time, so that the ten operations of an addition stay in the cache.
        self._rows = max(1, _CACHED_ELEMENTS // max(1, shape[1]))
        self._sum, self._scratch = np.empty((2, self._rows, shape[1]))
        self.num_terms = 0
        """Each costs a relative error of at most 2 u**2 of the sum so far."""

    @property
    def total(self) -> DoubleDouble:
        """The sum."""
        return DoubleDouble(self._high.copy(), self._low.copy())

    def add(self, term: Float64Array) -> None:
        """Add a term, and overwrite it."""
        for start in range(0, len(term), self._rows):
            part = slice(start, start + self._rows)
            self._add(self._high[part], self._low[part], term[part])
        self.num_terms += 1

    def _add(self, high: Float64Array, low: Float64Array, term: Float64Array) -> None:
        """Add in place: `add_float` of linexport.numerics.double_double, operation by operation."""
        total, scratch = self._sum[: len(term)], self._scratch[: len(term)]
        np.add(high, term, out=total)
        np.subtract(total, high, out=scratch)
        np.subtract(term, scratch, out=term)
        np.subtract(total, scratch, out=scratch)
        np.subtract(high, scratch, out=high)
        np.add(high, term, out=high)  # the exact error of high + term
        np.add(low, high, out=low)
        np.add(total, low, out=high)
        np.subtract(high, total, out=scratch)
        np.subtract(low, scratch, out=low)


def add_plain_gram(total: RunningSum, values: Float64Array, terms: int) -> Float64Array:
    """Add values @ values.T as BLAS computes it.

    Args:
        total: The sum to add to.
        values: Shape (P, n).
        terms: As many products at most are summed within BLAS; then these sums are.

    Returns:
        Squares of e, shape (P,): the error of element (i, j) is at most e_i e_j.
    """
    num_columns, num_rows = values.shape
    num_parts = -(-num_rows // terms)
    gram = np.zeros((num_columns, num_columns))
    for start in range(0, num_rows, terms):
        part = values[:, start : start + terms]
        gram += part @ part.T
    squares = gram.diagonal().copy()
    total.add(gram)
    # The values themselves were rounded three times at most: in subtracting, in taking the root of
    # the weight, and in multiplying with it.
    roundings = min(terms, num_rows) + num_parts + 6
    relative = gamma(roundings, unit_roundoff=_UNIT_ROUNDOFF)
    return np.asarray(relative / (1 - relative) * squares)


def add_split_gram(
    total: RunningSum,
    values: Float64Array,
    tail: Float64Array | None,
    num_slices: int,
    *,
    tail_bound: float = _UNIT_ROUNDOFF,
) -> Float64Array:
    """Add the Gram matrix of values + tail, exactly but for what num_slices leave over.

    With H the sum of the slices and T the rest, Z Z' = H H' + sym(T (2 H + T)'), where sym(M) is
    (M + M') / 2. The first is free of error; of the second, only T's few bits are lost.

    Args:
        total: The sum to add to.
        values: Shape (P, n).
        tail: Shape (P, n), right but for 4 roundings of what is added up to it; None if all are 0.
        num_slices: At least 1.
        tail_bound: How large it is at most, and what is added up to it, in units of |values|.

    Returns:
        Squares of e, shape (P,): the error of element (i, j) is at most e_i e_j.
    """
    num_rows = values.shape[1]
    bits = _bits(num_rows)
    exponent, slices, rest = _slices(values, num_slices, bits)
    for index, left in enumerate(slices):
        total.add(left @ left.T)
        for right in slices[index + 1 :]:
            _add_symmetric(total, left @ right.T)
    doubled = 2 * (values - rest)
    if tail is not None:
        rest = rest + tail
    doubled += rest
    _add_symmetric(total, 0.5 * (rest @ doubled.T))
    # |T| <= left_over 2**exponent, and |2 H + T| <= 2.01 |Z|. Roundings: 4 of the tail, T, 2 H + T,
    # and the sum of the product and its transpose.
    left_over = 2.0 ** (-num_slices * (bits + 1)) + (0.0 if tail is None else tail_bound)
    norms = np.sqrt(np.einsum("ij,ij->i", values, values))
    largest = np.where(norms > 0, np.ldexp(1.0, exponent[:, 0]), 0.0)
    rest_to_norm = left_over * np.sqrt(num_rows) * largest / np.where(norms > 0, norms, 1.0)
    relative = 2.01 * gamma(num_rows + 7, unit_roundoff=_UNIT_ROUNDOFF) * rest_to_norm.max()
    return np.asarray(relative * norms**2)


class Sliced:
    """The left factor of any number of products in about twice the working precision."""

    def __init__(self, matrix: DoubleDouble) -> None:
        self._num_terms = matrix.high.shape[1]
        self._slices = _double_double_slices(matrix, _bits(self._num_terms))

    def __matmul__(self, right: DoubleDouble) -> DoubleDouble:
        """Return the matrix product.

        The error of element (i, j) is at most product_error(k) |a_i| |b_j|, with |a_i| the largest
        magnitude in row i on the left, |b_j| in column j on the right, and k the number of terms.
        """
        columns = DoubleDouble(*(np.ascontiguousarray(part.T) for part in right))
        slices = _double_double_slices(columns, _bits(self._num_terms))
        total = RunningSum((len(self._slices[0]), len(slices[0])))
        for order in range(_PRODUCT_SLICES):
            for index in range(order + 1):
                total.add(self._slices[index] @ slices[order - index].T)
        return total.total


def product_error(num_terms: int) -> float:
    """Bound the error of a product of `Sliced` relative to largest row and column elements.

    Slice i of a row is at most 2**(e - i (b + 1)), with 2**e at most twice the largest element.
    Six kinds of products are left out, of 5 (b + 1) bits less; 15 are added, at 2 u**2 each. The
    smaller neglected ones, and partial sums being larger than the sum, fit in the factor 1.1.
    """
    left_out = 6 * 2.0 ** (-_PRODUCT_SLICES * (_bits(num_terms) + 1))
    return 1.1 * 4 * num_terms * (left_out + 30 * _UNIT_ROUNDOFF**2)


def _bits(num_terms: int) -> int:
    """How many bits slices may have: a sum of n products and its transpose then fit 53 bits."""
    return (52 - (num_terms - 1).bit_length()) // 2


def _add_symmetric(total: RunningSum, cross: Float64Array) -> None:
    total.add(cross + cross.T)


def _slices(
    values: Float64Array, count: int, bits: int
) -> tuple[NDArray[np.int32], list[Float64Array], Float64Array]:
    """Cut each row into slices and a rest, without error.

    Returns:
        The exponents e, shape (P, 1), with |values| < 2**e; the slices, of which number i is a
        multiple of 2**(e - bits - i (bits + 1)) of at most `bits` bits; the rest.
    """
    exponent = _exponents(values)
    slices, rest = [], values
    for index in range(count):
        piece = _round_to_grid(rest, exponent - bits - index * (bits + 1))
        rest = rest - piece
        slices.append(piece)
    return exponent, slices, rest


def _double_double_slices(values: DoubleDouble, bits: int) -> list[Float64Array]:
    slices = [np.empty_like(values.high) for _ in range(_PRODUCT_SLICES)]
    for rows in dd.blocks(values.high.shape):
        rest = dd.part(values, rows)
        exponent = _exponents(rest.high)
        for index, whole in enumerate(slices):
            piece = _round_to_grid(rest.high, exponent - bits - index * (bits + 1))
            rest = dd.two_sum(rest.high - piece, rest.low)
            whole[rows] = piece
    return slices


def _exponents(values: Float64Array) -> NDArray[np.int32]:
    largest = np.maximum(values.max(axis=1), -values.min(axis=1))
    return np.asarray(np.frexp(largest)[1][:, None])


def _round_to_grid(values: Float64Array, exponent: NDArray[np.int32]) -> Float64Array:
    """Round to multiples of 2**exponent: the last bit of numbers near 1.5 * 2**52 times that."""
    offset = np.ldexp(1.5, exponent + 52)
    rounded = values + offset
    rounded -= offset
    return rounded
