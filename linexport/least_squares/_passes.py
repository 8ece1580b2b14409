"""As many passes over the rows as the answer needs: one, unless its error bound says otherwise.

The first rows are summed carefully, all others as fast as BLAS can. If then the bound on the error
of the answer is not negligible, the rows are read again, more carefully.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from linexport.errors import DataError, TrainingError
from linexport.least_squares._accumulator import CAREFUL, Accumulator, Plan
from linexport.least_squares._dependence import solve_independent, try_solve
from linexport.least_squares._factor import Factor
from linexport.least_squares._normal_equations import Units, normal_equations
from linexport.least_squares._solution import Solution
from linexport.rows import Rows

__all__ = ["Combine", "Solved", "fit_rows"]

_SPLIT_GAIN = 2.0**-13
"""By how much one slice lowers the bound on the error of sums of products, at least: from 512 u or
more to 2 * 2048 u * 2**-21, where a column's largest number is up to 2**5 times its deviation."""


Combine: TypeAlias = Callable[[Factor], Factor]
"""From the factor of this process's rows to that of all processes' rows, the same in each."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Solved:
    """What was found of the rows, once it is good enough."""

    factor: Factor
    units: Units
    solution: Solution | None
    """Its equations name the features that are independent; None if none is."""
    dependent: NDArray[np.intp]
    """The other features: combinations of those before them. They are the solution's last targets,
    so that its weight tells which."""


def fit_rows(
    rows: Rows,
    *,
    intercept: bool,
    l2: float,
    combine: Combine | None = None,
) -> Solved:
    """Read the rows, and again until the distance from the optimum is known to be negligible.

    Args:
        rows: What to fit; summed up carefully from the first if they can be read only once.
        intercept: Whether columns are taken from their mean.
        l2: Weight of the squared coefficients, in the features' own units.
        combine: How to merge the factors of several processes.

    Raises:
        DataError: If there are no rows, or a weight is negative or not finite.
        TrainingError: If the weights are too large to be added up.
    """
    plan = Plan(num_slices=CAREFUL if rows.read_once else 0)
    while True:
        factor = _read(rows, plan)
        if combine is not None:
            factor = combine(factor)
        if not factor.num_rows:
            raise DataError("There are no rows to fit.", source=rows.source)
        num_slices = plan.num_slices
        if factor.in_range():
            equations, units = normal_equations(factor, intercept=intercept, l2=l2)
            if factor.num_slices == CAREFUL:
                solution, dependent = solve_independent(
                    equations, unit_roundoff=factor.unit_roundoff
                )
                return Solved(factor=factor, units=units, solution=solution, dependent=dependent)
            attempt = try_solve(equations, unit_roundoff=factor.unit_roundoff)
            if attempt is not None and _accurate(attempt, factor, intercept):
                none = np.empty(0, dtype=np.intp)
                return Solved(factor=factor, units=units, solution=attempt, dependent=none)
            one_slice = attempt is not None and _accurate(
                attempt, factor, intercept, error_scale=_SPLIT_GAIN
            )
            num_slices = 1 if one_slice and plan.num_slices == 0 else CAREFUL
        elif plan.frame is not None:
            raise TrainingError(
                f"{rows.source}: the rows' weights are too large or too far apart for float64 "
                "sums; divide them by the largest."
            )
        plan = Plan(frame=factor.better_frame(), num_slices=num_slices)


def _accurate(
    solution: Solution, factor: Factor, intercept: bool, *, error_scale: float = 1.0
) -> bool:
    freedom = factor.num_rows - len(solution.factor.matrix) - int(intercept)
    return solution.is_accurate(
        degrees_of_freedom=freedom, unit_roundoff=factor.unit_roundoff, error_scale=error_scale
    )


def _read(rows: Rows, plan: Plan) -> Factor:
    accumulator = Accumulator(len(rows.features), len(rows.targets), plan)
    num_read = 0
    for features, targets, *weights in rows.batches():
        for column in weights:
            wrong = np.flatnonzero(~((column >= 0) & (column < np.inf)))
            if len(wrong):
                raise DataError(
                    f"The weight {column[wrong[0]]} is not a number of at least 0.",
                    source=rows.source,
                    row=num_read + int(wrong[0]) + 1,
                )
        accumulator.add(features, targets, *weights)
        num_read += len(features)
    return accumulator.factor()
