"""How well a fit predicts: RMSE, MAE and R2 per target, in target units."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.data.dataset import Rows
from linexport.errors import DataError
from linexport.forms import affine_of
from linexport.manifest import Metrics
from linexport.model import LinearModel

__all__ = ["evaluate", "predict"]

CHUNK_ROWS = 65_536
"""Rows predicted at a time: keeps the standardized copy of a long batch small."""


def predict(model: LinearModel, features: Float64Array) -> Float64Array:
    """Evaluate (N, D) -> (N, K) in float64, in target units."""
    affine = affine_of(model)
    if affine.mean is not None and affine.scale is not None:
        features = (features - affine.mean) * affine.scale
    return np.asarray(features @ affine.weight.T + affine.bias)


def evaluate(model: LinearModel, rows: Rows) -> dict[str, Metrics]:
    """Return the metrics of a float64 fit, by target name.

    R2 is 1 - SSE / SST, with SST around the mean of these rows' own target; None where the target
    does not vary. The rows are read twice: around the mean the squares lose no digits.

    Raises:
        DataError: If there are no rows.
    """
    count, mean, varies = _target_means(rows)
    squared, absolute, total = (np.zeros(model.num_targets) for _ in range(3))
    for features, targets in _chunks(rows):
        errors = predict(model, features) - targets
        squared += (errors**2).sum(axis=0)
        absolute += np.abs(errors).sum(axis=0)
        total += ((targets - mean) ** 2).sum(axis=0)
    return {
        name: Metrics(
            rows=count,
            rmse=float(np.sqrt(squared[k] / count)),
            mae=float(absolute[k] / count),
            r2=float(1 - squared[k] / total[k]) if varies[k] else None,
        )
        for k, name in enumerate(model.target_names)
    }


def _target_means(rows: Rows) -> tuple[int, Float64Array, NDArray[np.bool_]]:
    """Return the number of rows and, of shape (K,), the targets' means and whether they vary."""
    num_targets = len(rows.targets)
    count, total, varies = 0, np.zeros(num_targets), np.zeros(num_targets, dtype=bool)
    origin: Float64Array | None = None
    for _, targets in _chunks(rows):
        origin = targets[0] if origin is None else origin
        shifted = targets - origin
        count += len(targets)
        total += shifted.sum(axis=0)
        varies |= shifted.any(axis=0)
    if origin is None:
        raise DataError("There are no rows to evaluate on.", source=rows.source)
    return count, origin + total / count, varies


def _chunks(rows: Rows) -> Iterator[tuple[Float64Array, Float64Array]]:
    for features, targets in rows.batches():
        for start in range(0, len(features), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            yield features[part], targets[part]
