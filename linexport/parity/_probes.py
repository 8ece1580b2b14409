"""The inputs that a runtime is asked about.

Chosen so that a fault shows: one-hot rows lay each weight bare, cancelling rows leave nothing but
errors, and every batch shape and kind of array that a caller may pass occurs. The products of
one-hot rows are exact, so the bound there is about half an ulp and a weight that is off by a single
ulp is outside it.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array, FloatArray
from linexport.model import LinearModel
from linexport.numerics import FLOAT64, Precision, precision_of

__all__ = ["Probe", "probes", "rows_of"]

MOST_NUMBERS = 2**21
"""In one batch, of features or of predictions: 16 MiB in float64; larger temporary arrays cost more
than they hold."""
MOST_OF_ONE_HOT = 2**18
"""In one batch of one-hot rows: they are as many as the features, and need not come together."""
MOST_TARGETS = 32
"""Targets whose far ends are asked for."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Probe:
    """One batch of inputs."""

    name: str
    features: NDArray[Any]
    """Shape (N, D); any dtype and memory order, its values exact in the model's dtype."""
    num_roundings: int | None = None
    """Roundings that can occur, where fewer than for a general row."""
    columns: Mapping[str, NDArray[Any]] | None = None
    """What makes these features: (N, 1) by name, for runtimes that take a table's columns."""

    @property
    def given(self) -> Any:
        """What a runtime is asked."""
        return self.features if self.columns is None else self.columns


def rows_of(numbers: int, model: LinearModel) -> int:
    """Return how many rows of a model have so many numbers, of features and of predictions each.

    Few of very wide ones would take many calls.
    """
    return max(64, numbers // max(model.num_features, model.num_targets))


def probes(model: LinearModel, *, num_rows: int, seed: int) -> Iterator[Probe]:
    """Yield every batch, in an order that depends on the seed alone.

    To be drawn under np.errstate(all="ignore"): logarithms of zero and sums beyond the range are
    part of it.
    """
    maker = _Maker(model, num_rows, seed)
    yield maker.subnormal()
    yield maker.no_rows()
    yield maker.bias_alone()
    yield from maker.one_hot()
    yield from maker.training_scale()
    yield from maker.corners()
    yield maker.far_ends()
    yield maker.extreme_scales()
    yield maker.mixed_scales()
    yield maker.cancelling()
    yield from maker.other_arrays()
    yield maker.non_finite()


class _Maker:
    """Draws the batches of one model."""

    def __init__(self, model: LinearModel, num_rows: int, seed: int) -> None:
        self.model = model
        self.precision: Precision = precision_of(model.dtype)
        # A wider sum has numbers that no input equals, so no row makes its products exact; nor is
        # that needed, as its roundings are far below the last one, of the result.
        self.has_exact_rows = model.accumulate == model.dtype
        self.random = np.random.default_rng(seed)
        self.large = min(num_rows, rows_of(MOST_NUMBERS, model))
        self.medium = min(64, self.large)
        self.weight = model.weight.astype(np.float64)
        self.bias = model.bias.astype(np.float64)
        self.centre = np.zeros(model.num_features)
        self.unit = np.ones(model.num_features)
        if model.mean is not None:
            self.centre = model.mean.astype(np.float64)
            self.unit = np.array([column.standard_deviation or 1.0 for column in model.features])

    def no_rows(self) -> Probe:
        return Probe(
            name="no rows", features=np.zeros((0, self.model.num_features), self.model.dtype)
        )

    def subnormal(self) -> Probe:
        """Where flushing shows: inputs, or their products with the weights, are subnormal."""
        tiny = self.random.uniform(-0.5, 0.5, (16, self.model.num_features))
        tiny *= self.precision.smallest_normal
        slope = np.abs(self.weight[np.arange(8) % self.model.num_targets])
        by_product = self.centre + np.where(slope > 0, tiny[8:] / slope, 0.0)
        return Probe(name="subnormal", features=self._round(np.vstack([tiny[:8], by_product])))

    def bias_alone(self) -> Probe:
        """The row at which every product is zero, so that only the bias is left."""
        num_roundings = 1 if self.has_exact_rows else None
        features = self._round(self.centre[None])
        return Probe(name="bias alone", features=features, num_roundings=num_roundings)

    def one_hot(self) -> Iterator[Probe]:
        """One feature away from zero (from the mean) by a power of two."""
        step = 2.0 ** self._one_hot_exponents() * self.random.choice([-1.0, 1.0], len(self.centre))
        values, centre = self._round(self.centre + step), self._round(self.centre)
        # Zeros and powers of two are exact, and the sum with the bias rounds once. Where overflow
        # does not let the mean be drowned, the difference and the product round, too.
        exact = np.abs(values - centre) == np.abs(step)
        most_rows = rows_of(MOST_OF_ONE_HOT, self.model)
        for num_roundings, kind in ((1, exact), (3, ~exact)):
            columns = np.flatnonzero(kind)
            for start in range(0, len(columns), most_rows):
                chosen = columns[start : start + most_rows]
                rows = np.tile(centre, (len(chosen), 1))
                rows[np.arange(len(chosen)), chosen] = values[chosen]
                most = num_roundings if self.has_exact_rows else None
                yield Probe(name="one-hot", features=rows, num_roundings=most)

    def training_scale(self) -> Iterator[Probe]:
        rows = self._typical(self.large)
        yield Probe(name="training scale", features=rows)
        yield Probe(name="one row", features=rows[:1])
        yield Probe(name="seven rows", features=rows[:7])

    def corners(self) -> Iterator[Probe]:
        """Ends of the training ranges, where the worst-case bound is reached."""
        ranges = [(column.minimum, column.maximum) for column in self.model.features]
        if any(low is None or high is None for low, high in ranges):
            return
        lower, upper = np.array(ranges, dtype=np.float64).T
        choice = self.random.random((self.medium, len(lower))) < 0.5
        yield Probe(name="range corners", features=self._round(np.where(choice, lower, upper)))

    def far_ends(self) -> Probe:
        """The steepest feature of each target, as far either way as nothing overflows."""
        slope = np.abs(self.weight[:MOST_TARGETS])
        targets, columns = np.arange(len(slope)), slope.argmax(axis=1)
        largest_factor = np.maximum(slope[targets, columns], 1.0)
        step = 2.0 ** np.floor(math.log2(self.precision.largest) - 3 - np.log2(largest_factor))
        rows = np.tile(self.centre, (2 * len(slope), 1))
        rows[2 * targets, columns] += step
        rows[2 * targets + 1, columns] -= step
        return Probe(name="far ends", features=self._round(rows))

    def extreme_scales(self) -> Probe:
        """Whole rows scaled by powers of two, as far as nothing can overflow."""
        lowest, highest = self._safe_exponents()
        exponents = self.random.integers(lowest, highest, size=(self.medium, 1), endpoint=True)
        return Probe(name="extreme scales", features=self._away(self._normal(), exponents))

    def mixed_scales(self) -> Probe:
        """Each number scaled on its own, over twice the significand's width."""
        lowest, highest = self._safe_exponents()
        width = 2 * self.precision.digits
        exponents = self.random.integers(
            max(lowest, -width // 2), min(highest, width // 2), endpoint=True,
            size=(self.medium, self.model.num_features),
        )  # fmt: skip
        return Probe(name="mixed scales", features=self._away(self._normal(), exponents))

    def cancelling(self) -> Probe:
        """Rows whose prediction is nearly zero while its terms are not."""
        rows = self._typical(self.medium).astype(np.float64)
        target = np.arange(len(rows)) % self.model.num_targets
        slope = self.weight[target]
        column = np.abs(slope).argmax(axis=1)
        steepest = slope[np.arange(len(rows)), column]
        prediction = ((rows - self.centre) * slope).sum(axis=1) + self.bias[target]
        moved = rows[np.arange(len(rows)), column] - prediction / steepest
        usable = np.isfinite(moved) & (np.abs(moved) < self.precision.largest / 2)
        rows[np.flatnonzero(usable), column[usable]] = moved[usable]
        return Probe(name="cancelling", features=self._round(rows))

    def other_arrays(self) -> Iterator[Probe]:
        """What callers pass besides contiguous rows of the artifact's dtype."""
        rows = self._typical(self.medium)
        yield Probe(name="column-major", features=np.asfortranarray(rows))
        yield Probe(name="every second row", features=np.repeat(rows, 2, axis=0)[::2])
        yield Probe(name="reversed columns", features=np.ascontiguousarray(rows[:, ::-1])[:, ::-1])
        yield Probe(name="float64", features=rows.astype(np.float64))
        whole = self.random.integers(-1000, 1000, rows.shape)
        yield Probe(name="int64", features=whole)

    def non_finite(self) -> Probe:
        """NaN and infinity between ordinary rows, which they must leave alone."""
        rows = self._typical(12)
        used = np.flatnonzero(self.weight.any(axis=0))
        if len(used):
            rows[(1, 7), self.random.choice(used, 2)] = np.nan
        plain = self._never_flushed()
        if len(plain):
            columns = self.random.choice(plain, 4)
            rows[(3, 5, 9, 9), columns] = np.inf, -np.inf, np.inf, -np.inf
        rows[11] = np.nan
        return Probe(name="NaN and infinity", features=rows)

    def _never_flushed(self) -> NDArray[np.int64]:
        """Features at which infinity gives the same, whether or not subnormals are flushed."""
        factors = np.abs(self.weight)
        usual = (factors == 0) | (factors >= self.precision.smallest_normal)
        return np.flatnonzero(usual.all(axis=0))

    def _normal(self) -> Float64Array:
        return self.random.standard_normal((self.medium, self.model.num_features))

    def _typical(self, num_rows: int) -> FloatArray:
        """Rows as the training data had them, normally distributed."""
        centre, spread = self.centre.copy(), self.unit.copy()
        for index, column in enumerate(self.model.features):
            if column.mean is not None and column.standard_deviation:
                centre[index], spread[index] = column.mean, column.standard_deviation
        rows = self.random.standard_normal((num_rows, len(centre)))
        rows *= spread
        rows += centre
        return self._round(rows)

    def _away(self, normal: Float64Array, exponents: NDArray[np.int64]) -> FloatArray:
        """Rows at powers of two from zero, or of deviations from the mean."""
        return self._round(self.centre + np.ldexp(normal, exponents) * self.unit)

    def _one_hot_exponents(self) -> NDArray[np.float64]:
        """For each feature the power of two that drowns the bias: a weight's last bit shows.

        Needed: 2**k |w| >= 2**(digits + 3) |b| for every target with a weight; the last bit of a
        product not near what may be flushed to zero; 2**k >= 2**(digits + 3) |mean|, so that the
        difference from the mean is a power of two, too. Allowed: nothing overflows.
        """
        digits = self.precision.digits
        slope = np.abs(self.weight)
        flushed = self.precision.smallest_normal * 2.0 ** (digits + 3)
        bias = np.abs(self.bias)[:, None] * 2.0 ** (digits + 3)
        floor = np.log2(np.maximum(bias, flushed * len(self.centre)))
        needed = np.where(slope > 0, floor - np.log2(slope), 0.0).max(axis=0)
        needed = np.maximum(needed, np.log2(np.abs(self.centre)) + digits + 3)
        room = math.log2(self.precision.largest) - 3
        allowed = room - np.log2(np.maximum(slope.max(axis=0), 1.0))
        return np.asarray(np.floor(np.minimum(np.maximum(np.ceil(needed), 0.0), allowed)))

    def _safe_exponents(self) -> tuple[int, int]:
        """The range of row scales at which neither inputs nor predictions overflow."""
        size = (np.abs(self.weight) * np.maximum(self.unit, 1.0)).sum(axis=1).max()
        size = min(max(size, self.unit.max(), 1.0), FLOAT64.largest)
        highest = math.floor(math.log2(self.precision.largest) - math.log2(size) - 5)
        return math.ceil(math.log2(self.precision.smallest_normal)) // 2, max(highest, 0)

    def _round(self, values: Float64Array) -> FloatArray:
        limit = np.asarray(self.precision.largest, self.model.dtype)
        rounded = values.astype(self.model.dtype)
        return np.clip(rounded, -limit, limit, out=rounded)
