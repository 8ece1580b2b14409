"""What each operation of a foreign graph can add to the rounding error of a row's values.

Rows of C values go from step to step. Of what a runtime computed for an exact value v is known

    |computed - v| <= relative * magnitude + absolute        magnitude >= |v|

Each step makes of this what its own operations can add; docs/bounds.md, "A graph's own form",
derives how. Numbers of the graph are taken as exact, or as rounded to the precision once.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.errors import ModelError
from linexport.numerics._bounds import FLOAT64, Precision, gamma, half_ulp

__all__ = [
    "Assumed",
    "Beside",
    "Cast",
    "Columns",
    "Constant",
    "Normalize",
    "Numbers",
    "Plus",
    "Running",
    "Step",
    "Summed",
    "Through",
    "Times",
    "lacks",
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


def require_finite(numbers: Float64Array) -> None:
    if not np.isfinite(numbers).all():
        raise ModelError("A weight, scale or shift of it is NaN or infinite: did its fit diverge?")


@dataclass(frozen=True, slots=True, eq=False)
class Plus:
    """Add a number to each value."""

    term: Float64Array
    """Shape (C,) or ()."""

    def __post_init__(self) -> None:
        require_finite(self.term)

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

    def __post_init__(self) -> None:
        require_finite(self.factor)

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
    """Combine the values; products with zeros and sums with them are exact."""

    weight: Float64Array
    """Shape (K, C)."""

    def __post_init__(self) -> None:
        require_finite(self.weight)

    def __call__(self, running: Running) -> Running:
        """As many roundings as there are products that are not zero."""
        size = np.abs(self.weight).T
        used = (running.magnitude > 0) | (running.absolute > 0)
        count = np.maximum(_largest_count(used, self.weight), 1)
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


def _largest_count(used: NDArray[np.bool_], weight: Float64Array) -> NDArray[np.int64]:
    """Return how many products a row's sums have at most that are not zero, shape (N, 1)."""
    if np.all(weight):
        return np.asarray(used.sum(axis=1, keepdims=True))
    counts = used.astype(np.float64) @ (weight != 0).T  # whole numbers, far below 2**53
    return np.asarray(counts.max(axis=1, keepdims=True, initial=0.0).astype(np.int64))


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
class Constant:
    """Give every row the same numbers, whatever the input."""

    numbers: Float64Array
    """Shape (C,)."""
    precision: Precision

    def __call__(self, running: Running) -> Running:
        """Without a rounding."""
        of_rows = replace(running, precision=self.precision)
        shape = (len(running.value), self.numbers.size)
        return replace(
            of_rows,
            value=np.broadcast_to(self.numbers, shape),
            magnitude=np.broadcast_to(np.abs(self.numbers), shape),
            relative=np.zeros_like(running.relative),
            absolute=np.broadcast_to(of_rows.lost(self.numbers), shape),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """Put what several steps made of the same row side by side."""

    def __call__(self, *parts: Running) -> Running:
        """The largest relative part holds for all."""
        return replace(
            parts[0],
            value=np.hstack([part.value for part in parts]),
            magnitude=np.hstack([part.magnitude for part in parts]),
            relative=np.max([part.relative for part in parts], axis=0),
            absolute=np.hstack([part.absolute for part in parts]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Summed:
    """Add what several steps made of the same row, value by value, in any order."""

    def __call__(self, *parts: Running) -> Running:
        """One rounding less than there are parts; as `Plus` where two are exact."""
        first, count = parts[0], len(parts) - 1
        value = np.sum([part.value for part in parts], axis=0)
        relative = np.max([part.relative for part in parts], axis=0)
        magnitude = np.sum([part.magnitude for part in parts], axis=0)
        if count == 1:
            magnitude = np.where(relative == 0, np.abs(value), magnitude)
        flushed = count * first.precision.smallest_normal * first.flushes * (magnitude != 0)
        known = replace(first, relative=np.zeros_like(relative))
        lost = np.sum([part.absolute for part in parts], axis=0) * (1 + known.rounded(count))
        known = replace(first, relative=relative)
        return known.then(value, magnitude, known.rounded(count), lost + flushed)


Step: TypeAlias = Callable[..., Running]
"""One operation on every row: of what is known before it, what is known after it."""
