"""The covariance of the coefficients over the residual variance, and how well it is known.

D features, of which r are independent, in the units of the normal equations. With M and F of the
inverse factor, coefficients have the covariance s**2 L C L' with the residual variance s**2 and

    L = M, with rows of zeros for dependent features    C = P T P    T = M'S M    P = (I - F)**-1,

which is A**-1 S A**-1, the covariance of the ridge estimator about its own mean (Hoerl and Kennard,
Technometrics 12, 1970). Without a ridge T = I - F, and C = P. With one, T is taken in twice the
working precision, from S: as the rest that the ridge leaves of I - F, what it shrinks to almost
nothing would be lost. An F that is no more than the roundings of having taken it is left out.

As |E_ij| <= e_i e_j, T is off by at most t_i t_j with t = |M|'e, and so is C with |P| t. A variance
that may be off by more than a millionth of itself is nan: it is not known.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from linexport._arrays import Float64Array
from linexport.least_squares._extremes import largest_eigenvalue
from linexport.least_squares._magnitudes import magnitudes_times, row_norms
from linexport.least_squares._normal_equations import ROUNDINGS, InverseFactor, NormalEquations
from linexport.least_squares._split import product, product_error
from linexport.numerics import FLOAT64, DoubleDouble, double_double as dd, gamma

NEGLIGIBLE = 2.0**-20
"""A millionth: of its standard error for a coefficient, of itself for a standard error or a
residual sum of squares. Nothing that is done with a fit shows errors below it."""
_SMALL_SQUARE = 2.0**-30
"""Where F is below it, F**2 is below 2**-60."""
_LOST = 2.0**-511
"""The root of what float64 may lose of a square that nearly vanishes: S is not known beyond it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Uncertainty:
    """The covariance of the coefficients over s**2, as L and C."""

    loadings: Float64Array
    """L, shape (D, r)."""
    loading_error: Float64Array
    """Shape (D,): how far each row of L is off, in the norm."""
    core: Float64Array | None
    """C, shape (r, r); None for the identity."""
    from_sums: Float64Array
    """Shape (r,): by the error of the sums, C is off by at most from_sums_i from_sums_j."""
    from_rounding: Float64Array
    """Shape (r,): the same for having computed it."""
    degrees_of_freedom: float
    """That the coefficients take up: the trace of S A**-1; r without a ridge."""

    @property
    def reach(self) -> Float64Array:
        """How far each coefficient may be from the optimum, per unit of distance; shape (D,)."""
        return np.asarray(row_norms(self.loadings) + self.loading_error)

    @cached_property
    def variances(self) -> Float64Array:
        """Those of the coefficients, over s**2; nan if not known to a millionth; shape (D,)."""
        return self._known(self._of(self.loadings), self.loadings, self.loading_error)

    def _of(self, combinations: Float64Array) -> Float64Array:
        """Return the variances of combinations (n, r), known or not."""
        other = combinations if self.core is None else combinations @ self.core
        return np.asarray(np.einsum("ij,ij->i", other, combinations))

    def root(self) -> Float64Array:
        """Return R of shape (D, r), with R R' = L C L'."""
        if self.core is None:
            return self.loadings
        return np.asarray(self.loadings @ np.linalg.cholesky(self.core))

    def variance_at(self, point: DoubleDouble, level: float) -> float:
        """Return that of the prediction at a point, shape (D,), taken from the mean; over s**2.

        In twice the working precision, since far from the mean L'x cancels.

        Args:
            point: Where.
            level: The variance of the prediction at the mean, over s**2.
        """
        column = dd.part(point, np.s_[:, None])
        direction = product(dd.exact(self.loadings.T), column).high.T
        error = np.abs(point.high) @ self.loading_error
        return float(self._known(level + self._of(direction), direction, error)[0])

    def _known(
        self, values: Float64Array, combinations: Float64Array, own_error: Float64Array
    ) -> Float64Array:
        """Return the variances of combinations (n, r), which are off by own_error (n,), or nan."""
        error = magnitudes_times(combinations, self.from_sums + self.from_rounding)
        own = (2 * np.sqrt(values) + own_error) * own_error
        return np.where(error**2 + own <= NEGLIGIBLE * values, values, np.nan)


def uncertainty(equations: NormalEquations, factor: InverseFactor) -> Uncertainty:
    """Return the covariance that belongs to a factor of the equations."""
    matrix, inverse = factor.matrix, _inverse(factor.remainder)
    error = equations.error[equations.features]
    from_sums = magnitudes_times(matrix.T, error)
    core, rounding, freedom = inverse, np.zeros(len(matrix)), float(len(matrix))
    if equations.ridge[equations.features].any():
        between, rounding = _between(equations, matrix)
        # A constant's sums are 0, exactly.
        from_sums += _LOST * magnitudes_times(matrix.T, (error > 0).astype(np.float64))
        core = between if inverse is None else inverse @ between @ inverse
        freedom = float(between.trace() if inverse is None else np.sum(inverse * between))
    # By Cauchy's inequality the roots of C's diagonal bound its elements; a variance takes four
    # sums of r products, and F is left out where it is no more than some more.
    roundings = (4 if inverse is not None else 5 + ROUNDINGS) * len(matrix) + 4
    relative = np.sqrt(gamma(roundings, unit_roundoff=FLOAT64.unit_roundoff))
    own = relative * (1.0 if core is None else np.sqrt(np.maximum(core.diagonal(), 0.0)))
    if inverse is not None:
        from_sums, rounding = np.abs(inverse) @ from_sums, np.abs(inverse) @ rounding
    loadings = matrix
    if len(equations.all_features) > len(matrix):
        loadings = np.zeros((len(equations.all_features), len(matrix)))
        loadings[equations.features] = matrix
    return Uncertainty(
        loadings=loadings,
        loading_error=np.zeros(len(loadings)),
        core=core,
        from_sums=from_sums,
        from_rounding=rounding + own,
        degrees_of_freedom=freedom,
    )


def _inverse(remainder: Float64Array | None) -> Float64Array | None:
    """Return P, None for the identity."""
    if remainder is None:
        return None
    inverse = np.eye(len(remainder)) + remainder
    # F**3 is below 2**-60 in any case.
    if np.linalg.norm(remainder) > _SMALL_SQUARE:
        inverse += remainder @ remainder
    return inverse


def _between(equations: NormalEquations, matrix: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return T = M'S M, and t such that it is off by at most t_i t_j.

    Each column of S is brought to a length near 1 first, for the sake of those that are much
    shorter than others. With B what M then is, |b_i| the largest number of its column i, and
    |S B| <= r |b|, both products are off by product_error r |b_i| |b_j|.
    """
    features, size = equations.features, len(matrix)
    deviations = equations.deviations[features]
    exponent = np.frexp(deviations)[1]
    squares = dd.part(equations.squares, np.ix_(features, features))
    near_1 = dd.scale_by_power_of_two(squares, -exponent[:, None] - exponent)
    rows = np.ldexp(np.where(deviations[:, None] > 0, matrix, 0.0), exponent[:, None])
    twice = product(dd.exact(rows.T), product(near_1, dd.exact(rows)))
    largest = np.abs(rows).max(axis=0, initial=0.0)
    return twice.high, np.sqrt(2.2 * size * product_error(size)) * largest


def extreme_eigenvalues(equations: NormalEquations, factor: InverseFactor) -> tuple[float, float]:
    """Return the smallest that is not 0, and the largest, of the features' correlation matrix.

    Where M is that of all features, without a ridge, the smallest is one over the largest of its
    inverse, which float64 resolves whatever the condition.
    """
    features, independent = equations.all_features, equations.features
    scale = np.where(equations.deviations > 0, equations.deviations, 1.0)[features]
    squares = equations.squares.high[: len(features), : len(features)]
    if len(independent) < len(features) or equations.ridge.any():
        values = np.linalg.eigvalsh(squares / scale[:, None] / scale)
        return max(float(values[-len(independent)]), 0.0), float(values[-1])
    matrix, inverse = factor.matrix, _inverse(factor.remainder)

    def of_inverse(vector: Float64Array) -> Float64Array:
        inner = matrix.T @ (scale * vector)
        return np.asarray(scale * (matrix @ (inner if inverse is None else inverse @ inner)))

    largest = largest_eigenvalue(lambda vector: (squares @ (vector / scale)) / scale, len(scale))
    return 1 / largest_eigenvalue(of_inverse, len(scale)), largest
