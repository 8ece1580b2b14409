"""How far a fit by other means is from the least-squares optimum.

N rows, D features, K targets.
"""

import math

import numpy as np

from linexport._arrays import Float64Array
from linexport.fit import Metrics, OptimumDistance
from linexport.least_squares._optimum import Optimum
from linexport.model import LinearModel
from linexport.numerics import FLOAT64, affine_of, gamma, largest_distance


def optimum_distances(
    model: LinearModel, optimum: Optimum, metrics: dict[str, Metrics]
) -> dict[str, OptimumDistance]:
    """Return how far a float64 fit is from the optimum on its training rows, by target name.

    Coefficients are compared as slopes per standardized feature, the *level* (the prediction at the
    mean of the features) and the intercept (that where every feature is 0), all in target units:
    D + 2 columns. The slopes' distances in standard errors are those of the raw coefficients. The
    level is there because a feature at 1e6 +- 1 makes the intercept's standard error so large that
    an intercept within one of it would say nothing of the predictions.

    Args:
        model: The fit, its columns with their training ranges.
        optimum: Theirs.
        metrics: The fit's, on them.
    """
    slopes, level = _slopes_and_level(model, optimum)
    slopes -= optimum.weight / optimum.scale
    level -= optimum.target_mean  # which least squares predicts at the mean of the features
    intercept = level - slopes @ (optimum.mean * optimum.scale)
    ratios = _largest_ratio(
        np.column_stack([slopes, level, intercept]), _resolved_standard_errors(optimum)
    )
    best = optimum.model(model.features, model.targets)
    # Rounded up: the sum is at most half an ulp below.
    predictions = np.nextafter(largest_distance(model, best) + optimum.distance_bound, np.inf)
    return {
        name: OptimumDistance(
            loss=metrics[name].rmse ** 2,
            loss_at_optimum=float(optimum.loss[k]),
            standard_errors=None if math.isnan(ratios[k]) else float(ratios[k]),
            prediction=float(predictions[k]),
        )
        for k, name in enumerate(model.target_names)
    }


def _slopes_and_level(model: LinearModel, optimum: Optimum) -> tuple[Float64Array, Float64Array]:
    affine = affine_of(model)
    level = affine.bias + affine.weight @ affine.differences(optimum.mean)
    return affine.weight / optimum.scale, level


def _largest_ratio(distance: Float64Array, unit: Float64Array) -> Float64Array:
    """Return the largest of |distance| / unit (K, D + 2) of each target; 0 / 0 is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(distance == 0, 0 * unit, np.abs(distance) / unit)
    return np.asarray(ratios.max(axis=1))


def _resolved_standard_errors(optimum: Optimum) -> Float64Array:
    """Return the standard errors, shape (K, D + 2).

    nan for a target without degrees of freedom, or where the data fit exactly: there the standard
    errors are no more than rounding.
    """
    freedom = optimum.num_rows - optimum.rank - 1
    residual_sum = optimum.residual_sum_of_squares
    variance = residual_sum / freedom if freedom > 0 else np.full(residual_sum.shape, np.nan)
    errors = np.column_stack(
        [
            optimum.weight_standard_errors / optimum.scale,
            np.sqrt(variance / optimum.weight_sum),
            optimum.bias_standard_errors,
        ]
    )
    resolved = np.asarray((errors[:, :-1] > _resolution(optimum)).all(axis=1))
    return np.where(resolved[:, None], errors, np.nan)


def _resolution(optimum: Optimum) -> Float64Array:
    """How far rounding in float64 may move slopes and level of data that fit exactly, (K, D + 1).

    Each row's residual is rounded: in standardizing (3 roundings, the mean itself one in log2(N)
    sums), in the D + 1 products and sums of its prediction, in taking the difference. In root
    mean square that is at most gamma * (|slopes| summed + the target's deviation), as every
    standardized feature has root mean square 1; the least-squares solution moves by at most that
    over the smallest singular value. The means' own rounding shifts the level.
    """
    num_features = optimum.weight.shape[1]
    num_roundings = num_features + 8 + math.ceil(math.log2(optimum.num_rows))
    relative = gamma(num_roundings, unit_roundoff=FLOAT64.unit_roundoff)
    slopes = np.abs(optimum.weight / optimum.scale)
    size = slopes.sum(axis=1) + 1 / optimum.target_scale
    moved = relative * size / math.sqrt(optimum.smallest_eigenvalue)
    offset = slopes @ np.abs(optimum.mean * optimum.scale)
    level = relative * (size + offset + np.abs(optimum.target_mean))
    return np.column_stack([*[moved] * num_features, level])
