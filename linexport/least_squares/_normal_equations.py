"""The normal equations of a factor: centred, each column in a unit near its deviation.

N rows, D features, K targets. Column j is seen as (x_j - mean_j) / 2**exponent_j: powers of two
cost no digit. The equations are A w = c, A = S + ridge, with S the sums of products of the features
and c theirs with the targets.

They are solved with a triangular M, M'A M = I - F. Where |F| < 1, a vector's distance from the
solution follows from its residual g = c - A w,

    w* - w = M (I - F)**-1 M'g,

whatever way M was found. Cholesky's factorization in float64 does for condition numbers of A up to
1e15 or so. Beyond, its inverse still improves the condition by about as much: factorizing M'A M,
taken in twice the working precision, and multiplying the inverses comes as close as A is known.

Source: Ogita and Oishi, Accurate and robust inverse Cholesky factorization, Nonlinear Theory and
Its Applications 3 (2012); for the shift where A is indefinite as rounded, Rump and Ogita,
Super-fast validated solution of linear systems, J. Comput. Appl. Math. 199 (2007).
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.least_squares._factor import Factor
from linexport.least_squares._moments import Moments
from linexport.least_squares._split import Sliced, product_error
from linexport.numerics import FLOAT64, DoubleDouble, double_double as dd, gamma

_SMALL = 2.0**-20
"""Where F is known and below it, I + F + F**2 gives the inverse to 18 digits."""
_SMALL_UNKNOWN = 2.0**-30
"""Where the bound on F is below it times the root of D, but is hardly more than one on rounding,
the inverse has 9 digits as it is: rounding grows like the root of D, its bound like D."""
_PANEL = 256
"""Columns of a triangular product at a time: enough for BLAS's full speed."""
_BOUND_STEPS = 4
_MOST_STEPS = 8
"""Each takes some 2**40 off the condition number; float64 columns give A no more than 2**106."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NormalEquations(Moments):
    """Sums of products of centred, scaled columns."""

    squares: DoubleDouble
    """Shape (D + K, D + K), elements below 1."""
    error: Float64Array
    """Shape (D + K,): element (i, j) of `squares` is off by at most error[i] * error[j]."""
    norms: Float64Array
    """Shape (D + K,): root of each column's sum of squares, taken from 0, not from the mean."""
    rounding: Float64Array
    """Shape (D + K,): of each column, by how much rounding its numbers to the format that they came
    in may have changed it, in the norm: u |x|."""
    ridge: Float64Array
    """Shape (D + K,); 0 for the targets."""

    @property
    def gram(self) -> DoubleDouble:
        """S + ridge."""
        gram = dd.part(self.squares, np.ix_(self.features, self.features))
        diagonal = np.diag_indices(len(self.features))
        sums = dd.add_float(dd.part(gram, diagonal), self.ridge[self.features])
        for part, values in zip(gram, sums, strict=True):
            part[diagonal] = values
        return gram

    @property
    def moments(self) -> DoubleDouble:
        """The features' products with the targets, shape (D, K)."""
        return dd.part(self.squares, np.ix_(self.features, self.targets))

    @property
    def target_squares(self) -> DoubleDouble:
        """Shape (K,)."""
        return dd.part(self.squares, (self.targets, self.targets))

    def without(self, columns: NDArray[np.intp]) -> "NormalEquations":
        """Return the equations with some of the features as further targets."""
        return replace(
            self,
            features=np.setdiff1d(self.features, columns),
            targets=np.concatenate([self.targets, columns]),
        )


def normal_equations(factor: Factor, *, intercept: bool, l2: float) -> NormalEquations:
    """Derive the equations from a factor that is in range.

    Args:
        factor: Of all rows.
        intercept: Whether columns are taken from their mean, or from 0.
        l2: What is added to the diagonal of S, in the features' own units.
    """
    matrix, (shift, exponent) = factor.gram.matrix, factor.frame
    unmoved = np.zeros_like(exponent)
    count = dd.part(matrix, np.s_[-1, -1])
    if intercept:
        step = dd.divide(dd.part(matrix, np.s_[:-1, -1]), count)
        mean = dd.add(dd.exact(shift), dd.scale_by_power_of_two(step, exponent))
        mean_error = factor.gram.error[:-1] * factor.gram.error[-1] / count.high
        centred = factor.gram.sheared(unmoved, dd.negative(step))
    else:
        mean = dd.exact(np.zeros_like(shift))
        mean_error = np.zeros_like(shift)
        centred = factor.gram.sheared(unmoved, dd.exact(np.ldexp(shift, -exponent)))
    squares = dd.part(centred.matrix, np.s_[:-1, :-1])
    ridge = np.zeros_like(shift)
    ridge[: factor.num_features] = l2
    unit = _unit_exponents(squares.high.diagonal(), exponent, ridge)
    relative = exponent - unit
    scaled = dd.scale_by_power_of_two(squares, relative[:, None] + relative)
    own_mean = np.ldexp(mean.high, -unit)
    norms = np.sqrt(np.abs(scaled.high.diagonal()) + count.high * own_mean**2)
    return NormalEquations(
        squares=scaled,
        error=np.ldexp(centred.error[:-1], relative),
        norms=norms,
        rounding=factor.unit_roundoff * norms,
        ridge=np.ldexp(ridge, -2 * unit),
        all_features=np.arange(factor.num_features),
        features=np.arange(factor.num_features),
        targets=np.arange(factor.num_features, len(shift)),
        exponent=unit,
        mean=mean,
        mean_error=np.ldexp(mean_error, relative),
        deviations=np.sqrt(np.maximum(scaled.high.diagonal(), 0.0)),
        weight_sum=float(count.high),
    )


def _unit_exponents(
    squares: Float64Array, exponent: NDArray[np.int32], ridge: Float64Array
) -> NDArray[np.int32]:
    """Return exponents of units in which squares + ridge are below 1; squares in 4**exponent."""
    of_squares = np.frexp(np.abs(squares))[1] + 2 * exponent
    of_ridge = np.frexp(ridge)[1]
    larger = np.where(
        ridge > 0, np.where(squares > 0, np.maximum(of_squares, of_ridge), of_ridge) + 1, of_squares
    )
    return np.asarray(-(-larger // 2), dtype=np.int32)


class InverseFactor(NamedTuple):
    """M and F as above."""

    matrix: Float64Array
    """M, shape (D, D); the entries on its diagonal are positive."""
    remainder: Float64Array
    """F, shape (D, D)."""
    distance: float
    """Bound on the 2-norm of F, its own rounding included; infinity if A is not known well enough
    to be positive definite."""
    doubtful: NDArray[np.bool_]
    """Shape (D,): columns that cannot be told from a combination of those before them."""


def inverse_factor(gram: DoubleDouble, doubt: Float64Array) -> InverseFactor:
    """Factorize.

    Args:
        gram: A, symmetric, shape (D, D); the diagonal is at most 1 or so.
        doubt: Shape (D,): how large a change of each column, in the norm, is within the error of
            the data. A combination of columns that is no longer than its doubt may be 0.
    """
    size = len(doubt)
    matrix, remainder, distance = np.eye(size), np.eye(size) - gram.high, np.inf
    sliced = None
    for step in range(_MOST_STEPS):
        upper = _cholesky(np.eye(size) - remainder)
        if upper is None:
            break
        inverse = _triangular_inverse(upper)
        matrix = _upper_product(matrix, inverse) if step else inverse
        doubtful = _doubtful(np.abs(matrix), doubt)
        if doubtful.any():
            return InverseFactor(matrix, remainder, np.inf, doubtful)
        before = distance
        remainder, distance = _plain_remainder(gram.high, matrix)
        if distance > _SMALL_UNKNOWN * np.sqrt(size):
            sliced = sliced or Sliced(gram)
            remainder, distance = _split_remainder(sliced, matrix)
        if distance <= _SMALL or before / 2 <= distance < 0.5:
            break
    return InverseFactor(matrix, remainder, distance, np.zeros(size, dtype=bool))


def _doubtful(magnitude: Float64Array, doubt: Float64Array) -> NDArray[np.bool_]:
    """Return the columns whose combination with those before them may be 0.

    Column j of M is such a combination, of length 1. After the first column in doubt, others may
    only seem so, for being combined with it: they count if their own part is short enough.
    """
    doubtful = magnitude.T @ doubt >= 1
    first = doubtful.argmax()
    certain = doubtful & (magnitude.diagonal() * doubt >= 1)
    certain[first] = doubtful[first]
    return np.asarray(certain)


def _cholesky(gram: Float64Array) -> Float64Array | None:
    """Return R with R'R = gram, or = gram + shift where gram is not positive definite as rounded.

    None if it is not even with a shift of twice what rounding can explain.
    """
    size = len(gram)
    shift = 2 * gamma(size + 2, unit_roundoff=FLOAT64.unit_roundoff) * gram.trace()
    for candidate in (gram, gram + shift * np.eye(size)):
        try:
            return np.asarray(np.linalg.cholesky(candidate).T)
        except np.linalg.LinAlgError:
            continue
    return None


def _triangular_inverse(upper: Float64Array) -> Float64Array:
    """Invert an upper triangular matrix by halves, so that matrix products do the work."""
    size = len(upper)
    if size == 1:
        return 1 / upper
    half = size // 2
    first = _triangular_inverse(upper[:half, :half])
    last = _triangular_inverse(upper[half:, half:])
    inverse = np.zeros_like(upper)
    inverse[:half, :half], inverse[half:, half:] = first, last
    inverse[:half, half:] = -first @ (upper[:half, half:] @ last)
    return inverse


def _upper_product(left: Float64Array, right: Float64Array) -> Float64Array:
    """Return the upper triangle of left @ right, a third of the work of all of it.

    One of both is triangular, left a lower or right an upper triangle, so that terms beyond an
    element's column are 0.
    """
    product = np.zeros_like(right)
    for start in range(0, len(right), _PANEL):
        stop, panel = start + _PANEL, slice(start, start + _PANEL)
        product[:stop, panel] = left[:stop, :stop] @ right[:stop, panel]
    return product


def _plain_remainder(gram: Float64Array, matrix: Float64Array) -> tuple[Float64Array, float]:
    """Return F and a bound on its norm, in float64: two products, and A itself rounded."""
    upper = np.triu(_upper_product(matrix.T, _upper_product(gram, matrix)))
    remainder = np.eye(len(gram)) - (upper + np.triu(upper, 1).T)
    relative = gamma(2 * len(gram) + 6, unit_roundoff=FLOAT64.unit_roundoff)
    bound = _norm_of_magnitudes(np.abs(gram), np.abs(matrix))
    return remainder, float(np.linalg.norm(remainder) + relative * (1 + bound))


def _norm_of_magnitudes(gram: Float64Array, matrix: Float64Array) -> float:
    """Bound the 2-norm of B = matrix' gram matrix, of no negative number and a positive diagonal.

    That is its spectral radius, at most the largest of (B v)_i / v_i for any positive v (Collatz
    and Wielandt; Horn and Johnson, Matrix Analysis, 2nd ed., theorem 8.1.26).
    """
    vector, bound = np.ones(len(gram)), np.inf
    for _ in range(_BOUND_STEPS):
        image = matrix.T @ (gram @ (matrix @ vector))
        bound = min(bound, float((image / vector).max()))
        vector = image / image.max()
        vector = np.maximum(vector, np.finfo(np.float64).tiny)
    return bound * (1 + gamma(3 * len(gram) + 3, unit_roundoff=FLOAT64.unit_roundoff))


def _split_remainder(gram: Sliced, matrix: Float64Array) -> tuple[Float64Array, float]:
    """Return F and a bound on its norm, in twice the working precision."""
    size = len(matrix)
    once = gram @ dd.exact(matrix)
    twice = Sliced(dd.exact(np.ascontiguousarray(matrix.T))) @ once
    remainder = dd.subtract(dd.exact(np.eye(size)), twice).high
    # A's elements are at most 1 or so; the errors of `once` pass through the second product.
    largest, largest_once = np.abs(matrix).max(axis=0), np.abs(once.high).max(axis=0)
    norms = size * np.linalg.norm(largest) + np.linalg.norm(largest_once)
    error = 1.1 * product_error(size) * np.linalg.norm(largest) * norms
    rounding = 2 * FLOAT64.unit_roundoff * (size + np.linalg.norm(remainder))
    return remainder, float(np.linalg.norm(remainder) + error + rounding)
