"""Double-double arithmetic on arrays: about 106 bits, as an unevaluated sum of two float64.

Every function broadcasts like NumPy. A pair (high, low) has |low| <= ulp(high) / 2. With
u = 2**-53, and unless something overflows or underflows:

    two_sum                 exact
    two_product             exact
    add     relative error  <= 3 u**2 / (1 - 4 u)
    add_float               <= 2 u**2
    multiply                <= 7 u**2
    divide                  <= 17 u**2 / (1 - 56 u)
    root                    <= 25/8 u**2
    square_root             <= 2 u**2
    total of n terms        <= 3 u**2 ceil(log2 n) (1 + 4 u) sum |terms|

Sources: Dekker, A floating-point technique for extending the available precision, Numer. Math. 18
(1971); Knuth, The Art of Computer Programming, vol. 2, section 4.2.2; Joldes, Muller and Popescu,
Tight and rigorous error bounds for basic building blocks of double-word arithmetic, ACM TOMS 44
(2017), algorithms 4, 6, 10 and 17 (whose product errs by 3 u**2 here, not by 1.5 u**2); Lefevre,
Louvet, Muller, Picot and Rideau, Accurate calculation of Euclidean norms using double-word
arithmetic, ACM TOMS 49 (2023), for the root.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array

__all__ = [
    "DoubleDouble",
    "add",
    "add_float",
    "add_in_place",
    "behind",
    "blocks",
    "divide",
    "exact",
    "multiply",
    "negative",
    "part",
    "root",
    "scale_by_power_of_two",
    "scale_in_place",
    "spread",
    "square_root",
    "subtract",
    "total",
    "transposed",
    "two_product",
    "two_sum",
    "zeros",
]


_CACHED_ELEMENTS = 2**14
"""Ten arrays of so many float64 are 1.3 MB, which fits the second-level cache or nearly."""


class DoubleDouble(NamedTuple):
    """The number high + low, elementwise."""

    high: Float64Array
    low: Float64Array


def exact(values: Float64Array) -> DoubleDouble:
    """Take float64 numbers as they are; the low part takes no memory, and cannot be written to."""
    return DoubleDouble(values, np.broadcast_to(np.float64(0.0), np.shape(values)))


def zeros(shape: tuple[int, ...]) -> DoubleDouble:
    """Return memory for a result."""
    return DoubleDouble(np.zeros(shape), np.zeros(shape))


def two_sum(a: Float64Array, b: Float64Array) -> DoubleDouble:
    """Return a + b without error (Knuth)."""
    high = a + b
    from_b = high - a
    return DoubleDouble(high, (a - (high - from_b)) + (b - from_b))


def two_product(a: Float64Array, b: Float64Array) -> DoubleDouble:
    """Return a * b without error (Dekker)."""
    a_high, a_low = _split(a)
    b_high, b_low = _split(b)
    high = a * b
    low = ((a_high * b_high - high) + a_high * b_low + a_low * b_high) + a_low * b_low
    return DoubleDouble(high, low)


def add(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    """Return a + b; accurate under cancellation too (AccurateDWPlusDW)."""
    high, low = two_sum(a.high, b.high)
    tail_high, tail_low = two_sum(a.low, b.low)
    high, low = _renormalize(high, low + tail_high)
    return _renormalize(high, low + tail_low)


def add_float(a: DoubleDouble, b: Float64Array) -> DoubleDouble:
    """Return a + b (DWPlusFP)."""
    high, low = two_sum(a.high, b)
    return _renormalize(high, low + a.low)


def add_in_place(total: DoubleDouble, term: Float64Array) -> None:
    """Add a matrix to one that keeps its memory, as `add_float` does."""
    for rows in blocks(term.shape):
        total.high[rows], total.low[rows] = add_float(part(total, rows), term[rows])


def subtract(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    """Return a - b."""
    return add(a, negative(b))


def multiply(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    """Return a * b (DWTimesDW1)."""
    high, low = two_product(a.high, b.high)
    return _renormalize(high, low + (a.high * b.low + a.low * b.high))


def divide(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    """Return a / b (DWDivDW2)."""
    quotient = a.high / b.high
    product = multiply(b, exact(quotient))
    remainder = (a.high - product.high) + (a.low - product.low)
    return _renormalize(quotient, remainder / b.high)


def square_root(values: Float64Array) -> DoubleDouble:
    """Return the root of positive float64 numbers, by a step of Newton's.

    The remainder is exact. With r the root, r - high = (r**2 - high**2) / (r + high) is off by
    u / 2 of itself where it is divided by 2 * high, and by u for the division; it is at most u * r.
    """
    return root(exact(values))


def root(a: DoubleDouble) -> DoubleDouble:
    """Return the square root of what is positive (SQRTDWtoDW)."""
    high = np.sqrt(a.high)
    square = two_product(high, high)
    remainder = (a.high - square.high) + (a.low - square.low)
    return _renormalize(high, remainder / (2 * high))


def scale_by_power_of_two(a: DoubleDouble, exponent: NDArray[np.int32]) -> DoubleDouble:
    """Return a * 2**exponent without error, exponents int32."""
    return DoubleDouble(np.ldexp(a.high, exponent), np.ldexp(a.low, exponent))


def scale_in_place(a: DoubleDouble, exponent: NDArray[np.int32]) -> None:
    """Multiply the rows and the columns of a square matrix by 2**exponent each, without error."""
    for rows in blocks(a.high.shape):
        for values in part(a, rows):
            np.ldexp(values, exponent[rows, None] + exponent, out=values)


def part(a: DoubleDouble, place: Any) -> DoubleDouble:
    """Return a[place], which may be anything that NumPy takes as an index."""
    return DoubleDouble(a.high[place], a.low[place])


def spread(a: DoubleDouble, shape: tuple[int, ...]) -> DoubleDouble:
    """Return a as NumPy broadcasts it to a shape; it cannot be written to."""
    return DoubleDouble(*(np.broadcast_to(values, shape) for values in a))


def behind(parts: Sequence[DoubleDouble]) -> DoubleDouble:
    """Return arrays behind each other, along their first axis."""
    return DoubleDouble(*map(np.concatenate, zip(*parts, strict=True)))


def transposed(a: DoubleDouble) -> DoubleDouble:
    """Return the transpose of a matrix, each row of it side by side in memory."""
    return DoubleDouble(np.ascontiguousarray(a.high.T), np.ascontiguousarray(a.low.T))


def blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Cut the rows of a matrix so that what a function makes on its way stays in the cache."""
    rows = max(1, _CACHED_ELEMENTS // max(1, shape[1]))
    return (slice(start, start + rows) for start in range(0, shape[0], rows))


def negative(a: DoubleDouble) -> DoubleDouble:
    """Return -a."""
    return DoubleDouble(-a.high, -a.low)


def total(terms: DoubleDouble) -> DoubleDouble:
    """Sum over the last axis, pairwise, so that the error grows with its logarithm."""
    high, low = terms
    while high.shape[-1] > 1:
        if high.shape[-1] % 2:
            pad = [(0, 0)] * (high.ndim - 1) + [(0, 1)]
            high, low = np.pad(high, pad), np.pad(low, pad)
        high, low = add(
            DoubleDouble(high[..., ::2], low[..., ::2]),
            DoubleDouble(high[..., 1::2], low[..., 1::2]),
        )
    if high.shape[-1] == 0:
        zero = np.zeros(high.shape[:-1])
        return DoubleDouble(zero, zero.copy())
    return DoubleDouble(high[..., 0], low[..., 0])


def _renormalize(high: Float64Array, low: Float64Array) -> DoubleDouble:
    """Return high + low without error where |high| >= |low| (Dekker's fast two-sum)."""
    result = high + low
    return DoubleDouble(result, low - (result - high))


def _split(values: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Split into two halves of at most 26 bits each.

    Rounding the bit pattern, unlike Dekker's multiplication, cannot overflow below 2**1023.
    """
    values = np.ascontiguousarray(values, dtype=np.float64)
    bits = values.view(np.int64)
    high = ((bits + (1 << 26)) & ~((1 << 27) - 1)).view(np.float64)
    return high, values - high
