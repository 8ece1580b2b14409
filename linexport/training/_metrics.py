"""How well a fit predicts: every metric, for streams and rows in memory, with weights or without.

With weights w, 1 where there are none, y the targets of a part and f the predictions for it:

    RMSE    sqrt(sum w (y - f)**2 / sum w), whose square is the loss
    MAE     sum w |y - f| / sum w
    R**2    1 - sum w (y - f)**2 / sum w (y - m)**2, m the weighted mean of these y; 0 for a fit
            whose statistics are around 0, for lack of an intercept

docs/training.md compares them with those of other packages.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.errors import DataError
from linexport.fit import FitRecord, FitStatistics, Metrics
from linexport.model import LinearModel
from linexport.numerics import affine_of
from linexport.rows import ONE, Ranks, Rows

CHUNK_ROWS = 65_536
"""Rows predicted at a time: keeps the standardized copy of a long batch small."""


def evaluate(
    model: LinearModel, rows: Rows, ranks: Ranks = ONE, *, around_mean: bool = True
) -> dict[str, Metrics]:
    """Return the metrics of a float64 fit on the rows of all ranks, by target name.

    The rows are read twice: around the mean the squares lose no digits.

    Args:
        model: The fit.
        rows: This rank's.
        ranks: Who holds rows.
        around_mean: What R**2 compares with: the targets' mean, or 0.

    Raises:
        DataError: If no row counts.
    """
    affine = affine_of(model)
    seen = _targets(rows, ranks, around_mean=around_mean)
    squared, absolute, total = (np.zeros(model.num_targets) for _ in range(3))
    for features, targets, weights in _chunks(rows):
        errors = affine.evaluate(features) - targets
        squared += _summed(errors**2, weights)
        absolute += _summed(np.abs(errors), weights)
        total += _summed((targets - seen.centre) ** 2, weights)
    squared, absolute, total = ranks.gather(np.stack([squared, absolute, total])).sum(axis=0)
    return {
        name: Metrics(
            rows=seen.num_rows,
            rmse=float(np.sqrt(squared[k] / seen.weight_sum)),
            mae=float(absolute[k] / seen.weight_sum),
            r2=float(1 - squared[k] / total[k]) if seen.varies[k] else None,
        )
        for k, name in enumerate(model.target_names)
    }


def known_metrics(record: FitRecord, statistics: FitStatistics) -> dict[str, Metrics]:
    """Return what a least-squares fit tells of its training rows without reading them again."""
    return {
        name: Metrics(
            rows=statistics.rows,
            rmse=math.sqrt(record.optimum[name].loss),
            mae=None,
            r2=target.r2,
        )
        for name, target in statistics.targets.items()
    }


class _Targets(NamedTuple):
    """What is known of the targets of all ranks before they are predicted."""

    num_rows: int
    """As Metrics counts them."""
    weight_sum: float
    centre: Float64Array
    """What R**2 compares with, shape (K,)."""
    varies: NDArray[np.bool_]
    """Whether any target differs from it, shape (K,)."""


def _targets(rows: Rows, ranks: Ranks, *, around_mean: bool) -> _Targets:
    num_rows, weight_sum = 0, 0.0
    sums, varies = np.zeros(len(rows.targets)), np.zeros(len(rows.targets), dtype=bool)
    origin = None if around_mean else np.zeros(len(rows.targets))
    for _, targets, weights in _chunks(rows):
        origin = targets[0] if origin is None else origin
        shifted = targets - origin
        num_rows += len(targets)
        weight_sum += len(targets) if weights is None else float(weights.sum())
        sums += _summed(shifted, weights)
        varies |= shifted.any(axis=0)
    origin = np.zeros_like(sums) if origin is None else origin
    own = np.concatenate([[float(num_rows), weight_sum], origin, sums, varies])
    gathered = ranks.gather(own)
    gathered = gathered[gathered[:, 0] > 0]
    if not len(gathered):
        raise DataError("There are no rows to evaluate on.", source=rows.source)
    num_rows, weight_sum = int(gathered[:, 0].sum()), float(gathered[:, 1].sum())
    origins, all_sums, varied = np.split(gathered[:, 2:], 3, axis=1)
    first = origins[0]
    shifts = (all_sums + gathered[:, 1:2] * (origins - first)).sum(axis=0)
    weighting = rows.weighting
    counted = weighting is not None and weighting.kind == "frequency"
    return _Targets(
        num_rows=int(weight_sum) if counted else num_rows,
        weight_sum=weight_sum,
        centre=first + shifts / weight_sum if around_mean else first,
        varies=np.asarray((varied != 0).any(axis=0) | (origins != first).any(axis=0)),
    )


def _summed(values: Float64Array, weights: Float64Array | None) -> Float64Array:
    """Return the sums over rows of (n, K) values times weights (n,)."""
    return np.asarray(values.sum(axis=0) if weights is None else weights @ values)


def _chunks(rows: Rows) -> Iterator[tuple[Float64Array, Float64Array, Float64Array | None]]:
    """Yield features, targets and weights of the rows that count, if any are left."""
    for batch in rows.batches():
        for start in range(0, len(batch[0]), CHUNK_ROWS):
            part = [
                array[start : start + CHUNK_ROWS].astype(np.float64, copy=False) for array in batch
            ]
            if len(part) > 2:
                part = [array[part[2] > 0] for array in part]
            if len(part[0]):
                yield part[0], part[1], part[2] if len(part) > 2 else None
