"""The exact reference: what the model's numbers mean, far beyond any runtime's precision.

A float32 model is evaluated in float64, where products of its numbers are exact; a float64 model in
double-double. Either way the result comes with a bound on its own error.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array, FloatArray
from linexport.formats import as_features
from linexport.model import LinearModel
from linexport.numerics import (
    FLOAT32,
    FLOAT64,
    Affine,
    DoubleDouble,
    affine_of,
    precision_of,
    rounding_error_bound,
)
from linexport.numerics import double_double as dd
from linexport.parity._protocols import ExactPrediction

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
        high = self._affine.evaluate(rows)
        error = rounding_error_bound(rows, self._affine, precision=FLOAT64)
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
        weight, mean = self._affine.weight[None], self._affine.mean
        columns = _used_columns(rows != (0.0 if mean is None else mean))
        if columns is not None:
            rows = np.take_along_axis(rows, columns, axis=1)
            weight = np.moveaxis(self._affine.weight[:, columns], 0, 1)
        inputs = dd.exact(rows)
        if mean is not None:
            inputs = dd.two_sum(rows, -mean if columns is None else -mean[columns])
        terms = dd.multiply(
            DoubleDouble(inputs.high[:, None, :], inputs.low[:, None, :]), dd.exact(weight)
        )
        bias = np.broadcast_to(self._affine.bias, terms.high.shape[:2])
        return dd.add(dd.total(terms), dd.exact(bias))

    def _double_double_error(self, rows: Float64Array) -> Float64Array:
        """Bound what double-double leaves: docs/bounds.md, "The reference's own error"."""
        num_features = self.model.num_features
        # A tree of sums and the bias at 3 u**2 each, a product at 7 u**2; 2 for second order.
        num_sums = (num_features - 1).bit_length() + 1
        relative = (3 * num_sums + 9) * FLOAT64.unit_roundoff
        # One rounding's float64 bound is u times the magnitude.
        magnitude = rounding_error_bound(rows, self._affine, precision=FLOAT64, num_roundings=1)
        # A product whose low part underflows is off by up to 2.5 * 2**-1074.
        underflow = 3 * FLOAT64.half_smallest_subnormal
        return np.asarray(magnitude * relative + num_features * underflow)


def _used_columns(used: NDArray[np.bool_]) -> NDArray[np.int64] | None:
    """Return the columns that matter in each row, (N, M), where that saves most of the work.

    Rows with fewer than M of them are filled up with columns that do not matter.
    """
    most = int(used.sum(axis=1).max(initial=0))
    if most > used.shape[1] // 4:
        return None
    return np.argsort(~used, axis=1, kind="stable")[:, :most]
