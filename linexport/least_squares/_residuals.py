"""What the rows themselves tell of a solution: its residuals, and what they leave of the gradient.

Sums of products know X'(y - X w) to some digits of y. The rows' own residuals r = y - x w - b, each
in twice the working precision, know it to as many digits of r, for the price of a product with a
vector: that is iterative refinement (Bjoerck, Numerical Methods for Least Squares Problems, 1996,
section 2.9), and it also tells a residual sum of squares down to 10**-60 of y'y, of which sums keep
nothing below 10**-30.

N rows, n of them at a time, D features, K targets, norms over the rows and with their weights, in
the units of the normal equations. Whatever b is, the residuals around their mean are those of the
fit with an intercept. With a the means as rounded to float64 and t the sum of r,

    g = X'r - (mean - a) t, X taken from a;    R = r'r - t**2 / N.

With rho what residuals are off by, and gamma for the sums, at most

    r            rho = c u**2 (|y| + |w|'|x|) + what `product` errs by
    X'r          |x| kappa,    kappa = rho + gamma(n + 8) |r|
    t / sqrt(N)  kappa
    R            4 (|r| + kappa) kappa

Columns are brought to products x w of about one size first, so that `product` errs by little.
"""

from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.least_squares._solution import Point, Solution
from linexport.least_squares._split import product, product_error
from linexport.least_squares._summed import SummedRows
from linexport.numerics import FLOAT64, DoubleDouble, double_double as dd, gamma
from linexport.rows import Ranks, Rows

_BLOCK_ELEMENTS = 2**15
"""Ten arrays of so many float64 fit the cache."""
_FEWEST_ROWS = 64
_ROUNDINGS = 20
"""Of a residual, in units of u**2, beside those of its product."""


class _Fit(NamedTuple):
    """What residuals are taken from, in the units of the equations."""

    weight: DoubleDouble
    """Shape (D, K)."""
    bias: DoubleDouble
    """Shape (K,)."""


def measured(solution: Solution, rows: Rows, ranks: Ranks) -> Point:
    """Return what the rows of all ranks tell where the solution is."""
    point, num_targets = solution.point, len(rows.targets)
    fit = _fit(solution, num_targets)
    if isinstance(rows, SummedRows):
        squares, error = _squares_of_sums(solution, fit, rows)
        return replace(
            point,
            squares=dd.exact(_first(squares, point.squares.high)),
            squares_error=_first(error, point.squares_error),
        )
    sums = ranks.gather(_sums(solution, fit, rows)).sum(axis=0)
    return _point(solution, fit, sums)


def _fit(solution: Solution, num_targets: int) -> _Fit:
    equations, point = solution.equations, solution.point
    own_mean = dd.scale_by_power_of_two(equations.mean, -equations.exponent)
    weight = dd.part(point.weight, np.s_[:, :num_targets])
    at_mean = dd.multiply(dd.transposed(weight), dd.part(own_mean, equations.features))
    bias = dd.subtract(dd.part(own_mean, equations.targets[:num_targets]), dd.total(at_mean))
    return _Fit(weight, dd.add_float(bias, point.level[:num_targets]))


def _first(new: Float64Array, old: Float64Array) -> Float64Array:
    """Return old with its first targets as new; dependent features follow as further ones."""
    return np.concatenate([new, old[..., new.shape[-1] :]], axis=-1)


def _evened(weight: DoubleDouble) -> NDArray[np.int32]:
    """Return exponents of units in which the weights of the columns are near 1, shape (D,)."""
    largest = np.abs(weight.high).max(axis=1, initial=0.0)
    exponent = np.frexp(largest)[1]
    least = exponent[largest > 0].min(initial=0)
    return np.asarray(np.where(largest > 0, exponent, least), dtype=np.int32)


def _sums(solution: Solution, fit: _Fit, rows: Rows) -> Float64Array:
    """Return X'r, t and r'r of these rows, one below the other: shape (D + 2, K)."""
    equations, num_targets = solution.equations, len(rows.targets)
    places = equations.features
    unit, target_unit = equations.exponent[places], equations.exponent[equations.targets]
    even = _evened(fit.weight)
    origin = np.ldexp(equations.mean.high[places], -unit)
    weight = dd.transposed(dd.scale_by_power_of_two(fit.weight, -even[:, None]))
    bias = dd.negative(fit.bias)
    total = dd.zeros((len(places) + 2, num_targets))
    num_rows = _block_rows(solution)
    for features, targets, *weights in rows.batches():
        for start in range(0, len(features), num_rows):
            block = slice(start, start + num_rows)
            counts = weights[0][block].astype(np.float64) if weights else np.ones(1)
            kept = counts > 0 if weights else slice(None)
            x = np.ldexp(features[block][kept][:, places].astype(np.float64), -unit)
            y = np.ldexp(targets[block][kept].astype(np.float64), -target_unit[:num_targets])
            fitted = dd.transposed(product(weight, dd.exact(np.ldexp(x, even).T)))
            rest = dd.subtract(dd.add_float(bias, y), fitted).high
            weighted = counts[kept][:, None] * rest
            x -= origin
            parts = [
                x.T @ weighted,
                weighted.sum(axis=0)[None],
                (weighted * rest).sum(axis=0)[None],
            ]
            dd.add_in_place(total, np.concatenate(parts))
    return total.high


def _block_rows(solution: Solution) -> int:
    return max(_BLOCK_ELEMENTS // max(len(solution.equations.features), 1), _FEWEST_ROWS)


def _point(solution: Solution, fit: _Fit, sums: Float64Array) -> Point:
    """Return what the sums tell, with what they may be off by."""
    equations, point, num_targets = solution.equations, solution.point, sums.shape[1]
    places, root_count = equations.features, np.sqrt(equations.weight_sum)
    moments, total, squares = sums[:-2], sums[-2], sums[-1]
    relative = gamma(_block_rows(solution) + 8, unit_roundoff=FLOAT64.unit_roundoff)
    kappa = _residual_error(solution, fit) + relative * np.sqrt(squares)
    own_mean = np.ldexp(np.abs(equations.mean.high), -equations.exponent)
    off_mean = (FLOAT64.unit_roundoff * own_mean + equations.mean_error)[places]
    length = (equations.deviations + equations.error)[places] + root_count * off_mean
    gradient_error = np.outer(length, kappa)
    gradient_error += np.outer(off_mean, np.abs(total) + root_count * kappa)
    level = np.zeros_like(total)
    if equations.centred:
        level = total / equations.weight_sum
    ridge = dd.exact(equations.ridge[places][:, None])
    gradient = dd.subtract(dd.exact(moments), dd.multiply(ridge, fit.weight))
    of_mean = np.maximum(squares - level * total, 0.0)
    return Point(
        weight=point.weight,
        gradient=DoubleDouble(
            *(_first(*parts) for parts in zip(gradient, point.gradient, strict=True))
        ),
        gradient_error=_first(gradient_error, point.gradient_error),
        squares=dd.exact(_first(of_mean, point.squares.high)),
        squares_error=_first(4 * (np.sqrt(squares) + kappa) * kappa, point.squares_error),
        level=_first(point.level[:num_targets] + level, point.level),
    )


def _residual_error(solution: Solution, fit: _Fit) -> Float64Array:
    """Return rho, shape (K,)."""
    equations = solution.equations
    even, norms = _evened(fit.weight), equations.norms[equations.features]
    largest = np.ldexp(np.abs(fit.weight.high), -even[:, None]).max(axis=0, initial=0.0)
    of_product = product_error(len(norms)) * np.linalg.norm(np.ldexp(norms, even)) * largest
    magnitude = solution.magnitude(equations.norms)[: len(largest)]
    return np.asarray(of_product + _ROUNDINGS * FLOAT64.unit_roundoff**2 * magnitude)


def _squares_of_sums(
    solution: Solution, fit: _Fit, rows: SummedRows
) -> tuple[Float64Array, Float64Array]:
    """Return r'r of rows that are gone, and its error: exact sums tell any combination exactly.

    The bias is as wrong as the means.
    """
    equations, num_targets = solution.equations, len(rows.targets)
    places, size = equations.features, len(rows.features)
    squares = np.zeros(num_targets)
    for k in range(num_targets):
        weight, bias = dd.part(fit.weight, np.s_[:, k]), dd.part(fit.bias, k)
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
    root, norms = np.sqrt(squares), solution.magnitude(equations.norms)[:num_targets]
    off_mean = np.sqrt(equations.weight_sum) * solution.magnitude(equations.mean_error)
    error = off_mean[:num_targets] + _ROUNDINGS * FLOAT64.unit_roundoff**2 * norms
    return squares, (2 * root + error) * error + FLOAT64.unit_roundoff * squares
