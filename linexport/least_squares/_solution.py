"""The solution of the normal equations, with a bound on its distance from the exact optimum.

D features, K targets, in the units of the normal equations. With M and F of the inverse factor and
E the error of the sums of products, |E_ij| <= e_i e_j, the optimum w* of the exact data obeys

    |w* - w|_j <= |M_j| distance,    distance = (|M'g| + |(|M|'e)| (e_y + |w|'e)) / (1 - phi),
    phi = |F| + |(|M|'e)|**2,        g = c - A w,

with 2-norms, and M_j row j of M. As |M_j| is the standard error of coefficient j over the residual
deviation s, distance / s counts standard errors, of every coefficient and of every prediction.

Derivation: M'(A + E) M = I - (F - M'E M), so (A + E)**-1 = M (I - ...)**-1 M'; and the gradient of
the exact data is g + (E's column for y) - E w.
"""

from dataclasses import dataclass

import numpy as np

from linexport._arrays import Float64Array
from linexport.least_squares._inverse_factor import InverseFactor
from linexport.least_squares._normal_equations import NormalEquations
from linexport.least_squares._split import Sliced, product_error
from linexport.numerics import FLOAT64, DoubleDouble, double_double as dd

NEGLIGIBLE = 2.0**-20
"""A millionth: of its standard error for a coefficient, of itself for a standard error or a
residual sum of squares. Nothing that is done with a fit shows errors below it."""
_MOST_STEPS = 64
"""More than double-double can be approached in, where each step at least halves the distance."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Solution:
    """w, and what bounds its distance from the optimum."""

    equations: NormalEquations
    factor: InverseFactor
    weight: DoubleDouble
    """w, shape (D, K)."""
    own_error: Float64Array
    """Shape (K,): |M'g|, with what g itself may be off by."""
    residual_squares: Float64Array
    """Sums of squared residuals, shape (K,); 0 where they cannot be told from it."""
    residual_squares_error: Float64Array
    """Shape (K,)."""

    def gram_error(self) -> float:
        """Return the norm of |M|'e, the share of E in phi being its square."""
        return float(np.linalg.norm(np.abs(self.factor.matrix).T @ self._feature_error))

    def distance(self, *, error_scale: float = 1.0) -> Float64Array:
        """Bound the distance from the optimum, shape (K,).

        Args:
            error_scale: What all of E is multiplied with, to see what better sums would give.
        """
        phi = self.factor.distance + error_scale * self.gram_error() ** 2
        from_sums = self.gram_error() * self._residual_error()
        return np.asarray((self.own_error + error_scale * from_sums) / (1 - phi))

    def is_accurate(
        self, *, degrees_of_freedom: int, unit_roundoff: float, error_scale: float = 1.0
    ) -> bool:
        """Tell whether errors of the sums are negligible in all that follows from the solution.

        Or whether they are less than what rounding each number of the data may have done.

        Args:
            degrees_of_freedom: Of the residuals.
            unit_roundoff: Of the format that the data came in.
            error_scale: As in `distance`.
        """
        from_sums = error_scale * self.gram_error() ** 2
        if self.factor.distance + from_sums > 0.5 or from_sums > NEGLIGIBLE:
            return False
        squares, rounding = self.residual_squares, self.data_rounding(unit_roundoff)
        squares_error = error_scale * self.residual_squares_error
        data_squares = (unit_roundoff * self._magnitude()) ** 2
        known = squares_error <= np.maximum(NEGLIGIBLE * squares, data_squares - squares)
        deviation = np.sqrt(squares / max(degrees_of_freedom, 1)) if degrees_of_freedom else 0.0
        close = self.distance(error_scale=error_scale) <= np.maximum(
            NEGLIGIBLE * deviation, rounding
        )
        return bool((known & close).all())

    def data_rounding(self, unit_roundoff: float) -> Float64Array:
        """Return the distance that rounding each number of the data may have made, shape (K,)."""
        norms = self.equations.norms[self.equations.features]
        spread = float(np.linalg.norm(np.abs(self.factor.matrix).T @ norms))
        return np.asarray(unit_roundoff * spread * self._magnitude())

    def _magnitude(self) -> Float64Array:
        """Return |y| + |w| |x|, with the columns' norms from 0; shape (K,)."""
        norms, weight = self.equations.norms, np.abs(self.weight.high)
        return np.asarray(norms[self.equations.targets] + norms[self.equations.features] @ weight)

    @property
    def _feature_error(self) -> Float64Array:
        return self.equations.error[self.equations.features]

    def _residual_error(self) -> Float64Array:
        return _residual_error(self.equations, self.weight)


def solve(equations: NormalEquations, factor: InverseFactor) -> Solution:
    """Refine from 0 with residuals in twice the working precision, as far as they go."""
    gram, moments = equations.gram, equations.moments
    sliced, inverse = Sliced(gram), factor.matrix
    weight = dd.exact(np.zeros_like(moments.high))
    residual, best = moments, (np.inf, weight, moments)
    for _ in range(_MOST_STEPS):
        weight = dd.add_float(weight, inverse @ (inverse.T @ residual.high))
        residual = dd.subtract(moments, sliced @ weight)
        size = float(np.linalg.norm(inverse.T @ residual.high))
        if not size < best[0] / 2:
            break
        best = (size, weight, residual)
    _, weight, residual = best
    squares, rounding = _residual_squares(equations, weight, residual)
    squares_error = _residual_error(equations, weight) ** 2 + rounding
    return Solution(
        equations=equations,
        factor=factor,
        weight=weight,
        own_error=_own_error(inverse, moments, weight, residual),
        residual_squares=np.where(squares > squares_error, squares, 0.0),
        residual_squares_error=squares_error,
    )


def _own_error(
    inverse: Float64Array, moments: DoubleDouble, weight: DoubleDouble, residual: DoubleDouble
) -> Float64Array:
    """Bound |M'g|: as computed, and what g may be off by.

    The elements of A are below 1, so each element of A w is off by product_error times the largest
    of w; the subtraction adds 3 u**2, and rounding to float64 another u.
    """
    size = len(inverse)
    computed = np.linalg.norm(inverse.T @ residual.high, axis=0)
    largest = np.abs(weight.high).max(axis=0, initial=0.0)
    uncertain = product_error(size) * largest + 4 * FLOAT64.unit_roundoff**2 * (
        np.abs(moments.high).max(axis=0, initial=0.0) + size * largest
    )
    magnitude = np.abs(inverse).T
    rounding = (size + 3) * FLOAT64.unit_roundoff * (magnitude @ np.abs(residual.high))
    spread = np.linalg.norm(magnitude.sum(axis=1))
    return np.asarray(computed + np.linalg.norm(rounding, axis=0) + spread * uncertain)


def _residual_error(equations: NormalEquations, weight: DoubleDouble) -> Float64Array:
    """Return e_y + |w|'e, shape (K,)."""
    weighted = equations.error[equations.features] @ np.abs(weight.high)
    return np.asarray(equations.error[equations.targets] + weighted)


def _residual_squares(
    equations: NormalEquations, weight: DoubleDouble, residual: DoubleDouble
) -> tuple[Float64Array, Float64Array]:
    """Return y'y - w'c - w'g - w' ridge w, each of shape (K,), and a bound on its rounding.

    As A w = c - g, that is y'y - 2 w'c + w'S w. Products cost 7 u**2, the sum log2(D) + 3 times
    3 u**2; counted generously.
    """
    moments, squares = equations.moments, equations.target_squares
    ridge = np.broadcast_to(equations.ridge[equations.features][:, None], weight.high.shape)
    slope = dd.add(dd.add(moments, residual), dd.multiply(dd.exact(ridge), weight))
    products = dd.multiply(weight, slope)
    explained = dd.total(DoubleDouble(products.high.T, products.low.T))
    magnitude = squares.high + np.abs(products.high).sum(axis=0)
    roundings = 20 + 3 * len(ridge).bit_length()
    value = dd.subtract(squares, explained).high
    return value, roundings * FLOAT64.unit_roundoff**2 * magnitude
