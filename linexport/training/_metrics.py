"""How well a fit predicts: RMSE, MAE and R2 per target, in target units."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.errors import DataError
from linexport.fit import FitStatistics, Metrics
from linexport.model import LinearModel
from linexport.numerics import affine_of
from linexport.rows import ONE, Ranks, Rows

__all__ = ["evaluate", "metrics_of"]

CHUNK_ROWS = 65_536
"""Rows predicted at a time: keeps the standardized copy of a long batch small."""


def evaluate(model: LinearModel, rows: Rows, ranks: Ranks = ONE) -> dict[str, Metrics]:
    """Return the metrics of a float64 fit on the rows of all ranks, by target name.

    R2 is 1 - SSE / SST, with SST around the mean of these rows' own target; None where the target
    does not vary. The rows are read twice: around the mean the squares lose no digits.

    Raises:
        DataError: If there are no rows.
    """
    affine = affine_of(model)
    count, mean, varies = _target_means(rows, ranks)
    squared, absolute, total = (np.zeros(model.num_targets) for _ in range(3))
    for features, targets in _chunks(rows):
        errors = affine.evaluate(features) - targets
        squared += (errors**2).sum(axis=0)
        absolute += np.abs(errors).sum(axis=0)
        total += ((targets - mean) ** 2).sum(axis=0)
    squared, absolute, total = ranks.gather(np.stack([squared, absolute, total])).sum(axis=0)
    return {
        name: Metrics(
            rows=count,
            rmse=float(np.sqrt(squared[k] / count)),
            mae=float(absolute[k] / count),
            r2=float(1 - squared[k] / total[k]) if varies[k] else None,
        )
        for k, name in enumerate(model.target_names)
    }


def metrics_of(statistics: FitStatistics | None) -> dict[str, Metrics]:
    """Return what a least-squares fit tells of its training rows without reading them again."""
    if statistics is None:
        return {}
    return {
        name: Metrics(
            rows=statistics.rows,
            rmse=math.sqrt(target.residual_sum_of_squares / statistics.rows),
            mae=None,
            r2=target.r2,
        )
        for name, target in statistics.targets.items()
    }


def _target_means(rows: Rows, ranks: Ranks) -> tuple[int, Float64Array, NDArray[np.bool_]]:
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
    own = [np.array([count]), np.zeros(num_targets) if origin is None else origin, total, varies]
    stacked = ranks.gather(np.concatenate(own))
    stacked = stacked[stacked[:, 0] > 0]
    if not len(stacked):
        raise DataError("There are no rows to evaluate on.", source=rows.source)
    counts = stacked[:, :1]
    origins, totals, varied = np.split(stacked[:, 1:], 3, axis=1)
    first = origins[0]
    all_rows = int(counts.sum())
    mean = first + (totals + counts * (origins - first)).sum(axis=0) / all_rows
    return all_rows, mean, np.asarray((varied != 0).any(axis=0) | (origins != first).any(axis=0))


def _chunks(rows: Rows) -> Iterator[tuple[Float64Array, Float64Array]]:
    for features, targets, *_ in rows.batches():
        for start in range(0, len(features), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            yield (
                features[part].astype(np.float64, copy=False),
                targets[part].astype(np.float64, copy=False),
            )
