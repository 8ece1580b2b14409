"""The exact function that a model was made from, in double-double."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from linexport._arrays import Float64Array
from linexport.model import LinearModel
from linexport.numerics import double_double as dd
from linexport.numerics._bounds import Affine, Precision
from linexport.numerics._forms import affine_of
from linexport.numerics._own_steps import lacks
from linexport.numerics.double_double import DoubleDouble

__all__ = ["ExactMap"]

CHUNK = 2**20
"""Products held at once: a few tens of megabytes."""
SAME = 2.0**-90
"""Part of a number by which two maps may differ and be one: of 106 bits, what composing rounds."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ExactMap:
    """The function weight (x - mean) + bias; D features, K targets."""

    weight: DoubleDouble
    """Shape (K, D), target units per feature unit."""
    bias: DoubleDouble
    """Shape (K,), target units."""
    mean: Float64Array | None = None
    """Shape (D,), feature units; None where nothing is subtracted."""

    @classmethod
    def of(cls, model: LinearModel) -> "ExactMap":
        """Take a model's numbers as they are."""
        wide = affine_of(model)
        return cls(weight=dd.exact(wide.weight), bias=dd.exact(wide.bias), mean=wide.mean)

    @property
    def affine(self) -> Affine:
        """The map, rounded to float64."""
        return Affine(weight=self.weight.high, bias=self.bias.high, mean=self.mean)

    def model(self, like: LinearModel) -> LinearModel:
        """Return the map, rounded to float64, under the columns of a model."""
        wide = self.affine
        return LinearModel(
            weight=wide.weight, bias=wide.bias, mean=wide.mean,
            features=like.features, targets=like.targets,
        )  # fmt: skip

    @property
    def is_float64(self) -> bool:
        """Whether float64 holds it."""
        return not (np.any(self.weight.low) or np.any(self.bias.low))

    def fits(self, precision: Precision) -> bool:
        """Whether a precision has each of its numbers."""
        parts = (self.weight.high, self.bias.high, *(() if self.mean is None else (self.mean,)))
        return self.is_float64 and not any(lacks(part, precision).any() for part in parts)

    def cancels(self, size: Float64Array) -> bool:
        """Whether a weight is less than the products, (K, D), that it is said to be the sum of.

        Float64 rounds these fewer than 2**28 times.
        """
        return bool(np.any(size > np.abs(self.weight.high) * (1 + 2.0**-24)))

    def evaluate(self, features: Float64Array) -> DoubleDouble:
        """Evaluate (N, D) -> (N, K) in double-double."""
        step = max(1, CHUNK // self.weight.high.size)
        starts = range(0, max(len(features), 1), step)
        parts = [self._evaluated(features[start : start + step]) for start in starts]
        return dd.behind(parts)

    def same_as(self, other: "ExactMap") -> bool:
        """Tell whether both are one function, to 90 bits."""
        return not any(True for _ in self.differences(other))

    def differences(
        self,
        other: "ExactMap",
        *,
        weights: Float64Array | float = 0.0,
        terms: Float64Array | float = 0.0,
    ) -> Iterator[tuple[int, int]]:
        """Yield each place (target, feature) at which the maps differ by more than is allowed.

        Args:
            other: The map to compare with.
            weights: How far each weight may be off besides, shape (K, D) or ().
            terms: The same of the predictions where every feature is 0, shape (K,) or (); that is
                feature -1.
        """
        apart = dd.subtract(self.weight, other.weight).high
        size = np.maximum(np.abs(self.weight.high), np.abs(other.weight.high))
        for target, feature in np.argwhere(np.abs(apart) > SAME * size + weights):
            yield int(target), int(feature)
        (ours, size), (theirs, other_size) = self.at_zero(), other.at_zero()
        allowed = SAME * np.maximum(size, other_size) + terms
        for target in np.flatnonzero(np.abs(dd.subtract(ours, theirs).high) > allowed):
            yield int(target), -1

    def _evaluated(self, features: Float64Array) -> DoubleDouble:
        mean = np.zeros(features.shape[1]) if self.mean is None else self.mean
        inputs = dd.two_sum(features, np.broadcast_to(-mean, features.shape))
        rows = DoubleDouble(inputs.high[:, None, :], inputs.low[:, None, :])
        terms = dd.multiply(rows, DoubleDouble(self.weight.high[None], self.weight.low[None]))
        total = dd.total(terms)
        return dd.add(total, dd.spread(self.bias, total.high.shape))

    def at_zero(self) -> tuple[DoubleDouble, Float64Array]:
        """Return the predictions where every feature is 0, and the size of their terms."""
        width = self.weight.high.shape[1]
        bias = self._evaluated(np.zeros((1, width)))
        mean = np.zeros(width) if self.mean is None else self.mean
        size = np.abs(self.weight.high) @ np.abs(mean) + np.abs(self.bias.high)
        return DoubleDouble(bias.high[0], bias.low[0]), size
