"""How far a fit is from the least-squares optimum.

Coefficients are compared as slopes per standardized feature, the *level* (the prediction at the
mean of the features) and the intercept (the prediction where every feature is 0), all in target
units. The slopes' distances in standard errors are those of the raw coefficients. The level is
there because a feature at 1e6 +- 1 makes the intercept's standard error so large that an intercept
within a hundredth of it would say nothing of the predictions.
"""

import math
from dataclasses import dataclass

import numpy as np

from linexport._arrays import Float64Array
from linexport.fit import Metrics, OptimumDistance
from linexport.least_squares._solver import Optimum
from linexport.model import LinearModel
from linexport.numerics import FLOAT64, affine_of, gamma

__all__ = ["optimum_distances"]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Coefficientwise:
    """One number for each coefficient, in target units."""

    slopes: Float64Array
    """Shape (K, D)."""
    level: Float64Array
    """Shape (K,)."""
    intercept: Float64Array
    """Shape (K,)."""

    def stacked(self) -> Float64Array:
        """Return shape (K, D + 2)."""
        return np.column_stack([self.slopes, self.level, self.intercept])

    def largest_ratio(self, other: "_Coefficientwise") -> Float64Array:
        """Return the largest of |self| / other over each target's coefficients, shape (K,).

        Where a target's `other` is nan there is none: nan. 0 / 0 is 0.
        """
        mine = np.abs(self.stacked())
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(mine == 0, 0 * other.stacked(), mine / other.stacked())
        return np.asarray(ratios.max(axis=1))


def _gap(slopes: Float64Array, level: Float64Array, optimum: Optimum) -> _Coefficientwise:
    """Return the distance of slopes (K, D) and level (K,) from the optimum's."""
    difference = slopes - optimum.weight / optimum.scale
    # At the mean of the features, least squares predicts the mean of the target.
    at_mean = level - optimum.target_mean
    return _Coefficientwise(
        slopes=difference,
        level=at_mean,
        intercept=at_mean - difference @ (optimum.mean * optimum.scale),
    )


def _resolved_standard_errors(optimum: Optimum) -> _Coefficientwise:
    """Return the coefficients' standard errors.

    nan for a target without degrees of freedom, or where the data fit exactly: there the standard
    errors are no more than rounding.
    """
    errors, floor = _standard_errors(optimum), _resolution(optimum)
    exact = ~(errors.level > floor.level) | ~(errors.slopes > floor.slopes).all(axis=1)
    return _Coefficientwise(
        slopes=np.where(exact[:, None], np.nan, errors.slopes),
        level=np.where(exact, np.nan, errors.level),
        intercept=np.where(exact, np.nan, errors.intercept),
    )


def optimum_distances(
    model: LinearModel, optimum: Optimum, metrics: dict[str, Metrics]
) -> dict[str, OptimumDistance]:
    """Return how far a float64 fit is from the optimum on its training rows, by target name.

    Args:
        model: The fit, its columns with their training ranges.
        optimum: Theirs.
        metrics: The fit's, on them.
    """
    slopes, level = _slopes_and_level(model, optimum)
    distance = _gap(slopes, level, optimum)
    ratios = distance.largest_ratio(_resolved_standard_errors(optimum))
    predictions = _largest_prediction_gap(distance, model, optimum)
    losses = optimum.residual_sum_of_squares / optimum.num_rows
    return {
        name: OptimumDistance(
            loss=metrics[name].rmse ** 2,
            loss_at_optimum=float(losses[k]),
            standard_errors=None if math.isnan(ratios[k]) else float(ratios[k]),
            prediction=float(predictions[k]),
        )
        for k, name in enumerate(model.target_names)
    }


def _slopes_and_level(model: LinearModel, optimum: Optimum) -> tuple[Float64Array, Float64Array]:
    affine = affine_of(model)
    level = affine.bias + affine.weight @ affine.differences(optimum.mean)
    return affine.weight / optimum.scale, level


def _largest_prediction_gap(
    distance: _Coefficientwise, model: LinearModel, optimum: Optimum
) -> Float64Array:
    """An affine function on a box is largest at a corner: its middle, and half its width."""
    lower, upper = (
        (np.array(ends, dtype=np.float64) - optimum.mean) * optimum.scale
        for ends in (
            [column.minimum for column in model.features],
            [column.maximum for column in model.features],
        )
    )
    at_middle = distance.level + distance.slopes @ ((lower + upper) / 2)
    return np.asarray(np.abs(at_middle) + np.abs(distance.slopes) @ ((upper - lower) / 2))


def _standard_errors(optimum: Optimum) -> _Coefficientwise:
    """The coefficients' standard errors; nan without degrees of freedom."""
    freedom = optimum.num_rows - optimum.rank - 1
    residual_sum = optimum.residual_sum_of_squares
    variance = residual_sum / freedom if freedom > 0 else np.full(residual_sum.shape, np.nan)
    return _Coefficientwise(
        slopes=optimum.weight_standard_errors / optimum.scale,
        level=np.sqrt(variance / optimum.num_rows),
        intercept=optimum.bias_standard_errors,
    )


def _resolution(optimum: Optimum) -> _Coefficientwise:
    """How far rounding in float64 may move the optimum of data that fit exactly.

    Each row's residual is rounded: in standardizing (3 roundings, the mean itself one in log2(N)
    sums), in the D + 1 products and sums of its prediction, in taking the difference. In root
    mean square that is at most gamma * (|slopes| summed + the target's deviation), as every
    standardized feature has root mean square 1; the least-squares solution moves by at most that
    over the smallest singular value. The means' own rounding shifts the level.
    """
    num_roundings = optimum.weight.shape[1] + 8 + math.ceil(math.log2(optimum.num_rows))
    relative = gamma(num_roundings, unit_roundoff=FLOAT64.unit_roundoff)
    slopes = np.abs(optimum.weight / optimum.scale)
    offset = np.abs(optimum.mean * optimum.scale)
    size = slopes.sum(axis=1) + 1 / optimum.target_scale
    moved = relative * size / math.sqrt(optimum.gram_eigenvalues[-optimum.rank])
    level = relative * (size + slopes @ offset + np.abs(optimum.target_mean))
    return _Coefficientwise(
        slopes=np.broadcast_to(moved[:, None], slopes.shape),
        level=level,
        intercept=level + moved * offset.sum(),
    )
