"""The solution of the normal equations, with a bound on its distance from the exact optimum.

D features, K targets, in the units of the normal equations. With M and F of the inverse factor and
E the error of the sums of products, |E_ij| <= e_i e_j, the optimum w* of the exact data obeys

    |w* - w|_j <= |M_j| distance,    distance = (|M'g| + |(|M|'e)| (e_y + |w|'e)) / (1 - phi),
    phi = |F| + |(|M|'e)|**2,        g = c - A w,

with 2-norms, and M_j row j of M. As |M_j| is the standard error of coefficient j over the residual
deviation s, distance / s counts standard errors, of every coefficient and of every prediction.

Derivation: M'(A + E) M = I - (F - M'E M), so (A + E)**-1 = M (I - ...)**-1 M'; and the gradient of
the exact data is g + (E's column for y) - E w.

A combination v of columns may be 0 if rounding each number of the data to its format could make it
so. A column computed from others in m roundings carries their sum; as these are about independent,
it grows like sqrt(m) (Higham and Mary, SIAM J. Sci. Comput. 41, 2019), which gives the criterion

    |X v| <= sqrt(D + 1) sum_k |v_k| u_k |x_k|,

with u_k of the format that column k came in and |x_k| from 0, since that is what was rounded.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.least_squares._answer import Answer
from linexport.least_squares._normal_equations import (
    InverseFactor,
    NormalEquations,
    inverse_factor,
)
from linexport.least_squares._split import Sliced, product_error
from linexport.least_squares._uncertainty import NEGLIGIBLE, extreme_eigenvalues, uncertainty
from linexport.numerics import FLOAT64, DoubleDouble, double_double as dd

_MOST_STEPS = 64
"""More than double-double can be approached in, where each step at least halves the distance."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Solution(Answer):
    """w, and what bounds its distance from the optimum."""

    equations: NormalEquations
    factor: InverseFactor
    own_error: Float64Array
    """Shape (K,): |M'g|, with what g itself may be off by."""

    def gram_error(self) -> float:
        """Return the norm of |M|'e, the share of E in phi being its square."""
        error = self.equations.error[self.equations.features]
        spread = np.abs(self.factor.matrix).T @ error
        return float(np.linalg.norm(spread))

    def distance(self, *, error_scale: float = 1.0) -> Float64Array:
        """Bound the distance from the optimum, shape (K,).

        Args:
            error_scale: What all of E is multiplied with, to see what better sums would give.
        """
        phi = self.factor.distance + error_scale * self.gram_error() ** 2
        from_sums = self.gram_error() * _residual_error(self.equations, self.weight)
        return np.asarray((self.own_error + error_scale * from_sums) / (1 - phi))

    def is_accurate(self, *, degrees_of_freedom: int, error_scale: float = 1.0) -> bool:
        """Tell whether errors of the sums are negligible in all that follows from the solution.

        Or whether they are less than what rounding each number of the data may have done.

        Args:
            degrees_of_freedom: Of the residuals.
            error_scale: As in `distance`.
        """
        from_sums = error_scale * self.gram_error() ** 2
        if self.factor.distance + from_sums > 0.5 or from_sums > NEGLIGIBLE:
            return False
        if np.isnan(self.uncertainty.variances(error_scale=error_scale)).any():
            return False
        squares, rounding = self.residual_squares, self.data_rounding()
        squares_error = error_scale * self.residual_squares_error
        data_squares = self.magnitude(self.equations.rounding) ** 2
        known = squares_error <= np.maximum(NEGLIGIBLE * squares, data_squares - squares)
        deviation = np.sqrt(squares / max(degrees_of_freedom, 1)) if degrees_of_freedom else 0.0
        close = self.distance(error_scale=error_scale) <= np.maximum(
            NEGLIGIBLE * deviation, rounding
        )
        return bool((known & close).all())

    def data_rounding(self) -> Float64Array:
        """Return the distance that rounding each number of the data may have made, shape (K,)."""
        norms, rounding = self.equations.norms, self.equations.rounding
        # Each product in X'(y - X w) moves with either of its factors.
        both = self._spread(norms) * self.magnitude(rounding)
        both += self._spread(rounding) * self.magnitude(norms)
        return np.asarray(both / 2)

    def combinations(self, num_dependent: int) -> NDArray[np.bool_]:
        """Tell what each dependent feature is a combination of, shape (independent, dependent).

        A coefficient is told from 0 by the same criterion: what rounding the data may do to it.
        """
        size = self.weight.high.shape[1]
        chosen = slice(size - num_dependent, size)
        coefficients = np.abs(self.weight.high[:, chosen])
        rows = np.linalg.norm(self.factor.matrix, axis=1)
        rounding = np.sqrt(len(rows) + 1) * self.data_rounding()[chosen]
        return np.asarray(coefficients > rows[:, None] * rounding)

    def degrees_of_freedom(self, available: int) -> float:
        """Return those of the residuals, of those that were there before a weight was fitted."""
        return available - self.uncertainty.degrees_of_freedom

    def variance_inflation(self, made_of: NDArray[np.bool_]) -> Float64Array:
        """Return the diagonal of the inverse of the correlation matrix, shape (D,)."""
        features, independent = self.equations.all_features, self.equations.features
        if self.equations.ridge.any():
            return np.full(len(features), np.nan)
        inflation = self.uncertainty.variances() * self.equations.deviations[features] ** 2
        inflation[independent[made_of.any(axis=1)]] = np.inf
        inflation[np.setdiff1d(features, independent)] = np.inf
        return np.asarray(inflation)

    def extreme_eigenvalues(self) -> tuple[float, float]:
        """Return the smallest that is not 0, and the largest, of the correlation matrix."""
        return extreme_eigenvalues(self.equations, self.factor)

    def _spread(self, norms: Float64Array) -> float:
        """Return |(|M|'|x|)|."""
        magnitude = np.abs(self.factor.matrix)
        return float(np.linalg.norm(magnitude.T @ norms[self.equations.features]))

    def magnitude(self, norms: Float64Array) -> Float64Array:
        """Return |y| + |w|'|x|, with the norms of all columns given; shape (K,)."""
        weight = np.abs(self.weight.high)
        return np.asarray(norms[self.equations.targets] + norms[self.equations.features] @ weight)


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
        uncertainty=uncertainty(equations, factor),
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
    ridge = equations.ridge[equations.features][:, None]
    slope = dd.add(dd.add(moments, residual), dd.multiply(dd.exact(ridge), weight))
    products = dd.multiply(weight, slope)
    explained = dd.total(DoubleDouble(products.high.T, products.low.T))
    magnitude = squares.high + np.abs(products.high).sum(axis=0)
    roundings = 20 + 3 * len(ridge).bit_length()
    value = dd.subtract(squares, explained).high
    return value, roundings * FLOAT64.unit_roundoff**2 * magnitude


def try_solve(equations: NormalEquations) -> Solution | None:
    """Return the solution; None if some feature may be a combination of others."""
    factor = inverse_factor(equations.gram, _doubt(equations))
    return solve(equations, factor) if _proven(equations, factor) else None


def solve_independent(equations: NormalEquations) -> tuple[Solution | None, NDArray[np.intp]]:
    """Set features aside until the others are independent, and solve for these.

    Each feature that is set aside is a combination of features before it.

    Returns:
        The solution, in which the features set aside are the last targets; None if no feature is
        left. The features set aside.
    """
    dependent: list[NDArray[np.intp]] = [np.empty(0, dtype=np.intp)]
    while len(equations.features):
        factor = inverse_factor(equations.gram, _doubt(equations))
        if _proven(equations, factor):
            return solve(equations, factor), np.concatenate(dependent)
        doubtful = equations.features[factor.doubtful]
        if not len(doubtful):  # the factor proves nothing
            doubtful = _explained(equations)
        dependent.append(doubtful)
        equations = equations.without(doubtful)
    return None, np.concatenate(dependent)


def _doubt(equations: NormalEquations) -> Float64Array:
    """Return the length below which columns may be 0, per unit of each column."""
    features = equations.features
    rounding = np.sqrt(len(features) + 1) * equations.rounding[features]
    rounding[equations.ridge[features] > 0] = 0.0  # with a ridge they are independent
    return np.asarray(np.maximum(rounding, _sum_doubt(equations)))


def _sum_doubt(equations: NormalEquations) -> Float64Array:
    """The same for the error of the sums: phi would be 1/2."""
    return np.asarray(np.sqrt(2) * equations.error[equations.features])


def _proven(equations: NormalEquations, factor: InverseFactor) -> bool:
    """Tell whether no feature is in doubt, and the factor is one of the exact data too."""
    spread = np.abs(factor.matrix).T @ _sum_doubt(equations)
    known = factor.distance + (spread**2).sum() / 2 <= 0.5
    return bool(known and not factor.doubtful.any())


def _explained(equations: NormalEquations) -> NDArray[np.intp]:
    """Return the features that the longest independent start of the features explains.

    There is one at least: the feature that ends this start. It is found by bisection, so that any
    number of features that the start explains cost no more than one.
    """
    features = equations.features
    start, stop = 0, len(features)
    best = None
    while stop - start > 1:
        middle = (start + stop) // 2
        shorter = equations.without(features[middle:])
        factor = inverse_factor(shorter.gram, _doubt(shorter))
        if _proven(shorter, factor):
            start, best = middle, solve(shorter, factor)
        else:
            stop = middle
    rest = features[start:]
    if best is None:
        return rest[:1]
    chosen = slice(-len(rest), None)
    doubt = _doubt(equations)
    made_of = np.abs(best.weight.high[:, chosen])
    length = doubt[start:] + doubt[:start] @ made_of
    explained = best.residual_squares[chosen] <= length**2
    explained[0] = True
    return np.asarray(rest[explained])
