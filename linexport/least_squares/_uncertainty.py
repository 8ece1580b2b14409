"""What a solution leaves uncertain: covariance, correlation, condition.

D features of which r are independent, in the units of the normal equations. Coefficients have the
covariance s**2 L C L' with the residual variance s**2 and

    L = M, with rows of zeros for dependent features    C = P - P (M' ridge M) P    P = (I - F)**-1,

which is A**-1 S A**-1, the covariance of the ridge estimator about its own mean (Hoerl and Kennard,
Technometrics 12, 1970), and (X'X)**-1 without a ridge.
"""

from dataclasses import dataclass

import numpy as np

from linexport._arrays import Float64Array
from linexport.least_squares._inverse_factor import InverseFactor
from linexport.least_squares._normal_equations import NormalEquations
from linexport.least_squares._split import Sliced
from linexport.numerics import DoubleDouble, double_double as dd

_TRUSTED = 2.0**-26
"""Eigenvalues above this share of the largest are good to about 2**-26 as computed: LAPACK's are
off by u times the largest, times a modest number."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Uncertainty:
    """The covariance of the coefficients over s**2, as L and C."""

    loadings: Float64Array
    """L, shape (D, r)."""
    core: Float64Array
    """C, shape (r, r)."""
    degrees_of_freedom: float
    """That the coefficients take up: the trace of S A**-1; r without a ridge."""

    def variances(self) -> Float64Array:
        """Return those of the coefficients, over s**2; shape (D,)."""
        return np.asarray(((self.loadings @ self.core) * self.loadings).sum(axis=1))

    def variance_at(self, point: DoubleDouble) -> float:
        """Return that of the prediction at a point, shape (D,), taken from the mean; over s**2.

        In twice the working precision, since far from the mean L'x cancels.
        """
        column = DoubleDouble(point.high[:, None], point.low[:, None])
        direction = (Sliced(dd.exact(np.ascontiguousarray(self.loadings.T))) @ column).high[:, 0]
        return float(direction @ self.core @ direction)


def uncertainty(equations: NormalEquations, factor: InverseFactor) -> Uncertainty:
    """Return the covariance that belongs to a factor of the equations."""
    matrix, remainder = factor.matrix, factor.remainder
    identity = np.eye(len(matrix))
    inverse = identity + remainder + remainder @ remainder  # F**3 is below 2**-60
    shrinkage = (matrix.T * equations.ridge[equations.features]) @ matrix
    loadings = np.zeros((len(equations.all_features), len(matrix)))
    loadings[equations.features] = matrix
    return Uncertainty(
        loadings=loadings,
        core=inverse - inverse @ shrinkage @ inverse,
        degrees_of_freedom=len(matrix) - float(np.sum(inverse * shrinkage)),
    )


def eigenvalues(equations: NormalEquations, factor: InverseFactor) -> Float64Array:
    """Return those of the correlation matrix of all features, ascending; shape (D,).

    Where they are apart by more than float64 resolves, the small ones are the inverse squares of
    the large singular values of M, which it does resolve.
    """
    deviations, features = equations.deviations, equations.all_features
    inverse = 1 / np.where(deviations > 0, deviations, 1.0)[features]
    squares = equations.squares.high[np.ix_(features, features)]
    values = np.linalg.eigvalsh(squares * inverse[:, None] * inverse)
    unresolved = values < _TRUSTED * values[-1]
    independent = len(factor.matrix) == len(features) and not equations.ridge.any()
    if unresolved.any() and independent:
        scaled = factor.matrix * deviations[features, None]
        singular_values = np.linalg.svd(scaled, compute_uv=False)
        values[unresolved] = singular_values[unresolved] ** -2.0
    return np.asarray(np.maximum(values, 0.0))
