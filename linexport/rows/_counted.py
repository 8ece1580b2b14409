"""What the rows that are fitted hold of features: levels, and what stands for missing numbers.

n rows, D features. Rows that are left out, or of weight 0, decide nothing.
"""

import math
from collections.abc import Iterable, Mapping

import numpy as np

from linexport._arrays import Float64Array
from linexport._asked import asked
from linexport.encoding import CategoryColumn, Encoding, NumberColumn
from linexport.errors import DataError

__all__ = ["Counted"]


class Counted:
    """A pass over rows whose levels each have a feature, and whose missing numbers a mark of 1."""

    def __init__(
        self, draft: Encoding, fills: Mapping[str, str], batches: Iterable[tuple[Float64Array, ...]]
    ) -> None:
        """Look at all rows.

        Args:
            draft: What made the features.
            fills: What is to fill each of the numbers that has a mark: mean, median or zero.
            batches: Features (n, D), targets, and weights (n,) if there are any.
        """
        self._fills = fills
        self._ones = np.zeros(len(draft.features), np.int64)
        """Rows in which each feature is not 0."""
        self._place_of = {name: place for place, name in enumerate(draft.features)}
        self._places = {
            column.name: self._place_of[column.name]
            for column in draft.columns
            if isinstance(column, NumberColumn) and column.indicator
        }
        self._numbers: dict[str, list[tuple[Float64Array, Float64Array]]] = {
            name: [] for name in self._places
        }
        """Of a median all values and their weights; of a mean the sums of both, batch by batch."""
        for batch in batches:
            self._add(*batch)

    def levels(self, column: CategoryColumn) -> tuple[dict[str, int], bool]:
        """Return the rows of each level that has any, and whether any row lacks a value."""
        start = self._place_of[column.features[0]]
        rows = self._ones[start : start + len(column.features)].tolist()
        counts = dict(zip(column.levels, rows, strict=False))
        return {level: n for level, n in counts.items() if n}, sum(rows[len(counts) :]) > 0

    def lacks(self, name: str) -> bool:
        """Return whether any row lacks a number that is filled in."""
        return name in self._places and bool(self._ones[self._places[name] + 1])

    def fill(self, name: str, source: str) -> float:
        """Return what stands for a missing number, rounded to float64.

        Raises:
            DataError: If there is none, or the mean is beyond float64.
        """
        what = self._fills[name]
        if what == "zero":
            return 0.0
        parts = self._numbers[name]
        found = _median(parts) if what == "median" else _mean(parts)
        if not math.isfinite(found):
            raise DataError(
                f"It has no finite {what} to fill with; leave it out with {asked(exclude=[name])}.",
                source=source,
                column=name,
            )
        return found

    def _add(
        self, features: Float64Array, _: Float64Array, weights: Float64Array | None = None
    ) -> None:
        if weights is not None:
            features, weights = features[weights > 0], weights[weights > 0]
        self._ones += np.count_nonzero(features, axis=0)
        for name, place in self._places.items():
            is_there = features[:, place + 1] == 0
            values = features[is_there, place]
            counts = np.broadcast_to(1.0, values.shape) if weights is None else weights[is_there]
            if self._fills[name] == "median":
                self._numbers[name].append((values, counts))
            elif self._fills[name] == "mean":
                with np.errstate(over="ignore", invalid="ignore"):
                    sums = np.sum(values * counts, keepdims=True)
                self._numbers[name].append((sums, np.sum(counts, keepdims=True)))


def _joined(parts: list[tuple[Float64Array, Float64Array]]) -> tuple[Float64Array, Float64Array]:
    values, weights = zip(*parts, strict=True) if parts else ([np.empty(0)], [np.empty(0)])
    return np.concatenate(values), np.concatenate(weights)


def _mean(parts: list[tuple[Float64Array, Float64Array]]) -> float:
    sums, weights = _joined(parts)
    whole = math.fsum(weights)
    return math.fsum(sums) / whole if whole and np.isfinite(sums).all() else math.nan


def _median(parts: list[tuple[Float64Array, Float64Array]]) -> float:
    """Return the value with half of the weight on either side, or the middle of two such."""
    values, weights = _joined(parts)
    if not len(values):
        return math.nan
    order = np.argsort(values)
    up_to = np.cumsum(weights[order])
    ends = [np.searchsorted(up_to, up_to[-1] / 2, side=side) for side in ("left", "right")]
    low, high = values[order][np.minimum(ends, len(values) - 1)]
    return float(low + (high - low) / 2)
