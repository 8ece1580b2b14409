"""What a runtime does that treats subnormal numbers as zero: docs/bounds.md, section 8.

N rows, D features, K targets.
"""

from typing import NamedTuple

import numpy as np

from linexport._arrays import Float64Array
from linexport.numerics._bounds import Affine, Precision, gamma, own_slack

__all__ = ["FlushedToZero", "flushed_to_zero"]


class FlushedToZero(NamedTuple):
    """What flushing subnormal numbers to zero does to predictions, each (N, K), target units."""

    shift: Float64Array
    """Change of the exact prediction where every subnormal operand counts as zero."""
    allowance: Float64Array
    """What flushed results may add to the error bound, with or without the shift."""


def flushed_to_zero(
    features: Float64Array,
    affine: Affine,
    *,
    precision: Precision,
    given: Precision | None = None,
) -> FlushedToZero:
    """Predict what a runtime does that treats subnormal operands, results or both as zero.

    A subnormal input, weight, bias or mean that counts as zero changes the prediction by a known
    amount; a subnormal result that becomes zero loses less than the smallest normal number.

    Args:
        features: Shape (N, D).
        affine: The numbers in the artifact.
        precision: In which the sum is taken.
        given: Of the features, and of the result, where that is another.
    """
    given = given or precision
    tiny, weight = precision.smallest_normal, affine.weight
    lost_weight, lost_bias = _subnormal_part(weight, tiny), _subnormal_part(affine.bias, tiny)
    lost_input = _subnormal_part(features, given.smallest_normal)
    size, results = np.abs(lost_input), np.zeros_like(features)
    with np.errstate(over="ignore", invalid="ignore"):  # there the error bound is infinite
        inputs = affine.differences(features)
        if affine.mean is not None:
            lost_mean = _subnormal_part(affine.mean, tiny)
            size, lost_input = size + np.abs(lost_mean), lost_input - lost_mean
            results = _may_flush(inputs, tiny)  # which the weight then multiplies
        kept = inputs - lost_input
        shift = -(lost_input @ weight.T + kept @ lost_weight.T + lost_bias)
        size = size @ np.abs(weight).T + np.abs(kept) @ np.abs(lost_weight).T + np.abs(lost_bias)
        # D products and D sums may be flushed as well.
        results = results @ np.abs(weight).T + 2 * affine.num_features * tiny
        # The shift is itself rounded, and changes the magnitude that the error bound goes with.
        relative = gamma(affine.num_roundings + 8, unit_roundoff=precision.unit_roundoff)
        allowance = results * (1 + relative) + 2 * relative * size
        allowance *= own_slack(affine.num_features + 16)
        if given is not precision:
            allowance += given.smallest_normal  # the result that is rounded once more
    return FlushedToZero(shift, allowance)


def _may_flush(results: Float64Array, smallest_normal: float) -> Float64Array:
    """Return what flushing takes from each result at most: nothing from zero or from large ones.

    The margin of 4 is for operands that were flushed or rounded before.
    """
    return np.where((results != 0) & (np.abs(results) < 4 * smallest_normal), smallest_normal, 0.0)


def _subnormal_part(values: Float64Array, smallest_normal: float) -> Float64Array:
    return np.where(np.abs(values) < smallest_normal, values, 0.0)
