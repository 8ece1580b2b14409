"""Which columns are combinations of others, and the solution in those that are not.

A combination v of columns may be 0 if rounding each number of the data to its format could make it
so. A column computed from others in m roundings carries their sum; as these are about independent,
it grows like sqrt(m) (Higham and Mary, SIAM J. Sci. Comput. 41, 2019), which gives the criterion

    |X v| <= sqrt(D + 1) sum_k |v_k| u_k |x_k|,

with u_k of the format that column k came in and |x_k| from 0, since that is what was rounded.
"""

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.least_squares._magnitudes import magnitudes_times
from linexport.least_squares._normal_equations import (
    InverseFactor,
    NormalEquations,
    inverse_factor,
)
from linexport.least_squares._solution import Solution, solve


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
    if factor.doubtful.any() or factor.distance > 0.5:
        return False
    spread = magnitudes_times(factor.matrix.T, _sum_doubt(equations))
    return bool(factor.distance + (spread**2).sum() / 2 <= 0.5)


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
