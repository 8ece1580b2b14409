"""The solution of the normal equations, with a bound on its distance from the exact optimum.

D features, K targets, in the units of the normal equations. With M and F of the inverse factor and
E the error of the sums of products, |E_ij| <= e_i e_j, the optimum w* of the exact data obeys

    |w* - w|_j <= |M_j| distance,    distance = (|M'g| + |(|M|'d)|) / (1 - phi),
    phi = |F| + |(|M|'e)|**2,

with 2-norms, M_j row j of M, and g = X'(y - X w) - ridge w the gradient of the exact data at w,
known to within d. As |M_j| is the standard error of coefficient j over the residual deviation s,
distance / s counts standard errors, of every coefficient and of every prediction.

Derivation: M'(A + E) M = I - (F - M'E M), so (A + E)**-1 = M (I - ...)**-1 M'.

At w = 0 the sums tell g, with d = e e_y; a step from there adds e (e'|step|) to d, which makes
(e_y + |w|'e) e of it. At any other w the rows themselves tell g and the residuals, whose d does not
grow with y, but with what is left of it.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.least_squares._answer import Answer
from linexport.least_squares._magnitudes import magnitudes_times, row_norms
from linexport.least_squares._normal_equations import (
    InverseFactor,
    NormalEquations,
    approached,
)
from linexport.least_squares._split import product_error
from linexport.least_squares._uncertainty import (
    NEGLIGIBLE,
    Uncertainty,
    extreme_eigenvalues,
    uncertainty,
)
from linexport.numerics import FLOAT64, DoubleDouble, double_double as dd


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Point:
    """Any w, whatever way it was found, and what is known of the data there."""

    weight: DoubleDouble
    """Shape (D, K)."""
    gradient: DoubleDouble
    """X'(y - X w) - ridge w, of centred columns; shape (D, K)."""
    gradient_error: Float64Array
    """Shape (D, K): how far it is off, at most."""
    squares: DoubleDouble
    """Sums of squared residuals, shape (K,)."""
    squares_error: Float64Array
    """Shape (K,)."""
    level: Float64Array
    """Shape (K,): the mean residual, where it is known to be other than 0."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Solution(Answer):
    """w, and what bounds its distance from the optimum."""

    equations: NormalEquations
    factor: InverseFactor
    point: Point
    """Where w is."""

    def combinations(self, num_dependent: int) -> NDArray[np.bool_]:
        """Tell what each dependent feature is a combination of, shape (independent, dependent).

        A coefficient is told from 0 by the same criterion: what rounding the data may do to it.
        """
        size = self.weight.high.shape[1]
        chosen = slice(size - num_dependent, size)
        coefficients = np.abs(self.weight.high[:, chosen])
        rows = row_norms(self.factor.matrix)
        rounding = np.sqrt(len(rows) + 1) * self.data_rounding()[chosen]
        return np.asarray(coefficients > rows[:, None] * rounding)

    def degrees_of_freedom(self, available: int) -> float:
        return available - self.uncertainty.degrees_of_freedom

    def variance_inflation(self, made_of: NDArray[np.bool_]) -> Float64Array:
        """Return the diagonal of the inverse of the correlation matrix, shape (D,)."""
        features, independent = self.equations.all_features, self.equations.features
        if self.equations.ridge.any():
            return np.full(len(features), np.nan)
        inflation = self.uncertainty.variances * self.equations.deviations[features] ** 2
        inflation[independent[made_of.any(axis=1)]] = np.inf
        inflation[np.setdiff1d(features, independent)] = np.inf
        return np.asarray(inflation)

    def extreme_eigenvalues(self) -> tuple[float, float]:
        return extreme_eigenvalues(self.equations, self.factor)

    def is_resolved(self) -> bool:
        """Tell whether errors of the sums are negligible in all that follows from A."""
        negligible = _gram_error(self.equations, self.factor) ** 2 <= NEGLIGIBLE
        return bool(negligible and not np.isnan(self.uncertainty.variances).any())

    def is_accurate(self, *, degrees_of_freedom: int) -> bool:
        """Tell whether its distance and the errors of its residuals are negligible.

        Or whether they are less than what rounding each number of the data may have done.

        Args:
            degrees_of_freedom: Of the residuals.
        """
        squares, rounding = self.residual_squares, self.data_rounding()
        data_squares = self.magnitude(self.equations.rounding) ** 2
        known = self.residual_squares_error <= np.maximum(
            NEGLIGIBLE * squares, data_squares - squares
        )
        deviation = np.sqrt(squares / max(degrees_of_freedom, 1)) if degrees_of_freedom else 0.0
        close = self.distance <= np.maximum(NEGLIGIBLE * deviation, rounding)
        return bool((known & close).all())

    def data_rounding(self) -> Float64Array:
        """Return the distance that rounding each number of the data may have made, shape (K,)."""
        norms, rounding = self.equations.norms, self.equations.rounding
        # Each product in X'(y - X w) moves with either of its factors.
        both = self._spread(norms) * self.magnitude(rounding)
        both += self._spread(rounding) * self.magnitude(norms)
        return np.asarray(both / 2)

    def _spread(self, norms: Float64Array) -> float:
        """Return |(|M|'|x|)|."""
        own = norms[self.equations.features]
        return float(np.linalg.norm(magnitudes_times(self.factor.matrix.T, own)))

    def magnitude(self, norms: Float64Array) -> Float64Array:
        """Return |y| + |w|'|x|, with the norms of all columns given; shape (K,)."""
        return _magnitude(self.equations, self.weight, norms)


def _magnitude(
    equations: NormalEquations, weight: DoubleDouble, norms: Float64Array
) -> Float64Array:
    own = norms[equations.features] @ np.abs(weight.high)
    return np.asarray(norms[equations.targets] + own)


def _gram_error(equations: NormalEquations, factor: InverseFactor) -> float:
    """Return the norm of |M|'e, the share of E in phi being its square."""
    spread = magnitudes_times(factor.matrix.T, equations.error[equations.features])
    return float(np.linalg.norm(spread))


def _origin(equations: NormalEquations) -> Point:
    """Return w = 0, where the sums tell all."""
    error, target_error = equations.error[equations.features], equations.error[equations.targets]
    moments = equations.moments
    return Point(
        weight=dd.exact(np.zeros_like(moments.high)),
        gradient=moments,
        gradient_error=np.outer(error, target_error),
        squares=equations.target_squares,
        squares_error=target_error**2,
        level=np.zeros_like(target_error),
    )


def solve(equations: NormalEquations, factor: InverseFactor) -> Solution:
    """Solve from w = 0."""
    return _solved(equations, factor, uncertainty(equations, factor), _origin(equations))


def refined(solution: Solution, start: Point) -> Solution:
    """Solve the same again, from what the rows tell where the solution is.

    Where columns are nearly dependent, what a gradient of float64 is off by may move w further than
    w is from the optimum: a target whose bound a step does not lower stays where it is.
    """
    again = _solved(solution.equations, solution.factor, solution.uncertainty, start)
    stays = solution.distance < again.distance
    if not stays.any():
        return again
    equations, error = solution.equations, start.squares_error.copy()
    error += _off_optimum(equations, start.squares.high, solution.distance)
    squares, error = _told(equations, start.weight, start.squares.high, error)
    point = _chosen(stays, start, again.point)
    return replace(
        again,
        point=point,
        weight=point.weight,
        residual_squares=np.where(stays, squares, again.residual_squares),
        residual_squares_error=np.where(stays, error, again.residual_squares_error),
        distance=np.where(stays, solution.distance, again.distance),
    )


def _chosen(first: NDArray[np.bool_], one: Point, other: Point) -> Point:
    """Return one point for some targets, shape (K,), and the other for the rest."""

    def of(field: str) -> Any:
        here, there = getattr(one, field), getattr(other, field)
        if isinstance(here, DoubleDouble):
            return DoubleDouble(
                *(np.where(first, *parts) for parts in zip(here, there, strict=True))
            )
        return np.where(first, here, there)

    return Point(**{field.name: of(field.name) for field in fields(Point)})


def _solved(
    equations: NormalEquations, factor: InverseFactor, spread: Uncertainty, start: Point
) -> Solution:
    """Refine with residuals in twice the working precision, as far as they go."""
    step, gradient = approached(equations.gram, factor.matrix, start.gradient)
    weight, error = dd.add(start.weight, step), equations.error[equations.features]
    # Each element of A is off by e_i e_j.
    gradient_error = start.gradient_error + np.outer(error, error @ np.abs(step.high))
    uncertain = gradient_error + _gradient_rounding(start, step, weight)
    distance = _distance(equations, factor, gradient, uncertain)
    squares, squares_error = _squares(equations, start, step, gradient, distance)
    return Solution(
        equations=equations,
        factor=factor,
        point=Point(
            weight=weight,
            gradient=gradient,
            gradient_error=gradient_error,
            squares=squares,
            squares_error=squares_error,
            level=start.level,
        ),
        weight=weight,
        residual_squares=squares.high,
        residual_squares_error=squares_error,
        distance=distance,
        uncertainty=spread,
    )


def _distance(
    equations: NormalEquations,
    factor: InverseFactor,
    gradient: DoubleDouble,
    gradient_error: Float64Array,
) -> Float64Array:
    transposed, roundings = factor.matrix.T, len(factor.matrix) + 3
    rounding = roundings * FLOAT64.unit_roundoff * np.abs(gradient.high)
    parts = (
        transposed @ gradient.high,
        magnitudes_times(transposed, rounding),
        magnitudes_times(transposed, gradient_error),
    )
    phi = factor.distance + _gram_error(equations, factor) ** 2
    return np.asarray(sum(np.linalg.norm(part, axis=0) for part in parts) / (1 - phi))


def _gradient_rounding(start: Point, step: DoubleDouble, weight: DoubleDouble) -> Float64Array:
    """Bound what the gradient after a step is off by for having computed it, shape (K,).

    The elements of A are below 1, so each element of A step is off by product_error times the
    largest of step; the subtraction and w as rounded add 3 u**2, and rounding to float64 another u.
    """
    size = len(step.high)
    largest, largest_weight, largest_gradient = (
        np.abs(part.high).max(axis=0, initial=0.0) for part in (step, weight, start.gradient)
    )
    squared = 4 * FLOAT64.unit_roundoff**2
    rounded = squared * (largest_gradient + size * (largest + largest_weight))
    return np.asarray(product_error(size) * largest + rounded)


def _squares(
    equations: NormalEquations,
    start: Point,
    step: DoubleDouble,
    gradient: DoubleDouble,
    distance: Float64Array,
) -> tuple[DoubleDouble, Float64Array]:
    """Return the sums of squared residuals after a step, and how far they are off the optimum's.

    They are those at the start less step'(g + g' + ridge (w + w')), with g and w as they were and
    g' and w' as they are. Products cost 7 u**2, the sum log2(D) + 3 times 3 u**2; counted
    generously. |X (w* - w)| is at most the distance; without a ridge it is orthogonal to residuals.

    Residuals below a millionth of what rounding the data explains are 0: the data fit exactly, and
    it is w that is no double-double number.
    """
    features, size = equations.features, np.abs(step.high)
    ridge = dd.exact(equations.ridge[features][:, None])
    weight = dd.add(start.weight, step)
    both = dd.add(start.weight, weight)
    products = dd.multiply(step, dd.add(dd.add(start.gradient, gradient), dd.multiply(ridge, both)))
    squares = dd.subtract(start.squares, dd.total(dd.transposed(products)))
    roundings = (20 + 3 * len(size).bit_length()) * FLOAT64.unit_roundoff**2
    error = start.squares_error + 2 * (size * start.gradient_error).sum(axis=0)
    error += (equations.error[features] @ size) ** 2
    error += roundings * (start.squares.high + np.abs(products.high).sum(axis=0))
    error += _off_optimum(equations, squares.high, distance)
    told, error = _told(equations, weight, squares.high, error)
    return dd.exact(told), error


def _off_optimum(
    equations: NormalEquations, squares: Float64Array, distance: Float64Array
) -> Float64Array:
    """Return how far sums of squared residuals may be off the optimum's, at such a distance."""
    has_ridge = equations.ridge[equations.features].any()
    along = 2 * np.sqrt(np.maximum(squares, 0.0)) if has_ridge else 0.0
    return np.asarray((along + distance) * distance)


def _told(
    equations: NormalEquations, weight: DoubleDouble, squares: Float64Array, error: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Return sums of squared residuals and their errors: both 0 where the data fit exactly."""
    explained = NEGLIGIBLE * _magnitude(equations, weight, equations.rounding)
    exact = (squares <= error) & (np.sqrt(error) <= explained)
    return np.where(exact, 0.0, np.maximum(squares, 0.0)), np.where(exact, 0.0, error)
