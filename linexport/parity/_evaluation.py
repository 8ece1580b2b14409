"""Predictions in double-double, and what of wide rows need not be looked at for them.

Of one-hot rows most features are idle, and rows of ten thousand take long to look at.

N rows, D features, K targets.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.numerics import (
    FLOAT32,
    FLOAT64,
    Affine,
    DoubleDouble,
    Idle,
    double_double as dd,
    rounding_error_bound,
)

__all__ = ["ExactPrediction", "in_double_double", "in_pieces", "without_idle", "without_zeros"]

CHUNK = 2**18
"""Products at once, of 2 MB in float64: some ten arrays of so many are held."""


class ExactPrediction(NamedTuple):
    """The true predictions, high + low, known to within error; each (N, K), target units."""

    high: Float64Array
    low: Float64Array
    error: Float64Array


def in_pieces(
    evaluate: Callable[[NDArray[Any]], Sequence[NDArray[Any]]],
    features: NDArray[Any],
    affine: Affine,
) -> Iterator[NDArray[Any]]:
    """Evaluate (N, D) a piece of its rows at a time; yield each result of all of them, (N, K)."""
    step = max(1, CHUNK // affine.weight.size)
    starts = range(0, max(len(features), 1), step)
    pieces = [evaluate(features[start : start + step]) for start in starts]
    yield from map(np.concatenate, zip(*pieces, strict=True))


def in_double_double(rows: Float64Array, affine: Affine) -> ExactPrediction:
    """Evaluate (N, D) -> (N, K)."""
    total = _added_up(rows, affine)
    return ExactPrediction(total.high, total.low, _error(rows, affine))


def without_zeros(features: NDArray[Any], affine: Affine) -> tuple[NDArray[Any], Affine]:
    """Leave out the features that are 0, or at their mean, in every one of some rows (N, D).

    A mean that is subnormal in float32 stays: features that are may be flushed where it is not.
    """
    used = np.asarray(features.any(axis=0))
    if affine.mean is not None:
        used = np.asarray((features != affine.mean).any(axis=0))
        used |= (np.abs(affine.mean) < FLOAT32.smallest_normal) & (affine.mean != 0)
    return _reduced(features, affine, used) if _pays(used) else (features, affine)


def without_idle(features: NDArray[Any], affine: Affine) -> tuple[NDArray[Any], Affine]:
    """Leave out the features that are alike in every one of some rows (N, D), and sum them once."""
    first = features[:1]
    used = np.asarray((features != first).any(axis=0))
    if len(features) < 2 or not _pays(used):
        return features, affine
    # What might overflow stays: of that the bounds have something to say, number by number.
    used |= ~(np.abs(affine.differences(first)[0]) <= FLOAT32.largest / 4)
    kept, rest = _reduced(features, affine, used)
    row, idle = _reduced(first.astype(np.float64), affine, ~used)
    total = _terms_added_up(row, idle)
    magnitude = np.abs(idle.differences(row)) @ np.abs(idle.weight).T
    of_idle = Idle(DoubleDouble(total.high[0], total.low[0]), magnitude[0])
    return kept, replace(rest, idle=of_idle)


def _pays(used: NDArray[np.bool_]) -> bool:
    """Tell whether to leave out the others saves more than it costs; one feature is kept."""
    used[:1] = True
    return int(np.count_nonzero(used)) <= used.size // 2


def _reduced(
    features: NDArray[Any], affine: Affine, used: NDArray[np.bool_]
) -> tuple[NDArray[Any], Affine]:
    num_idle = affine.num_idle + used.size - int(np.count_nonzero(used))
    mean = None if affine.mean is None else affine.mean[used]
    return features[:, used], replace(
        affine, weight=affine.weight[:, used], mean=mean, num_idle=num_idle
    )


def _added_up(rows: Float64Array, affine: Affine) -> DoubleDouble:
    total = _terms_added_up(rows, affine)
    if affine.idle is not None:
        shape = total.high.shape
        total = dd.add(
            total, DoubleDouble(*(np.broadcast_to(part, shape) for part in affine.idle.total))
        )
    return dd.add(total, dd.exact(np.broadcast_to(affine.bias, total.high.shape)))


def _terms_added_up(rows: Float64Array, affine: Affine) -> DoubleDouble:
    weight, mean = affine.weight[None], affine.mean
    columns = _used_columns(rows != (0.0 if mean is None else mean))
    if columns is not None:
        rows = np.take_along_axis(rows, columns, axis=1)
        weight = np.moveaxis(affine.weight[:, columns], 0, 1)
    inputs = dd.exact(rows)
    if mean is not None:
        inputs = dd.two_sum(rows, -mean if columns is None else -mean[columns])
    return dd.total(
        dd.multiply(DoubleDouble(inputs.high[:, None, :], inputs.low[:, None, :]), dd.exact(weight))
    )


def _error(rows: Float64Array, affine: Affine) -> Float64Array:
    """Bound what double-double leaves: docs/bounds.md, "The reference's own error"."""
    # A tree of sums, what is idle and the bias at 3 u**2 each, a product at 7; 2 for second order.
    num_sums = (affine.num_features - 1).bit_length() + (1 if affine.idle is None else 2)
    relative = (3 * num_sums + 9) * FLOAT64.unit_roundoff
    # One rounding's float64 bound is u times the magnitude.
    magnitude = rounding_error_bound(rows, affine, precision=FLOAT64, num_roundings=1)
    # A product whose low part underflows is off by up to 2.5 * 2**-1074.
    underflow = 3 * FLOAT64.half_smallest_subnormal
    return np.asarray(magnitude * relative + affine.num_features * underflow)


def _used_columns(used: NDArray[np.bool_]) -> NDArray[np.int64] | None:
    """Return the columns that matter in each row, (N, M), where that saves most of the work.

    Rows with fewer than M of them are filled up with columns that do not matter.
    """
    most = int(used.sum(axis=1).max(initial=0))
    if most > used.shape[1] // 4:
        return None
    return np.argsort(~used, axis=1, kind="stable")[:, :most]
