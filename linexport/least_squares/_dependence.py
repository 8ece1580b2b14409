"""Which features are no more than combinations of others.

A combination v of columns may be 0 if rounding each number of the data to its format could make it
so. A column computed from others in m roundings carries their sum; as these are about independent,
it grows like sqrt(m) (Higham and Mary, SIAM J. Sci. Comput. 41, 2019), which gives the criterion

    |X v| <= sqrt(D + 1) u sum_k |v_k| |x_k|,

with u of the format that the data came in and |x_k| from 0, since that is what was rounded.
"""

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.least_squares._inverse_factor import InverseFactor, inverse_factor
from linexport.least_squares._normal_equations import NormalEquations
from linexport.least_squares._solution import Solution, solve


def try_solve(equations: NormalEquations, *, unit_roundoff: float) -> Solution | None:
    """Return the solution; None if some feature may be a combination of others."""
    factor = inverse_factor(equations.gram, _doubt(equations, unit_roundoff))
    return None if _doubtful(equations, factor).any() else solve(equations, factor)


def solve_independent(
    equations: NormalEquations, *, unit_roundoff: float
) -> tuple[Solution | None, NDArray[np.intp]]:
    """Set features aside until the others are independent, and solve for these.

    Each feature that is set aside is a combination of features before it.

    Returns:
        The solution, in which the features set aside are the last targets; None if no feature is
        left. The features set aside.
    """
    dependent: list[NDArray[np.intp]] = [np.empty(0, dtype=np.intp)]
    while len(equations.features):
        factor = inverse_factor(equations.gram, _doubt(equations, unit_roundoff))
        doubtful = equations.features[_doubtful(equations, factor)]
        if not len(doubtful):
            return solve(equations, factor), np.concatenate(dependent)
        dependent.append(doubtful)
        equations = equations.without(doubtful)
    return None, np.concatenate(dependent)


def combinations(solution: Solution, num_dependent: int, unit_roundoff: float) -> NDArray[np.bool_]:
    """Tell what each dependent feature is a combination of, shape (independent, dependent).

    A coefficient is told from 0 by the same criterion: what rounding the data may do to it.
    """
    size = solution.weight.high.shape[1]
    chosen = slice(size - num_dependent, size)
    coefficients = np.abs(solution.weight.high[:, chosen])
    rows = np.linalg.norm(solution.factor.matrix, axis=1)
    factor = np.sqrt(len(rows) + 1)
    rounding = factor * solution.data_rounding(unit_roundoff)[chosen]
    return np.asarray(coefficients > rows[:, None] * rounding)


def _doubt(equations: NormalEquations, unit_roundoff: float) -> Float64Array:
    """Return the length below which columns may be 0, per unit of each column."""
    features = equations.features
    rounding = np.sqrt(len(features) + 1) * unit_roundoff * equations.norms[features]
    rounding[equations.ridge[features] > 0] = 0.0  # with a ridge they are independent
    return np.asarray(np.maximum(rounding, _sum_doubt(equations)))


def _sum_doubt(equations: NormalEquations) -> Float64Array:
    """The same for the error of the sums: phi would be 1/2."""
    return np.asarray(np.sqrt(2) * equations.error[equations.features])


def _doubtful(equations: NormalEquations, factor: InverseFactor) -> NDArray[np.bool_]:
    """Return the features in doubt; if the factor proves nothing, the one most in doubt."""
    spread = np.abs(factor.matrix).T @ _sum_doubt(equations)
    if factor.doubtful.any() or factor.distance + (spread**2).sum() / 2 <= 0.5:
        return factor.doubtful
    return np.asarray(np.arange(len(spread)) == spread.argmax())
