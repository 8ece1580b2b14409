"""Residuals from the rows themselves, where they are too small to be told from sums of products.

In double-double sums y'y - w'c keeps a residual sum of squares of 10**-30 y'y no digit. The rows'
own residuals y - x w - b, each in twice the working precision, keep theirs down to 10**-60 y'y.

With R the residual sum of squares, K targets and norms over the rows, in the units of the normal
equations, the root of R as computed is off by at most

    c u**2 2 (|y| + |w|'|x|) + distance + sqrt(N) (m_y + |w|'m_x)

the rounding of each row's sum, c = 20 + 3 log2(D), where b adds as much as y and x w once more; the
distance of w from the optimum, as |X (w* - w)| is no more than that; the errors m of the means.
"""

from dataclasses import replace
from fractions import Fraction

import numpy as np

from linexport._arrays import Float64Array
from linexport.least_squares._solution import Solution
from linexport.least_squares._summed import SummedRows
from linexport.least_squares._uncertainty import NEGLIGIBLE
from linexport.numerics import FLOAT64, DoubleDouble, double_double as dd
from linexport.rows import Ranks, Rows

_BLOCK_ELEMENTS = 2**15
"""Ten arrays of so many float64 fit the cache."""


def with_measured_residuals(solution: Solution, rows: Rows, ranks: Ranks) -> Solution:
    """Return the solution with the residual sums of squares that all ranks' rows tell.

    Residuals below a millionth of what rounding the data explains are 0: the data fit exactly, and
    it is w that is no double-double number.
    """
    chosen = slice(len(rows.targets))
    own = np.array(_squares(solution, rows))
    root = np.sqrt(ranks.gather(own).sum(axis=0))
    error = _root_error(solution)[chosen]
    exact = (root <= error) & (
        error <= NEGLIGIBLE * solution.magnitude(solution.equations.rounding)[chosen]
    )
    squares, squares_error = (
        solution.residual_squares.copy(),
        solution.residual_squares_error.copy(),
    )
    squares[chosen] = np.where(exact, 0.0, root**2)
    squares_error[chosen] = np.where(exact, 0.0, (2 * root + error) * error)
    return replace(solution, residual_squares=squares, residual_squares_error=squares_error)


def _squares(solution: Solution, rows: Rows) -> Float64Array:
    """Return the residual sums of squares of these rows, shape (K,)."""
    if isinstance(rows, SummedRows):
        return _squares_of_sums(solution, rows)
    equations, num_targets = solution.equations, len(rows.targets)
    places = equations.features
    unit, target_unit = equations.exponent[places], equations.exponent[-num_targets:]
    weights_of_targets, biases = _fits(solution, num_targets)
    squares = np.zeros(num_targets)
    num_rows = max(_BLOCK_ELEMENTS // max(len(places), 1), 64)
    for features, targets, *weights in rows.batches():
        for start in range(0, len(features), num_rows):
            block = slice(start, start + num_rows)
            counts = weights[0][block].astype(np.float64) if weights else np.ones(1)
            kept = counts > 0 if weights else slice(None)
            x = np.ldexp(features[block][kept][:, places].astype(np.float64), -unit)
            y = np.ldexp(targets[block][kept].astype(np.float64), -target_unit)
            for k, (weight, bias) in enumerate(zip(weights_of_targets, biases, strict=True)):
                squares[k] += (counts[kept] * _residuals(x, y[:, k], weight, bias) ** 2).sum()
    return squares


def _fits(solution: Solution, num_targets: int) -> tuple[list[DoubleDouble], list[DoubleDouble]]:
    """Return the weights and the bias of each target, in the units of the equations."""
    equations = solution.equations
    own_mean = dd.scale_by_power_of_two(equations.mean, -equations.exponent)
    weights = [dd.part(solution.weight, np.s_[:, k]) for k in range(num_targets)]
    biases = [
        dd.subtract(
            dd.part(own_mean, equations.targets[k]),
            dd.total(dd.multiply(weight, dd.part(own_mean, equations.features))),
        )
        for k, weight in enumerate(weights)
    ]
    return weights, biases


def _squares_of_sums(solution: Solution, rows: SummedRows) -> Float64Array:
    """Return the same of rows that are gone: exact sums tell any combination of columns exactly."""
    equations, num_targets = solution.equations, len(rows.targets)
    places, size = equations.features, len(rows.features)
    squares = np.zeros(num_targets)
    for k, (weight, bias) in enumerate(zip(*_fits(solution, num_targets), strict=True)):
        combination = [Fraction(0)] * (size + num_targets + 1)
        combination[size + k] = Fraction(1)
        for place, high, low in zip(places.tolist(), *map(np.ndarray.tolist, weight), strict=True):
            combination[place] = -(Fraction(high) + Fraction(low))
        scaled = [
            number * Fraction(2) ** -exponent
            for number, exponent in zip(combination, equations.exponent.tolist(), strict=False)
        ]
        level = Fraction(float(bias.high)) + Fraction(float(bias.low))
        squares[k] = rows.sums.square_of([*scaled, -level])
    return squares


def _residuals(
    features: Float64Array, target: Float64Array, weight: DoubleDouble, bias: DoubleDouble
) -> Float64Array:
    products = dd.multiply(dd.exact(features), weight)
    return dd.subtract(dd.add_float(dd.negative(bias), target), dd.total(products)).high


def _root_error(solution: Solution) -> Float64Array:
    equations, weight = solution.equations, np.abs(solution.weight.high)
    roundings = 20 + 3 * len(weight).bit_length()
    rounding = roundings * FLOAT64.unit_roundoff**2 * 2 * solution.magnitude(equations.norms)
    of_means = np.sqrt(equations.weight_sum) * solution.magnitude(equations.mean_error)
    return np.asarray(rounding + solution.distance() + of_means)
