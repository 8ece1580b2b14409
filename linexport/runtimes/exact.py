"""The exact reference: what the model's numbers mean, far beyond any runtime's precision.

A float32 model is evaluated in float64, where products of its numbers are exact; a float64 model in
double-double. Either way the result comes with a bound on its own error.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from linexport import _double_double as dd
from linexport._arrays import Float64Array, FloatArray
from linexport._double_double import DoubleDouble
from linexport.bounds import FLOAT32, FLOAT64, Affine, precision_of, rounding_error_bound
from linexport.forms import affine_of
from linexport.model import LinearModel
from linexport.protocols import ExactPrediction
from linexport.runtimes._inputs import as_features

__all__ = ["DoubleReference"]

CHUNK = 2**20
"""Products held at once: a few tens of megabytes in double-double."""


@dataclass(frozen=True, slots=True)
class DoubleReference:
    """Evaluates a model at twice its own precision."""

    model: LinearModel
    _affine: Affine = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_affine", affine_of(self.model))

    def predict(self, features: FloatArray) -> ExactPrediction:
        """Evaluate (N, D) finite features of the model's dtype.

        Raises:
            DataError: If the features are not (N, D) numbers.
        """
        rows = as_features(features, self.model.dtype, self.model.num_features).astype(np.float64)
        if precision_of(self.model.dtype) is FLOAT32:
            return self._in_float64(rows)
        return self._in_double_double(rows)

    def _in_float64(self, rows: Float64Array) -> ExactPrediction:
        affine = self._affine
        inputs = rows
        if affine.mean is not None and affine.scale is not None:
            inputs = (rows - affine.mean) * affine.scale
        high = inputs @ affine.weight.T + affine.bias
        error = rounding_error_bound(rows, affine, precision=FLOAT64)
        return ExactPrediction(high, np.zeros_like(high), error)

    def _in_double_double(self, rows: Float64Array) -> ExactPrediction:
        num_targets, num_features = self._affine.weight.shape
        step = max(1, CHUNK // (num_targets * num_features))
        parts = [self._evaluate(rows[start : start + step]) for start in range(0, len(rows), step)]
        empty = np.zeros((0, num_targets))
        high = np.concatenate([empty, *(part.high for part in parts)])
        low = np.concatenate([empty, *(part.low for part in parts)])
        return ExactPrediction(high, low, self._double_double_error(rows))

    def _evaluate(self, rows: Float64Array) -> DoubleDouble:
        affine = self._affine
        inputs = dd.exact(rows)
        if affine.mean is not None and affine.scale is not None:
            centered = dd.two_sum(rows, np.broadcast_to(-affine.mean, rows.shape))
            inputs = dd.multiply(centered, dd.exact(np.broadcast_to(affine.scale, rows.shape)))
        inputs, weight = _nonzero_terms(inputs, affine.weight)
        terms = dd.multiply(
            DoubleDouble(inputs.high[:, None, :], inputs.low[:, None, :]), dd.exact(weight)
        )
        return dd.add(dd.total(terms), dd.exact(np.broadcast_to(affine.bias, terms.high.shape[:2])))

    def _double_double_error(self, rows: Float64Array) -> Float64Array:
        """Two products at 7 u**2 each and a tree of sums at 3 u**2 a level; 2 for second order."""
        affine = self._affine
        num_features = affine.weight.shape[1]
        relative = (3 * math.ceil(math.log2(num_features + 1)) + 16) * FLOAT64.unit_roundoff**2
        # One rounding's float64 bound is u times the magnitude, and holds the underflow terms.
        return (
            rounding_error_bound(rows, affine, precision=FLOAT64, num_roundings=1)
            * (relative / FLOAT64.unit_roundoff)
            + (num_features + np.abs(affine.weight).sum(axis=1)) * FLOAT64.half_smallest_subnormal
        )


def _nonzero_terms(inputs: DoubleDouble, weight: Float64Array) -> tuple[DoubleDouble, Float64Array]:
    """Drop the columns that are zero in each row, where that saves most of the work.

    Returns:
        The inputs (N, M) and for each row its weights, (N, K, M) or, nothing dropped, (1, K, D).
    """
    used = (inputs.high != 0) | (inputs.low != 0)
    most = int(used.sum(axis=1).max(initial=0))
    if most > inputs.high.shape[1] // 4:
        return inputs, weight[None]
    columns = np.argsort(~used, axis=1, kind="stable")[:, :most]
    kept = DoubleDouble(*(np.take_along_axis(part, columns, axis=1) for part in inputs))
    return kept, np.moveaxis(weight[:, columns], 0, 1)
