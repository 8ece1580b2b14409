"""The dual form: least squares of rows that are fewer than their features.

N rows, D features, K targets. With X (N, D) the features and y (N,) a target as `CentredRows` has
them, and B of `DualEquations`, the optimum of |y - X w|**2 + l |w|**2 is w = X'a where B a = y.
Its residuals are l a. With M of `DualInverse` and E the error of B, |E_ij| <= e_i e_j, any
w = X'a + d obeys w* - w = X'(B + E)**-1 r - d with r = y - (B + E) a, and so

    |w* - w|_j <= |v_j| distance + |d_j|,    v_j = B**-1 x_j,
    distance = |r| (1 + |e| |(|M|'e)| |M| / (1 - phi)),

since (B + E)**-1 = B**-1 (I - E (B + E)**-1) and e'|M z| <= |(|M|'e)| |z|; |M| is Frobenius' norm.

As w = X'B**-1 y, the covariance of the coefficients is s**2 V'V, V = B**-1 X: |v_j| is the standard
error of coefficient j over the residual deviation. The residuals' degrees of freedom are those
without features less the trace of X X'B**-1 = I - l B**-1 - q s s'B**-1.

Source: Saunders, Gammerman and Vovk, Ridge regression learning algorithm in dual variables, ICML
1998.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport._asked import asked
from linexport.errors import TrainingError
from linexport.least_squares._answer import Answer, Solved
from linexport.least_squares._config import LeastSquaresConfig
from linexport.least_squares._dual_equations import (
    DualInverse,
    common_unit,
    dual_equations,
    dual_inverse,
    solve_dual,
)
from linexport.least_squares._enough import require_enough, too_few_rows, weights_beyond_float64
from linexport.least_squares._few_rows import CentredRows, FirstRows, centred_rows
from linexport.least_squares._split import product, product_error
from linexport.least_squares._uncertainty import NEGLIGIBLE, Uncertainty
from linexport.numerics import FLOAT64, DoubleDouble, double_double as dd, gamma
from linexport.rows import Rows

_UNIT_ROUNDOFF = FLOAT64.unit_roundoff
_BLOCK_ELEMENTS = 2**18
_SOLVED_AGAIN = 256
"""Columns at a time whose v takes more than float64."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DualAnswer(Answer):
    """w, from as many equations as there are rows."""

    num_independent: int
    """Rows, less one that the means take: what fitting every row exactly takes up."""
    freedom: float
    """What the ridge gives back of these."""
    l2: float
    """The ridge."""

    def degrees_of_freedom(self, available: int) -> float:
        return available - self.num_independent + self.freedom

    @property
    def rank(self) -> int:
        """How many features are independent; with a ridge, all."""
        return len(self.equations.features) if self.l2 else self.num_independent

    def variance_inflation(self, made_of: NDArray[np.bool_]) -> Float64Array:  # noqa: ARG002
        """Return nan: with a ridge it is not defined, and without one infinite."""
        return np.full(len(self.equations.features), np.nan)

    def extreme_eigenvalues(self) -> tuple[float, float]:
        """Return 0 and 1: of fewer rows than features, some eigenvalue is 0."""
        return 0.0, 1.0


def fit_few_rows(rows: Rows, config: LeastSquaresConfig, first: FirstRows) -> Solved | None:
    """Return what is found of rows that are fewer than the coefficients.

    Returns:
        None where some rows may be combinations of others, and no ridge tells them apart.

    Raises:
        TrainingError: If the rows do not determine the coefficients and none was to be chosen; if
            the ridge is too weak to tell rows apart, or the weights are too large to be added up.
    """
    require_enough(rows, first.num_rows, config)
    centred = centred_rows(rows, first.batches, intercept=config.intercept)
    if not np.isfinite([centred.around_mean.deviations, centred.equations.deviations]).all():
        raise weights_beyond_float64(rows)
    answer = _answer(centred, config.l2)
    if answer is None:
        if not config.l2:
            return None
        stronger = asked(solver="lstsq", l2=float(f"{_strong(centred):.0e}"))
        raise TrainingError(
            f"{rows.source}: the ridge {config.l2:g} is too weak for numbers of this size in rows "
            f"that are combinations of others; use a stronger one, as with {stronger}, or units in "
            "which the features are nearer to 1."
        )
    return Solved(
        extent=centred.extent,
        answer=answer,
        dependent=np.empty(0, dtype=np.intp),
        made_of=np.empty((len(rows.features), 0), dtype=bool),
        too_few_rows=too_few_rows(rows, first.num_rows, config),
        around_mean=centred.around_mean,
        tells_constant=True,
    )


def _answer(rows: CentredRows, l2: float) -> DualAnswer | None:
    """Return the optimum of rows that are fewer than their features.

    Args:
        rows: All of them.
        l2: The ridge, in the features' own units; with 0, the shortest w in these units.

    Returns:
        None if rows may be combinations of others, and no ridge tells them apart.
    """
    inverse = dual_inverse(dual_equations(rows, l2))
    if inverse is None:
        return None
    equations, size = inverse.equations, rows.extent.num_features
    found = solve_dual(inverse, dd.part(rows.values, np.s_[size:]))
    error, magnitude = equations.error_norm, np.abs(found.vectors.high)
    residuals = found.residuals + rows.column_errors[size:] + error * (equations.error @ magnitude)
    weight, weight_error = _weight(rows, inverse, found.vectors)
    spread = _uncertainty(rows, inverse)
    apart = np.divide(weight_error, spread.reach, out=0 * weight_error, where=spread.reach > 0)
    again = error * inverse.from_sums * inverse.norm / inverse.root
    length, moved = np.linalg.norm(magnitude, axis=0), inverse.norm * residuals
    rounding = gamma(len(magnitude) + 4, unit_roundoff=_UNIT_ROUNDOFF)
    squares_error = (2 * length + moved) * moved + rounding * length**2
    return DualAnswer(
        equations=rows.equations,
        weight=weight,
        residual_squares=equations.ridge**2 * np.where(length**2 > squares_error, length**2, 0.0),
        residual_squares_error=equations.ridge**2 * squares_error,
        uncertainty=spread,
        distance=residuals * (1 + again) + apart.max(axis=1),
        num_independent=rows.num_rows - int(equations.level > 0),
        freedom=inverse.freedom,
        l2=l2,
    )


def _strong(rows: CentredRows) -> float:
    """Return a ridge that tells any rows apart, in the features' own units."""
    return float(np.ldexp(1.0, 2 * common_unit(rows, 0.0) - 50))


def _blocks(size: int, width: int) -> Iterator[slice]:
    step = max(_BLOCK_ELEMENTS // width, 1)
    return (slice(start, min(start + step, size)) for start in range(0, size, step))


def _weight(
    rows: CentredRows, inverse: DualInverse, vectors: DoubleDouble
) -> tuple[DoubleDouble, Float64Array]:
    """Return w = X'a, shape (D, K), and bounds on d, shape (K, D), in the features' units."""
    size, scale = rows.extent.num_features, 2 * inverse.equations.exponent
    shape = (size, vectors.high.shape[1])
    weight, largest = DoubleDouble(np.empty(shape), np.empty(shape)), np.empty(size)
    for block in _blocks(size, rows.num_rows):
        own = dd.part(rows.values, block)
        weight.high[block], weight.low[block] = product(own, vectors)
        largest[block] = np.abs(own.high).max(axis=1)
    error = np.outer(np.linalg.norm(vectors.high, axis=0), rows.column_errors[:size])
    error += product_error(rows.num_rows) * np.outer(np.abs(vectors.high).max(axis=0), largest)
    return dd.scale_by_power_of_two(weight, scale[:, None]), np.ldexp(error, scale)


def _uncertainty(rows: CentredRows, inverse: DualInverse) -> Uncertainty:
    """Return V. What float64 does not tell of it is solved for as a is."""
    size, scale = rows.extent.num_features, 2 * inverse.equations.exponent
    loadings = np.empty((size, rows.num_rows))
    for block in _blocks(size, rows.num_rows):
        np.matmul(rows.values.high[block], inverse.matrix, out=loadings[block])
    column_errors = inverse.norm * rows.column_errors[:size]
    error = inverse.error * rows.equations.deviations[:size] + column_errors
    unknown = np.flatnonzero(error > NEGLIGIBLE / 8 * np.linalg.norm(loadings, axis=1))
    for start in range(0, len(unknown), _SOLVED_AGAIN):
        places = unknown[start : start + _SOLVED_AGAIN]
        found = solve_dual(inverse, dd.part(rows.values, places))
        loadings[places] = found.vectors.high.T
        error[places] = inverse.norm * found.residuals + column_errors[places]
    rounding = gamma(rows.num_rows + 4, unit_roundoff=_UNIT_ROUNDOFF)
    return Uncertainty(
        loadings=np.ldexp(loadings, scale[:, None]),
        loading_error=np.ldexp(error, scale),
        core=None,
        from_sums=_from_sums(inverse),
        from_rounding=np.full(rows.num_rows, np.sqrt(rounding)),
        degrees_of_freedom=rows.num_rows - inverse.freedom,
    )


def _from_sums(inverse: DualInverse) -> Float64Array:
    """Return t (N,) such that |v|**2, over the degrees of freedom, is off by at most (|v|'t)**2.

    The exact v is (I + B**-1 E)**-1 v, off by p (e'|v|) / (1 - e'p) at most, with p = |B**-1| e.
    The trace of B**-1, of which the degrees of freedom are made, is off by |(|M|'e)|**2 of itself.
    """
    error = inverse.equations.error
    spread = np.abs(inverse.matrix) @ error + inverse.error * error.sum()
    phi = float(error @ spread)
    if phi >= 0.5:
        return np.full(len(error), np.inf)
    spread /= 1 - phi
    # 2 (|v|'p) (|v|'e) is at most the square of |v|'(b p + e / b).
    balance = np.sqrt(np.linalg.norm(error) / np.linalg.norm(spread))
    both = balance * spread + error / balance + np.linalg.norm(spread) * error
    return np.asarray(both + 2 * inverse.from_sums)
