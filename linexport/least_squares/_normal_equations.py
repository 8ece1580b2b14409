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
from linexport.least_squares._magnitudes import magnitudes_times
from linexport.least_squares._moments import Moments
from linexport.least_squares._split import mirror, panels, product, product_error
from linexport.numerics import FLOAT64, DoubleDouble, double_double as dd, gamma

_SMALL = 2.0**-20
"""Where F is known and below it, I + F + F**2 gives the inverse to 18 digits."""
_SMALL_UNKNOWN = 2.0**-30
"""Where the bound on F is below it times the root of D, but is hardly more than one on rounding,
the inverse has 9 digits as it is: rounding grows like the root of D, its bound like D."""
ROUNDINGS = 8
"""Of numbers near 1, in units of u, that float64 makes of each element of F."""
_BOUND_STEPS = 4
_MOST_STEPS = 8
"""Each takes some 2**40 off the condition number; float64 columns give A no more than 2**106."""
_MOST_REFINEMENTS = 64
"""More than double-double can be approached in, where each step at least halves the distance."""


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
    centred: bool
    """Whether columns are seen from their mean, as with an intercept."""

    @property
    def gram(self) -> DoubleDouble:
        """S + ridge; no copy of `squares` where there is no ridge and all features are left."""
        features, size = self.features, len(self.features)
        if len(self.all_features) == size and not self.ridge.any():
            return dd.part(self.squares, np.s_[:size, :size])
        gram = dd.part(self.squares, np.ix_(features, features))
        add_to_diagonal(gram, self.ridge[features])
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
    dd.scale_in_place(squares, relative)
    own_mean = np.ldexp(mean.high, -unit)
    norms = np.sqrt(np.abs(squares.high.diagonal()) + count.high * own_mean**2)
    return NormalEquations(
        squares=squares,
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
        deviations=np.sqrt(np.maximum(squares.high.diagonal(), 0.0)),
        weight_sum=float(count.high),
        centred=intercept,
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
    remainder: Float64Array | None
    """F, shape (D, D); None where it is no more than the roundings of having taken it."""
    distance: float
    """Bound on the 2-norm of F, its own rounding included; infinity if A is not known well enough
    to be positive definite, and M and F are then of no use."""
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
    matrix = remainder = np.empty((0, 0))
    distance = np.inf
    for step in range(_MOST_STEPS):
        inverse = _cholesky(np.eye(size) - remainder if step else gram.high)
        if inverse is None:
            break
        _invert(inverse)
        matrix = _upper_product(matrix, inverse) if step else inverse
        doubtful = _doubtful(matrix, doubt)
        if doubtful.any():
            return InverseFactor(matrix, remainder, np.inf, doubtful)
        before = distance
        remainder, distance = _plain_remainder(gram.high, matrix)
        if distance > _SMALL_UNKNOWN * np.sqrt(size):
            remainder, distance = _split_remainder(gram, matrix)
        if distance <= _SMALL or before / 2 <= distance < 0.5:
            break
    taken = np.linalg.norm(remainder) > ROUNDINGS * size * FLOAT64.unit_roundoff
    none_doubtful = np.zeros(size, dtype=bool)
    return InverseFactor(matrix, remainder if taken else None, distance, none_doubtful)


def approached(
    gram: DoubleDouble, inverse: Float64Array, gradient: DoubleDouble
) -> tuple[DoubleDouble, DoubleDouble]:
    """Refine from 0 with residuals in twice the working precision, as far as they go.

    Args:
        gram: A, shape (D, D).
        inverse: M.
        gradient: c, shape (D, K).

    Returns:
        w, and c - A w.
    """
    step, rest = dd.exact(np.zeros_like(gradient.high)), gradient
    best = (np.inf, step, rest)
    for _ in range(_MOST_REFINEMENTS):
        step = dd.add_float(step, inverse @ (inverse.T @ rest.high))
        rest = dd.subtract(gradient, product(gram, step))
        size = float(np.linalg.norm(inverse.T @ rest.high))
        if not size < best[0] / 2:
            break
        best = (size, step, rest)
    return best[1:]


def add_to_diagonal(gram: DoubleDouble, values: Float64Array) -> None:
    """Add values, shape (D,), in place."""
    place = np.diag_indices(len(gram.high))
    sums = dd.add_float(dd.part(gram, place), values)
    for part, diagonal in zip(gram, sums, strict=True):
        part[place] = diagonal


def _doubtful(matrix: Float64Array, doubt: Float64Array) -> NDArray[np.bool_]:
    """Return the columns whose combination with those before them may be 0.

    Column j of M is such a combination, of length 1. After the first column in doubt, others may
    only seem so, for being combined with it: they count if their own part is short enough.
    """
    doubtful = magnitudes_times(matrix.T, doubt) >= 1
    first = doubtful.argmax()
    certain = doubtful & (matrix.diagonal() * doubt >= 1)
    certain[first] = doubtful[first]
    return np.asarray(certain)


def _cholesky(gram: Float64Array) -> Float64Array | None:
    """Return R with R'R = gram, or = gram + shift where gram is not positive definite as rounded.

    None if it is not even with a shift of twice what rounding can explain.
    """
    size = len(gram)
    shift = 2 * gamma(size + 2, unit_roundoff=FLOAT64.unit_roundoff) * gram.trace()
    for more in (0.0, shift):
        try:
            return np.asarray(np.linalg.cholesky(gram + more * np.eye(size) if more else gram).T)
        except np.linalg.LinAlgError:
            continue
    return None


def _invert(upper: Float64Array) -> None:
    """Invert an upper triangular matrix in place, by halves: matrix products do the work."""
    size = len(upper)
    if size == 1:
        upper[...] = 1 / upper
        return
    half = size // 2
    first, last, corner = upper[:half, :half], upper[half:, half:], upper[:half, half:]
    _invert(first)
    _invert(last)
    corner[...] = first @ (corner @ last)
    np.negative(corner, out=corner)


def _upper_product(left: Float64Array, right: Float64Array) -> Float64Array:
    """Return the product of two upper triangles, a third of the work of any other."""
    whole = np.zeros_like(right)
    for rows, columns in panels(len(right)):
        whole[rows, columns] = left[rows, rows] @ right[rows, columns]
    return whole


def _plain_remainder(gram: Float64Array, matrix: Float64Array) -> tuple[Float64Array, float]:
    """Return F and a bound on its norm, in float64: two products, and A itself rounded.

    As M is an upper triangle, the upper triangle of F takes but the rows above.
    """
    remainder = np.empty_like(gram)
    for rows, columns in panels(len(gram)):
        once = gram[rows, rows] @ matrix[rows, columns]
        remainder[rows, columns] = _identity(rows, columns) - matrix[rows, rows].T @ once
    mirror(remainder)
    relative = gamma(2 * len(gram) + 6, unit_roundoff=FLOAT64.unit_roundoff)
    bound = _norm_of_magnitudes(gram, matrix)
    return remainder, float(np.linalg.norm(remainder) + relative * (1 + bound))


def _identity(rows: slice, columns: slice) -> Float64Array:
    return np.eye(rows.stop, columns.stop - columns.start, k=-columns.start)


def _norm_of_magnitudes(gram: Float64Array, matrix: Float64Array) -> float:
    """Bound the 2-norm of B = |matrix|' |gram| |matrix|, its diagonal positive.

    That is its spectral radius, at most the largest of (B v)_i / v_i for any positive v (Collatz
    and Wielandt; Horn and Johnson, Matrix Analysis, 2nd ed., theorem 8.1.26).
    """
    vector, bound = np.ones(len(gram)), np.inf
    for _ in range(_BOUND_STEPS):
        once = magnitudes_times(gram, magnitudes_times(matrix, vector))
        image = magnitudes_times(matrix.T, once)
        bound = min(bound, float((image / vector).max()))
        vector = image / image.max()
        vector = np.maximum(vector, np.finfo(np.float64).tiny)
    return bound * (1 + gamma(3 * len(gram) + 3, unit_roundoff=FLOAT64.unit_roundoff))


def _split_remainder(gram: DoubleDouble, matrix: Float64Array) -> tuple[Float64Array, float]:
    """Return F and a bound on its norm, in twice the working precision."""
    size = len(matrix)
    remainder, largest_once = np.empty_like(matrix), np.empty(size)
    for rows, columns in panels(size):
        once = product(dd.part(gram, (rows, rows)), dd.exact(matrix[rows, columns]))
        twice = product(dd.exact(matrix[rows, rows].T), once)
        identity = dd.exact(_identity(rows, columns))
        remainder[rows, columns] = dd.subtract(identity, twice).high
        largest_once[columns] = np.abs(once.high).max(axis=0)
    mirror(remainder)
    # A's elements are at most 1 or so; the errors of `once` pass through the second product.
    largest = np.maximum(matrix.max(axis=0), -matrix.min(axis=0))
    norms = size * np.linalg.norm(largest) + np.linalg.norm(largest_once)
    error = 1.1 * product_error(size) * np.linalg.norm(largest) * norms
    rounding = 2 * FLOAT64.unit_roundoff * (size + np.linalg.norm(remainder))
    return remainder, float(np.linalg.norm(remainder) + error + rounding)
