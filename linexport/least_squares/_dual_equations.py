"""The equations of the dual form, and what solves them.

N rows, D features. With X (N, D) the features as `CentredRows` has them, all in one unit, and the
ridge l in one over its square,

    B = X X' + l I + q s s'.

s (N,) holds the roots of the rows' weights. What is centred is orthogonal to it, so that q changes
no solution of B a = y: it spares B the eigenvalue l that centring would leave it. Without an
intercept q is 0.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.least_squares._factor import CAREFUL
from linexport.least_squares._few_rows import CentredRows
from linexport.least_squares._normal_equations import add_to_diagonal, approached, inverse_factor
from linexport.least_squares._split import GramSum, add_split_gram, product_error
from linexport.numerics import FLOAT64, DoubleDouble, double_double as dd, gamma

_UNIT_ROUNDOFF = FLOAT64.unit_roundoff
_LOST = 2.0**-500
"""The root of what float64 may lose of products that nearly vanish."""
_SUMMED_COLUMNS = (256, 2048)
"""At a time: fewer cost speed, more cost bits of the slices."""
_BLOCK_ELEMENTS = 2**19


class DualEquations(NamedTuple):
    """B, in a unit in which its elements are below 1."""

    gram: DoubleDouble
    """Shape (N, N)."""
    error: Float64Array
    """e, shape (N,): element (i, j) is off by at most e_i e_j."""
    doubt: Float64Array
    """Shape (N,): how large a change of each row is within this error or, without a ridge, within
    the rounding of the data."""
    ridge: float
    """l."""
    level: float
    """q |s|**2."""
    exponent: NDArray[np.int32]
    """Shape (D,): of each feature's unit, seen from that of B."""

    @property
    def error_norm(self) -> float:
        """|e|."""
        return float(np.linalg.norm(self.error))


class DualInverse(NamedTuple):
    """What solves them: M with M'B M = I - F, as in `inverse_factor`."""

    equations: DualEquations
    factor: Float64Array
    """M, shape (N, N)."""
    matrix: Float64Array
    """B**-1 as computed, shape (N, N)."""
    error: float
    """Bound on the 2-norm of its error, the rounding of a product with it included."""
    root: float
    """Frobenius' norm of M."""
    from_sums: float
    """|(|M|'e)|."""
    phi: float
    """|F| + |(|M|'e)|**2, at most 1/2."""

    @property
    def norm(self) -> float:
        """Bound on the 2-norm of the inverse of B, whatever its error is."""
        return self.root**2 / (1 - self.phi)

    @property
    def freedom(self) -> float:
        """The trace of l B**-1, less what s has of it: l / (l + q |s|**2)."""
        ridge, level = self.equations.ridge, self.equations.level
        trace = float(self.matrix.trace())
        return ridge * (trace - 1 / (ridge + level)) if level else ridge * trace


class Found(NamedTuple):
    """The solutions a of B a = y for some y."""

    vectors: DoubleDouble
    """Shape (N, K)."""
    residuals: Float64Array
    """Bounds on |y - B a|, shape (K,)."""


def dual_equations(rows: CentredRows, l2: float) -> DualEquations:
    """Return B, known to within the errors of `add_split_gram`, of the columns and of adding up."""
    size, num_rows, roots = rows.extent.num_features, rows.num_rows, rows.roots
    unit = common_unit(rows, l2)
    exponent = rows.equations.exponent[:size] - np.int32(unit)
    total, squares = GramSum(num_rows), np.zeros(num_rows)
    step = int(np.clip(_BLOCK_ELEMENTS // num_rows, *_SUMMED_COLUMNS))
    for start in range(0, size, step):
        block = slice(start, min(start + step, size))
        own = dd.scale_by_power_of_two(dd.part(rows.values, block), exponent[block, None])
        tail = own.low.T if own.low.any() else None
        squares += add_split_gram(total, own.high.T, tail, CAREFUL)
    gram, ridge = total.total(), math.ldexp(l2, -2 * unit)
    lengths = gram.high.diagonal().copy()
    shifted = np.sum(np.ldexp(rows.shifted[:size], exponent) ** 2)
    squares += 4.2 * rows.value_error * (lengths + roots.high**2 * shifted)
    share = 0.0
    if rows.equations is rows.around_mean:
        mean = float(lengths.mean()) or ridge or 1.0
        share = math.ldexp(1.0, math.frexp(mean / rows.equations.weight_sum)[1] - 1)
        outer = dd.multiply(dd.part(roots, np.s_[:, None]), roots)
        gram = dd.add(gram, DoubleDouble(share * outer.high, share * outer.low))
    add_to_diagonal(gram, np.full(num_rows, ridge))
    # A root is right to 2 u**2, a product of two to 7 more, and two sums to 3 each.
    roundings = (2.01 * total.num_terms + 20) * _UNIT_ROUNDOFF**2
    error = np.sqrt(squares + roundings * gram.high.diagonal() + _LOST**2)
    return DualEquations(
        gram=gram,
        error=error,
        doubt=np.maximum(np.sqrt(2) * error, 0.0 if l2 else _rounding(rows, lengths, unit)),
        ridge=ridge,
        level=share * rows.equations.weight_sum,
        exponent=exponent,
    )


def common_unit(rows: CentredRows, l2: float) -> int:
    """Return the exponent of a unit in which all squares and the ridge are below 1/2 together."""
    size = rows.extent.num_features
    exponent, lengths = rows.equations.exponent[:size], rows.equations.deviations[:size]
    varies = lengths > 0
    top = int(exponent[varies].max(initial=-(2**15)))
    squares = float(np.sum(np.ldexp(lengths[varies], exponent[varies] - top) ** 2))
    parts = ((squares, 2 * top), (l2, 0))
    larger = max((math.frexp(part)[1] + shift for part, shift in parts if part), default=0)
    return -(-(larger + 2) // 2)


def _rounding(rows: CentredRows, lengths: Float64Array, unit: int) -> Float64Array:
    """Return how long a combination of rows may be for rounding alone, per unit of each row.

    As `solve_independent` has it for columns, with the rows taken from 0.
    """
    size = rows.extent.num_features
    means = np.linalg.norm(np.ldexp(rows.equations.mean.high[:size], -unit))
    roundoff = rows.extent.unit_roundoff[:size].max()
    norms = np.sqrt(lengths) + rows.roots.high * means
    return np.asarray(np.sqrt(rows.num_rows + 1) * roundoff * norms)


def dual_inverse(equations: DualEquations) -> DualInverse | None:
    """Return what solves the equations; None if they may be singular."""
    error, size = equations.error, len(equations.error)
    factor, remainder, distance, doubtful = inverse_factor(equations.gram, equations.doubt)
    if doubtful.any() or distance > 0.5:
        return None
    from_sums = float(np.linalg.norm(np.abs(factor).T @ error))
    phi = distance + from_sums**2
    if not phi <= 0.5:
        return None
    remainder = np.zeros_like(factor) if remainder is None else remainder
    # (I - F)**-1, but for F**3 and for what F as computed is off by.
    core = np.eye(size) + remainder + remainder @ remainder
    left_out = 4 * (distance - float(np.linalg.norm(remainder))) + 2 * distance**3
    rounding = 2 * gamma(4 * size + 16, unit_roundoff=_UNIT_ROUNDOFF)
    root = float(np.linalg.norm(factor))
    return DualInverse(
        equations=equations,
        factor=factor,
        matrix=factor @ core @ factor.T,
        error=root**2 * (left_out + rounding),
        root=root,
        from_sums=from_sums,
        phi=phi,
    )


def solve_dual(inverse: DualInverse, columns: DoubleDouble) -> Found:
    """Solve for each y of columns (K, N): refine from 0, as far as it goes."""
    moments = DoubleDouble(columns.high.T, columns.low.T)
    gram, factor = inverse.equations.gram, inverse.factor
    vectors, residual = approached(gram, factor, moments)
    # B's elements are below 1: those of B a are off by product_error times the largest of a.
    size, largest = len(factor), np.abs(vectors.high).max(axis=0)
    uncertain = product_error(size) * largest + 4 * _UNIT_ROUNDOFF**2 * (
        np.abs(moments.high).max(axis=0) + size * largest
    )
    computed = (1 + 2 * size * _UNIT_ROUNDOFF) * np.linalg.norm(residual.high, axis=0)
    return Found(vectors, computed + np.sqrt(size) * uncertain)
