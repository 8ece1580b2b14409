"""Matrix products in about twice the working precision, at the speed of BLAS.

A matrix is cut into slices of few bits, so few that BLAS multiplies two slices without any error,
in whatever order it sums: with n terms and slices of b bits, on grids g and g', each partial sum is
a multiple of g g' below n 2**(2 b) g g', and exact if that is at most 2**53 g g'. What is left
after the last slice is so small that its ordinary product is accurate enough. (All BLAS libraries
in use sum products; one that multiplied by Strassen's method would not do.)

Source: Ozaki, Ogita, Oishi and Rump, Error-free transformations of matrix multiplication by using
fast routines of matrix multiplication and its applications, Numerical Algorithms 59 (2012).
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.numerics import FLOAT64, DoubleDouble, double_double as dd, gamma

_UNIT_ROUNDOFF = FLOAT64.unit_roundoff
_PANEL = 256
"""Columns of a product at a time: enough for BLAS's full speed, and small beside a matrix."""
_BLOCK_ELEMENTS = 2**16
"""Of the left factor, so many are cut at a time: half a megabyte for each slice."""
_PRODUCT_SLICES = 5
"""Of 21 bits and more for up to 2**12 terms: a double-double's 106."""


def panels(order: int) -> Iterator[tuple[slice, slice]]:
    """Cut an upper triangle into panels: the rows down to the diagonal, and some columns."""
    for start in range(0, order, _PANEL):
        stop = min(start + _PANEL, order)
        yield slice(0, stop), slice(start, stop)


def mirror(matrix: Float64Array) -> None:
    """Make a matrix symmetric in place, by its upper triangle."""
    for _, columns in panels(len(matrix)):
        corner = matrix[columns, columns]
        corner[...] = np.triu(corner) + np.triu(corner, 1).T
        above = slice(0, columns.start)
        matrix[columns, above] = matrix[above, columns].T


class GramSum:
    """A sum of symmetric matrices in double-double, in the same memory from first to last."""

    def __init__(self, order: int) -> None:
        self._upper = DoubleDouble(np.zeros((order, order)), np.zeros((order, order)))
        self.num_terms = 0
        """Each costs a relative error of at most 2 u**2 of the sum so far."""

    def add(self, term: Callable[[slice, slice], Float64Array]) -> None:
        """Add the matrix of which the function returns any part, given its rows and columns."""
        for place in panels(len(self._upper.high)):
            dd.add_in_place(dd.part(self._upper, place), term(*place))
        self.num_terms += 1

    def total(self) -> DoubleDouble:
        """Return the sum, in this memory: what is added later changes it."""
        for part in self._upper:
            mirror(part)
        return self._upper


def add_plain_gram(total: GramSum, values: Float64Array, terms: int) -> Float64Array:
    """Add values @ values.T as BLAS computes it.

    Args:
        total: The sum to add to.
        values: Shape (P, n).
        terms: As many products at most are summed within BLAS; then these sums are.

    Returns:
        Squares of e, shape (P,): the error of element (i, j) is at most e_i e_j.
    """
    num_rows = values.shape[1]
    parts = [values[:, start : start + terms] for start in range(0, num_rows, terms)]

    def gram(rows: slice, columns: slice) -> Float64Array:
        panel = parts[0][rows] @ parts[0][columns].T
        for part in parts[1:]:
            panel += part[rows] @ part[columns].T
        return np.asarray(panel)

    total.add(gram)
    squares = np.einsum("ij,ij->i", values, values)
    # The values themselves were rounded three times at most: in subtracting, in taking the root of
    # the weight, and in multiplying with it. The squares here, once for each term.
    roundings = min(terms, num_rows) + len(parts) + 6
    relative = gamma(roundings, unit_roundoff=_UNIT_ROUNDOFF)
    return np.asarray(relative / (1 - gamma(num_rows, unit_roundoff=_UNIT_ROUNDOFF)) * squares)


def add_split_gram(
    total: GramSum,
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
        _add_square(total, left)
        for right in slices[index + 1 :]:
            _add_symmetric(total, left, right)
    half = values - rest
    if tail is not None:
        rest = rest + tail
    half += rest / 2
    _add_symmetric(total, rest, half)
    # |T| <= left_over 2**exponent, and |2 H + T| <= 2.01 |Z|. Roundings: 4 of the tail, T, 2 H + T,
    # and the sum of the product and its transpose.
    left_over = 2.0 ** (-num_slices * (bits + 1)) + (0.0 if tail is None else tail_bound)
    norms = np.sqrt(np.einsum("ij,ij->i", values, values))
    largest = np.where(norms > 0, np.ldexp(1.0, exponent[:, 0]), 0.0)
    rest_to_norm = left_over * np.sqrt(num_rows) * largest / np.where(norms > 0, norms, 1.0)
    relative = 2.01 * gamma(num_rows + 7, unit_roundoff=_UNIT_ROUNDOFF) * rest_to_norm.max()
    return np.asarray(relative * norms**2)


def _add_square(total: GramSum, values: Float64Array) -> None:
    total.add(lambda rows, columns: values[rows] @ values[columns].T)


def _add_symmetric(total: GramSum, left: Float64Array, right: Float64Array) -> None:
    """Add left @ right.T and its transpose."""

    def term(rows: slice, columns: slice) -> Float64Array:
        panel = left[rows] @ right[columns].T
        panel += right[rows] @ left[columns].T
        return np.asarray(panel)

    total.add(term)


def product(left: DoubleDouble, right: DoubleDouble) -> DoubleDouble:
    """Multiply matrices in about twice the working precision.

    The error of element (i, j) is at most product_error(k) |a_i| |b_j|, with |a_i| the largest
    magnitude in row i on the left, |b_j| in column j on the right, and k the number of terms.
    """
    (num_rows, num_terms), num_columns = left.high.shape, right.high.shape[1]
    result = dd.zeros((num_rows, num_columns))
    block = max(_BLOCK_ELEMENTS // max(num_terms, 1), 1)
    for first in range(0, num_columns, _PANEL):
        columns = slice(first, first + _PANEL)
        others = _product_slices(dd.transposed(dd.part(right, np.s_[:, columns])))
        for start in range(0, num_rows, block):
            rows = slice(start, start + block)
            total = dd.part(result, (rows, columns))
            for index, piece in enumerate(_product_slices(dd.part(left, rows))):
                for other in others[: _PRODUCT_SLICES - index]:
                    dd.add_in_place(total, piece @ other.T)
    return result


def product_error(num_terms: int) -> float:
    """Bound the error of a `product` relative to largest row and column elements.

    Slice i of a row is at most 2**(e - i (b + 1)), with 2**e at most twice the largest element.
    Six kinds of products are left out, of 5 (b + 1) bits less; 15 are added, at 2 u**2 each. The
    smaller neglected ones, and partial sums being larger than the sum, fit in the factor 1.1.
    """
    left_out = 6 * 2.0 ** (-_PRODUCT_SLICES * (_bits(num_terms) + 1))
    return 1.1 * 4 * num_terms * (left_out + 30 * _UNIT_ROUNDOFF**2)


def _bits(num_terms: int) -> int:
    """How many bits slices may have: a sum of n products and its transpose then fit 53 bits."""
    return (52 - (num_terms - 1).bit_length()) // 2


def _slices(
    values: Float64Array, count: int, bits: int
) -> tuple[NDArray[np.int32], list[Float64Array], Float64Array]:
    """Cut each row into slices and a rest, without error.

    Returns:
        The exponents e, shape (P, 1), with |values| < 2**e; the slices that are not 0, of which
        number i is a multiple of 2**(e - bits - i (bits + 1)) of at most `bits` bits; the rest.
    """
    exponent = _exponents(values)
    slices: list[Float64Array] = []
    rest = values
    while len(slices) < count and rest.any():
        slices.append(_round_to_grid(rest, exponent - bits - len(slices) * (bits + 1)))
        rest = rest - slices[-1]
    return exponent, slices, rest


def _product_slices(values: DoubleDouble) -> list[Float64Array]:
    bits = _bits(values.high.shape[1])
    if not values.low.any():
        return _slices(values.high, _PRODUCT_SLICES, bits)[1]
    exponent = _exponents(values.high)
    slices, rest = [], values
    for index in range(_PRODUCT_SLICES):
        slices.append(_round_to_grid(rest.high, exponent - bits - index * (bits + 1)))
        rest = dd.two_sum(rest.high - slices[-1], rest.low)
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
