"""The least-squares optimum in the data's own units.

N rows, D features, K targets. Where some features are combinations of others, each such combination
is a vector of coefficients that changes no prediction. Least squares without them gives one
solution; the part of it along those vectors is what the shortest one leaves out. Length is in the
features' own units, as in numpy.linalg.lstsq and scikit-learn.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.columns import Column
from linexport.least_squares._answer import Answer, Solved
from linexport.least_squares._config import LeastSquaresConfig
from linexport.least_squares._moments import Extent, Moments
from linexport.least_squares._uncertainty import Uncertainty
from linexport.model import LinearModel
from linexport.numerics import FLOAT64, DoubleDouble, double_double as dd


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Optimum:
    """The minimizer of ||y - X w - b||**2 + l2 ||w||**2, and what the rows say about it."""

    intercept: bool
    """Whether there is a b."""
    l2: float
    """0 for ordinary least squares."""
    weight: Float64Array
    """Shape (K, D), target units per feature unit."""
    bias: Float64Array
    """Shape (K,), target units; 0 without an intercept."""
    level: Float64Array
    """Shape (K,), target units: the prediction at `mean`, without the cancellation of the bias."""
    mean: Float64Array
    """Shape (D,), feature units; 0 without an intercept."""
    scale: Float64Array
    """Shape (D,), one over feature units: it multiplies. 1 / standard deviation, dividing by N;
    around 0 without an intercept; 1 where a feature does not vary."""
    target_mean: Float64Array
    """Shape (K,), target units; 0 without an intercept."""
    target_scale: Float64Array
    """Shape (K,), one over target units; 1 where the target does not vary."""
    num_rows: int
    """N: rows of weight above 0; the sum of the weights where these are frequencies."""
    weight_sum: float
    """Of the rows, 1 each where they have no weights."""
    log_weight_sum: float
    """The sum of the logarithms of weights that are precisions; 0 without them."""
    rank: int
    """Of the centred features; less than D only where dependent ones were allowed."""
    degrees_of_freedom: float
    """Of the residuals: N less what the coefficients take up, which with a ridge need not be a
    whole number."""
    residual_sum_of_squares: Float64Array
    """Shape (K,), target units squared; weighted where rows have weights."""
    residuals_known: NDArray[np.bool_]
    """Shape (K,): whether that is known to a millionth; of rows read but once it may not be."""
    around_mean: bool
    """Whether a constant is fitted: by the intercept, or by the features, some combination of
    which is the same number in every row."""
    total_sum_of_squares: Float64Array
    """Shape (K,): around the mean, or around 0 where no constant is fitted."""
    weight_standard_errors: Float64Array
    """Shape (K, D); nan without degrees of freedom. With a ridge, around the shrunken mean."""
    bias_standard_errors: Float64Array
    """Shape (K,); nan without degrees of freedom or without an intercept."""
    variance_inflation: Float64Array
    """Shape (D,): 1 / (1 - R**2) of each feature explained by the others; infinite for a dependent
    one; nan with a ridge."""
    smallest_eigenvalue: float
    """Of the correlation matrix of the features: the smallest that is not 0."""
    condition_number: float
    """2-norm, of the standardized features; infinite where they are dependent."""
    spread: Uncertainty
    """Of the weights over the residual variance, each feature divided by its unit."""
    exponent: NDArray[np.int32]
    """Shape (D,): the units, as exponents of two."""
    distance_bound: Float64Array
    """Shape (K,), target units: how far predictions from level, mean and weight are from those of
    the exact optimum of the data, at most, wherever each feature is within its range."""
    distance_in_standard_errors: Float64Array
    """Shape (K,): how far any coefficient is from the exact optimum, at most, before it is rounded
    to float64; nan without degrees of freedom or where the fit is exact."""

    @property
    def loss(self) -> Float64Array:
        """The mean squared residual as training's metrics have it, shape (K,)."""
        return self.residual_sum_of_squares / self.weight_sum

    def model(self, features: tuple[Column, ...], targets: tuple[Column, ...]) -> LinearModel:
        """Return it as rounded to float64, of which `distance_bound` speaks; centred if it can."""
        return LinearModel(
            weight=self.weight,
            bias=self.level if self.intercept else self.bias,
            mean=self.mean if self.intercept else None,
            features=features,
            targets=targets,
        )


def describe_optimum(fit: Solved, answer: Answer, config: LeastSquaresConfig) -> Optimum:
    """Bring the answer of a fit to the data's own units."""
    extent, dependent, equations = fit.extent, fit.dependent, answer.equations
    size = extent.num_features
    feature_unit, target_unit = equations.exponent[:size], equations.exponent[size:]
    weight, null = _weight(answer, dependent)
    spread = answer.uncertainty
    if null is not None:
        spread = _shortened(spread, null, feature_unit)
    mean, target_mean = dd.part(equations.mean, np.s_[:size]), dd.part(equations.mean, np.s_[size:])
    bias = dd.subtract(target_mean, dd.total(dd.multiply(weight, mean)))
    level = dd.add(bias, dd.total(dd.multiply(weight, dd.exact(mean.high))))
    freedom = answer.degrees_of_freedom(extent.num_rows - int(config.intercept))
    squares = answer.residual_squares[: len(target_unit)]
    known = answer.residuals_known[: len(target_unit)]
    divisor = freedom if freedom > 0 else np.nan
    deviation = np.sqrt(np.where(known, squares, np.nan) / divisor)
    weight_errors = np.outer(deviation, np.sqrt(spread.variances))
    bias_errors = deviation * np.sqrt(
        _bias_variance(equations, spread, mean) if config.intercept else np.nan
    )
    distance = answer.distance[: len(target_unit)]
    spreads = equations.standard_deviations
    scales = 1 / np.where(spreads > 0, spreads, 1.0)
    smallest, largest = answer.extreme_eigenvalues()
    return Optimum(
        intercept=config.intercept,
        l2=config.l2,
        weight=weight.high,
        bias=bias.high,
        level=level.high,
        mean=mean.high,
        scale=scales[:size],
        target_mean=target_mean.high,
        target_scale=scales[size:],
        num_rows=extent.num_rows,
        weight_sum=equations.weight_sum,
        log_weight_sum=extent.log_weight_sum,
        rank=answer.rank,
        degrees_of_freedom=freedom,
        residual_sum_of_squares=_scaled(squares, 2 * target_unit),
        residuals_known=known,
        around_mean=fit.tells_constant,
        total_sum_of_squares=_total_squares(fit.around_mean if fit.tells_constant else equations),
        weight_standard_errors=_scaled(weight_errors, target_unit[:, None] - feature_unit),
        bias_standard_errors=_scaled(bias_errors, target_unit),
        variance_inflation=answer.variance_inflation(fit.made_of),
        smallest_eigenvalue=smallest,
        condition_number=(
            np.inf if answer.rank < size or not smallest else float(np.sqrt(largest / smallest))
        ),
        spread=spread,
        exponent=feature_unit,
        distance_bound=_distance_bound(extent, equations, distance, spread, weight, level),
        distance_in_standard_errors=distance / np.where(deviation > 0, deviation, np.nan),
    )


def _total_squares(equations: Moments) -> Float64Array:
    size = len(equations.all_features)
    return _scaled(equations.deviations[size:] ** 2, 2 * equations.exponent[size:])


def _weight(
    answer: Answer, dependent: NDArray[np.intp]
) -> tuple[DoubleDouble, DoubleDouble | None]:
    """Return the weight (K, D) in the data's own units, the shortest where it is not unique.

    And the vectors (D, dependent) that it could be moved along.
    """
    equations, unit = answer.equations, answer.equations.exponent
    independent, size = equations.features, len(equations.all_features)
    num_targets = len(unit) - size
    raw = dd.scale_by_power_of_two(
        answer.weight, unit[equations.targets] - unit[independent][:, None]
    )
    weight, null = dd.zeros((size, num_targets)), None
    for whole, part in zip(weight, raw, strict=True):
        whole[independent] = part[:, :num_targets]
    if len(dependent):
        made_of = dd.part(raw, np.s_[:, num_targets:])
        null = _null_vectors(made_of, independent, dependent)
        weight = _shorten(weight, null)
    return DoubleDouble(np.ascontiguousarray(weight.high.T), weight.low.T.copy()), null


def _null_vectors(
    made_of: DoubleDouble, independent: NDArray[np.intp], dependent: NDArray[np.intp]
) -> DoubleDouble:
    """Return the vectors of coefficients that change no prediction, shape (D, dependent).

    `made_of`, shape (independent, dependent), makes dependent features of independent ones, in the
    features' own units.
    """
    size = len(independent) + len(dependent)
    vectors = dd.zeros((size, len(dependent)))
    for part, coefficients in zip(vectors, dd.negative(made_of), strict=True):
        part[independent] = coefficients
    vectors.high[dependent, np.arange(len(dependent))] = 1.0
    return vectors


def _shorten(weight: DoubleDouble, vectors: DoubleDouble) -> DoubleDouble:
    """Return weight (D, K) without its part along the vectors.

    The multiples are rounded to float64, which moves along the vectors and so no prediction; they
    are subtracted in double-double.
    """
    multiples = np.linalg.lstsq(_unit(vectors.high), weight.high, rcond=None)[0]
    multiples /= np.linalg.norm(vectors.high, axis=0)[:, None]
    shortened = weight
    for index, multiple in enumerate(multiples):
        column = dd.part(vectors, np.s_[:, index, None])
        shortened = dd.subtract(shortened, dd.multiply(column, dd.exact(multiple[None])))
    return shortened


def _unit(vectors: Float64Array) -> Float64Array:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=0))


def _shortened(
    spread: Uncertainty, null: DoubleDouble, feature_unit: NDArray[np.int32]
) -> Uncertainty:
    """Return the uncertainty of the shortest weight: its deviations without that part."""
    column = feature_unit[:, None]
    loadings = np.ldexp(spread.loadings, -column)
    basis, _ = np.linalg.qr(_unit(null.high))
    loadings = loadings - basis @ (basis.T @ loadings)
    return replace(spread, loadings=np.ldexp(loadings, column))


def _scaled(values: Float64Array, exponent: NDArray[np.int32]) -> Float64Array:
    """Return values in the data's own units; nan where float64 has not all their digits."""
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(values, exponent)
    lost = (values != 0) & (np.abs(scaled) < FLOAT64.smallest_normal)
    return np.where(lost | np.isinf(scaled), np.nan, scaled)


def _bias_variance(equations: Moments, spread: Uncertainty, mean: DoubleDouble) -> float:
    """Return that of the prediction at 0, over s**2: level and slope are uncorrelated."""
    own = dd.scale_by_power_of_two(mean, -equations.exponent[: len(mean.high)])
    return spread.variance_at(own, 1 / equations.weight_sum)


def _distance_bound(
    extent: Extent,
    equations: Moments,
    distance: Float64Array,
    spread: Uncertainty,
    weight: DoubleDouble,
    level: DoubleDouble,
) -> Float64Array:
    """Bound the distance of predictions from level + (x - mean) @ weight.T, as rounded.

    Each weight is off by |M_j| distance and by its rounding to float64, times the feature's reach
    from the mean; the level by the errors of the means and its own rounding.
    """
    size = extent.num_features
    unit, target_unit = equations.exponent[:size], equations.exponent[size:]
    mean = equations.mean.high[:size]
    reach = np.maximum(np.abs(extent.maximum[:size] - mean), np.abs(extent.minimum[:size] - mean))
    slopes = np.outer(distance, spread.reach)
    own_weight = np.ldexp(np.abs(weight.high), unit - target_unit[:, None])
    at_mean = equations.mean_error[size:] + own_weight @ equations.mean_error[:size]
    computed = np.ldexp(slopes @ np.ldexp(reach, -unit) + at_mean, target_unit)
    rounded = FLOAT64.unit_roundoff * (np.abs(weight.high) @ reach + np.abs(level.high))
    # The bound's own roundings, fewer than 4 D + 32, are made up for.
    return np.asarray((computed + rounded) * (1 + (4 * size + 32) * FLOAT64.unit_roundoff))
