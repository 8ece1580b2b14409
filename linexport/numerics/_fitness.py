"""Whether an artifact's rounding is small beside what the model explains: the one rule.

D features, K targets. docs/bounds.md, "Small enough", derives the numbers.
"""

from collections.abc import Sequence

import numpy as np

from linexport._arrays import Float64Array
from linexport._digits import PART_OF_RESIDUALS, PART_OF_SPREAD
from linexport.fit import Fitness, FitRecord, LimitOf
from linexport.model import LinearModel
from linexport.numerics._bounds import FLOAT64, Precision, gamma, precision_of
from linexport.numerics._forms import affine_of, far_corner, range_of, raw_coefficients
from linexport.numerics._own_form import OwnForm
from linexport.numerics._own_steps import Cast

__all__ = ["fitness", "narrowest"]


def fitness(
    artifact: LinearModel,
    record: FitRecord,
    *,
    before: Sequence[float],
    runtime: Sequence[float],
) -> dict[str, Fitness]:
    """Judge an artifact's rounding, by target name.

    Args:
        artifact: The artifact's numbers, with the ranges of their columns.
        record: Of the fit: its residuals, where there are any.
        before: Per target, the export and the inputs of the error budget, target units.
        runtime: Per target, the runtime of the error budget, the worst case.
    """
    rounding = np.asarray(before) + np.minimum(runtime, _likely_rounding(artifact))
    spread, noise = _spread(artifact), _noise_of_float64(artifact)
    judged = {}
    limit_of: LimitOf
    for index, target in enumerate(artifact.target_names):
        limit, limit_of = _part_of(float(spread[index])), "spread"
        residuals = _residuals(record, target)
        if residuals * PART_OF_RESIDUALS > noise[index]:
            limit, limit_of = PART_OF_RESIDUALS * residuals, "residuals"
        elif spread[index] == 0:  # a constant has no spread; one that is 0, no size either
            size = abs(float(raw_coefficients(artifact)[1][index])) or 1.0
            limit, limit_of = _part_of(size), "size"
        judged[target] = Fitness(
            rounding=float(rounding[index]),
            limit=limit,
            limit_of=limit_of,
            good_enough=bool(rounding[index] <= limit),
        )
    return judged


def _part_of(size: float) -> float:
    """Return what is small beside it; even of the smallest number, a part is more than nothing."""
    return max(PART_OF_SPREAD * size, FLOAT64.half_smallest_subnormal)


def narrowest(form: OwnForm) -> Precision:
    """Return the precision with the fewest digits that a graph's values pass through."""
    casts = [each.step for each in form.steps.in_order() if isinstance(each.step, Cast)]
    return min((form.precision, *(cast.precision for cast in casts)), key=lambda each: each.digits)


def _residuals(record: FitRecord, target: str) -> float:
    """Return the standard deviation of what the fit leaves unexplained; 0 where it is not known."""
    statistics = record.statistics.targets.get(target) if record.statistics else None
    if statistics is not None and not _is_weighted(record):
        return statistics.residual_standard_deviation or 0.0
    metrics = record.metrics.get("training", {}).get(target)
    return metrics.rmse if metrics else 0.0


def _is_weighted(record: FitRecord) -> bool:
    """Tell whether the statistics speak of a row of weight 1, which may be none of the rows."""
    return record.weights is not None and record.weights.kind == "precision"


def _noise_of_float64(artifact: LinearModel) -> Float64Array:
    """Return (K,), what float64 arithmetic may leave of an exact relation.

    Only residuals a hundred times as large are the model's own.
    """
    weight, bias = raw_coefficients(artifact)
    lower, upper = range_of(artifact)
    size = np.abs(weight) @ np.maximum(np.abs(lower), np.abs(upper)) + np.abs(bias)
    return np.asarray(gamma(artifact.num_features + 2, unit_roundoff=FLOAT64.unit_roundoff) * size)


def _likely_rounding(artifact: LinearModel) -> Float64Array:
    """Return (K,), the root of the expected mean square of a sum's rounding error.

    Over the training rows where their means and deviations are known, else at the corner of the
    range; if roundings have mean zero and are uncorrelated. It grows with sqrt(D).
    Infinity where the sum is taken in more digits than the result has.
    """
    if artifact.accumulate != artifact.dtype:  # its last rounding is most of it
        return np.full(artifact.num_targets, np.inf)
    affine = affine_of(artifact)
    reach = np.abs(affine.differences(far_corner(artifact, affine)))
    for index, column in enumerate(artifact.features):
        if column.mean is not None and column.standard_deviation is not None:
            centre = 0.0 if affine.mean is None else float(affine.mean[index])
            around = float(np.hypot(column.standard_deviation, column.mean - centre))
            reach[index] = min(reach[index], around)
    precision, num_roundings = precision_of(artifact.dtype), affine.num_roundings
    size = np.abs(affine.weight) @ reach + np.abs(affine.bias)
    underflow = artifact.num_features * precision.half_smallest_subnormal
    return np.asarray(np.sqrt(num_roundings) * precision.unit_roundoff * size + underflow)


def _spread(artifact: LinearModel) -> Float64Array:
    """Return (K,), how far predictions can vary over the range.

    At most as far as the target did, where that is known: with features that depend on each other,
    most of the box of their ranges holds no rows.
    """
    lower, upper = range_of(artifact)
    widths = 2 * (np.abs(affine_of(artifact).weight) @ (upper / 2 - lower / 2))
    known = [
        np.inf if target.minimum is None or target.maximum is None
        else (target.maximum - target.minimum) or np.inf
        for target in artifact.targets
    ]  # fmt: skip
    return np.minimum(widths, known)
