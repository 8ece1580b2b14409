"""Worst-case rounding error of a chain of operations, each as a foreign graph states it.

Rows of C values go from step to step. Of what a runtime computed for an exact value v is known

    |computed - v| <= relative * magnitude + absolute        magnitude >= |v|

Each step makes of this what its own operations can add; docs/bounds.md, "A graph's own form",
derives how. Numbers of the chain are taken as exact, or as rounded to the precision once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.numerics._bounds import FLOAT64, Precision, gamma, half_ulp

__all__ = [
    "Cast",
    "Columns",
    "Normalize",
    "OwnForm",
    "Plus",
    "Running",
    "Steps",
    "Through",
    "Times",
]

Numbers: TypeAlias = Literal["exact", "rounded where needed", "rounded"]
"""Whether a number of the chain is the runtime's own, is rounded where the precision does not have
it, or may have been rounded already."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Running:
    """What is known after some steps; N rows, C values."""

    value: Float64Array
    """Shape (N, C): exact, but for float64's rounding."""
    magnitude: Float64Array
    """Shape (N, C); infinity where something may overflow."""
    relative: Float64Array
    """Shape (N, 1)."""
    absolute: Float64Array
    """Shape (N, C)."""
    precision: Precision
    numbers: Numbers
    flushes: bool
    """Whether subnormal operands and results may count as zero."""

    @property
    def error(self) -> Float64Array:
        """Shape (N, C): how far computed values may be off."""
        return np.asarray(self.relative * self.magnitude + self.absolute)

    @property
    def underflow(self) -> float:
        """What one product loses at most where it underflows."""
        p = self.precision
        return p.smallest_normal if self.flushes else p.half_smallest_subnormal

    def lost(self, numbers: Float64Array) -> Float64Array:
        """Bound how far numbers of the chain are from what a runtime has for them."""
        size, one = np.abs(numbers), gamma(1, unit_roundoff=self.precision.unit_roundoff)
        changed = np.full(size.shape, self.numbers == "rounded")
        if self.numbers == "rounded where needed":
            changed = lacks(numbers, self.precision)
        lost = np.where(changed, one * size + self.precision.half_smallest_subnormal, 0.0)
        if self.flushes:
            lost = np.where(size < self.precision.smallest_normal, size, lost)
        return np.asarray(lost)

    def rounded(self, num_roundings: int | NDArray[np.int64]) -> Float64Array:
        """Return the relative part after so many roundings more, for each row or for all."""
        product = num_roundings * self.precision.unit_roundoff
        more = np.where(product < 1, product / (1 - product), np.inf)
        return np.asarray(self.relative + more + self.relative * more)

    def then(
        self,
        value: Float64Array,
        magnitude: Float64Array,
        relative: Float64Array,
        absolute: Float64Array,
    ) -> "Running":
        """Return what is known after a step; nothing where it may overflow."""
        fits = magnitude <= self.precision.largest / 4
        return replace(
            self,
            value=value,
            magnitude=np.where(fits, magnitude, np.inf),
            relative=relative,
            absolute=absolute,
        )


def lacks(numbers: Float64Array, precision: Precision) -> NDArray[np.bool_]:
    """Tell which numbers a precision does not have."""
    if precision is FLOAT64:
        return np.zeros(numbers.shape, np.bool_)
    spacing = 2 * half_ulp(numbers, precision=precision)
    return np.asarray(np.remainder(numbers, spacing) != 0)


class Step(Protocol):
    """One operation on every row."""

    def __call__(self, running: Running) -> Running:
        """Return what is known after it."""
        ...


Steps: TypeAlias = tuple[Step, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Take some values: the first step takes columns of the input."""

    places: NDArray[np.int64]

    def __call__(self, running: Running) -> Running:
        """Return what is known of these alone."""
        value, size, lost = (
            part[:, self.places] for part in (running.value, running.magnitude, running.absolute)
        )
        return replace(running, value=value, magnitude=size, absolute=lost)


@dataclass(frozen=True, slots=True, eq=False)
class Plus:
    """Add a number to each value."""

    term: Float64Array
    """Shape (C,) or ()."""

    def __call__(self, running: Running) -> Running:
        """One rounding; where the values are exact but for an absolute error, of the sum itself."""
        value, u = running.value + self.term, running.precision.unit_roundoff
        first = running.relative == 0
        magnitude = np.where(first, np.abs(value), running.magnitude + np.abs(self.term))
        flushed = running.precision.smallest_normal * running.flushes * (value != 0)
        lost = (running.absolute + running.lost(self.term)) * (1 + u) + flushed
        return running.then(value, magnitude, running.rounded(1), lost)


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """Multiply each value by a number."""

    factor: Float64Array
    """Shape (C,) or ()."""
    num_roundings: int = 1
    """2 where it may be multiplied by a rounded reciprocal."""

    def __call__(self, running: Running) -> Running:
        """One rounding, or none where the factor only moves the exponent."""
        size = np.abs(self.factor)
        count = 0 if np.all((np.frexp(size)[0] == 0.5) | (size == 0)) else self.num_roundings
        reach = (1 + running.relative) * running.magnitude + running.absolute
        lost = running.absolute * size + reach * running.lost(self.factor)
        lost = lost * (1 + 2 * running.precision.unit_roundoff) + running.underflow * (reach > 0)
        return running.then(
            running.value * self.factor, running.magnitude * size, running.rounded(count), lost
        )


@dataclass(frozen=True, slots=True, eq=False)
class Through:
    """Combine the values; sums with zeros are exact."""

    weight: Float64Array
    """Shape (K, C)."""

    def __call__(self, running: Running) -> Running:
        """As many roundings as there are products that are not zero."""
        size = np.abs(self.weight).T
        used = (running.magnitude > 0) | (running.absolute > 0)
        count = np.maximum(used.sum(axis=1, keepdims=True), 1)
        reach = (1 + running.relative) * running.magnitude + running.absolute
        lost = running.absolute @ size + reach @ running.lost(self.weight).T
        lost += 2 * count * running.underflow
        more = replace(running, relative=np.zeros_like(running.relative)).rounded(count)
        return running.then(
            running.value @ self.weight.T,
            running.magnitude @ size,
            running.rounded(count),
            lost * (1 + more),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Normalize:
    """(value - mean) * scale + shift, as given or as value * scale + (shift - mean * scale)."""

    mean: Float64Array
    """Shape (C,), as all."""
    scale: Float64Array
    shift: Float64Array
    roundings = 7
    """The scale is a sum, a root, a reciprocal and a product; three more reach the prediction."""

    def __call__(self, running: Running) -> Running:
        """Bound both orders: ONNX leaves open which it is, and runtimes take either."""
        scale, one = np.abs(self.scale), 1 + running.rounded(self.roundings)
        magnitude = (running.magnitude + np.abs(self.mean)) * scale + np.abs(self.shift)
        reach = (1 + running.relative) * running.magnitude + running.absolute + np.abs(self.mean)
        # Half of what the variance lost, and what the gain lost.
        of_scale = 2 * reach * (running.lost(self.scale))
        lost = (running.absolute + running.lost(self.mean)) * scale + of_scale
        lost = (lost + running.lost(self.shift) + 4 * running.underflow) * one
        value = (running.value - self.mean) * self.scale + self.shift
        wide = scale >= running.precision.smallest_normal
        return running.then(
            value, np.where(wide, magnitude, np.inf), running.rounded(self.roundings), lost
        )


@dataclass(frozen=True, slots=True, eq=False)
class Assumed:
    """An affine map in an order that is not known, with some roundings more on every way.

    No intermediate result is taken to be larger than the terms x w, mean w and bias together.
    """

    weight: Float64Array
    """Shape (K, D)."""
    bias: Float64Array
    """Shape (K,)."""
    mean: Float64Array
    """Shape (D,)."""
    num_operations: int

    def __call__(self, running: Running) -> Running:
        """As the folded form, its terms apart."""
        count = self.weight.shape[1] + 1 + self.num_operations
        size, reach = np.abs(self.weight), running.magnitude + np.abs(self.mean)
        magnitude = reach @ size.T + np.abs(self.bias)
        changed = running.numbers != "exact"
        relative = running.rounded(count + 2 * changed)
        lost = (running.absolute + running.lost(self.mean)) @ size.T
        lost += reach @ running.lost(self.weight).T + running.lost(self.bias)
        lost += 2 * count * running.underflow
        value = (running.value - self.mean) @ self.weight.T + self.bias
        return running.then(value, magnitude, relative, lost * (1 + relative))


@dataclass(frozen=True, slots=True, eq=False)
class Cast:
    """Go on in another precision."""

    precision: Precision

    def __call__(self, running: Running) -> Running:
        """To a narrower one, half an ulp of the value; what it was off by is an absolute error."""
        new = self.precision
        narrower = new.digits < running.precision.digits
        running = replace(running, precision=new)
        if not narrower:
            return running
        # Float64 has the value to within far less than one part in 2**40 of the magnitude.
        slack = np.where(running.relative > 0, running.magnitude * 2.0**-40, 0.0)
        error, value = running.error + slack, running.value
        exact = (error == 0) & ~lacks(value, new)
        last = np.where(exact, 0.0, half_ulp(np.abs(value) + error, precision=new))
        if running.flushes:
            last = last + new.smallest_normal
        return running.then(
            value, np.abs(value) + slack, np.zeros_like(running.relative), error + last
        )


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """Put what several chains make of the same values side by side."""

    parts: tuple[Steps, ...]

    def __call__(self, running: Running) -> Running:
        """The largest relative part holds for all."""
        ends = [_after(part, running) for part in self.parts]
        return replace(
            ends[0],
            value=np.hstack([end.value for end in ends]),
            magnitude=np.hstack([end.magnitude for end in ends]),
            relative=np.max([end.relative for end in ends], axis=0),
            absolute=np.hstack([end.absolute for end in ends]),
        )


def _after(steps: Sequence[Step], running: Running) -> Running:
    for step in steps:
        running = step(running)
    return running


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OwnForm:
    """What a graph computes, step by step."""

    steps: Steps
    precision: Precision
    """That it begins in."""
    numbers: Numbers = "exact"

    def bound(self, features: Float64Array, *, flushes: bool = False) -> Float64Array:
        """Bound |computed - exact|, (N, K), target units; infinity where there is no bound.

        Args:
            features: Finite inputs as the graph takes them, shape (N, D).
            flushes: Whether the runtime may flush subnormal numbers to zero.
        """
        size, tiny = np.abs(features), self.precision.smallest_normal
        lost = np.where(size < tiny, size, 0.0) if flushes else np.zeros_like(size)
        start = Running(
            value=features,
            magnitude=size,
            relative=np.zeros((len(features), 1)),
            absolute=lost,
            precision=self.precision,
            numbers=self.numbers,
            flushes=flushes,
        )
        with np.errstate(over="ignore", invalid="ignore"):
            error = _after(self.steps, start).error
            # Its own rounding: docs/bounds.md has the count.
            error = np.nextafter(error * (1 + 2.0**-24), np.inf)
        return np.where(np.isnan(error), np.inf, error)

    @property
    def num_factors(self) -> int:
        """How many rounded numbers a weight may be the product of."""
        return _num_factors(self.steps)

    @property
    def mixes_once(self) -> bool:
        """Whether values are known to be combined once: no infinity meets another unseen."""
        combining = [step for step in self.steps if isinstance(step, Through | Beside | Assumed)]
        return not any(isinstance(step, Assumed) for step in combining) and len(combining) <= 1


def _num_factors(steps: Steps) -> int:
    """Count a normalization twice: the gain, and half for each of variance and epsilon."""
    inner = [max(map(_num_factors, step.parts)) for step in steps if isinstance(step, Beside)]
    factors = sum(isinstance(step, Times | Through | Normalize) for step in steps)
    return sum(inner) + factors + sum(isinstance(step, Normalize) for step in steps)
