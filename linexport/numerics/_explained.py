"""How far a graph's function may be from its source's, where each number was rounded once.

A weight is a sum of products of the graph's numbers, one for each way from a feature to a target.
The products may cancel, what rounding does to them need not. So the sum is taken of their absolute
values, from the targets back, with how much larger it is where each number is by as much as it may
have lost. docs/bounds.md, "A graph's own form", derives it.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.numerics._bounds import Precision, gamma
from linexport.numerics._own_form import Steps
from linexport.numerics._own_steps import (
    Beside,
    Columns,
    Constant,
    Normalize,
    Plus,
    Step,
    Through,
    Times,
)

__all__ = ["Explained", "explained"]


class Explained(NamedTuple):
    """What rounding each number once explains."""

    weights: Float64Array
    """Shape (K, D), of each weight."""
    terms: Float64Array
    """Shape (K,), of the predictions where every feature is 0."""
    size: Float64Array
    """Shape (K, D): the products that each weight is the sum of, their absolute values added up."""


class _Ways(NamedTuple):
    """The ways from a step's values to the targets."""

    size: Float64Array
    """Shape (K, C): of their products, added up."""
    lost: Float64Array
    """Shape (K, C): how much larger that is where each number is by what it may have lost."""

    def joined(self, other: "_Ways") -> "_Ways":
        """Add other ways from the same values."""
        return _Ways(self.size + other.size, self.lost + other.lost)

    def scaled(self, number: "_Number") -> "_Ways":
        """Begin each one step earlier, where its value is multiplied."""
        size, lost = number
        return _Ways(self.size * size, self.lost * (size + lost) + self.size * lost)

    def mixed(self, number: "_Number") -> "_Ways":
        """Begin them one step earlier, where values are combined."""
        size, lost = number
        return _Ways(self.size @ size, self.lost @ (size + lost) + self.size @ lost)

    def taken(self, places: NDArray[np.int64], width: int) -> "_Ways":
        """Begin them one step earlier, where these of so many values are taken."""
        size, lost = np.zeros((2, len(self.size), width))
        np.add.at(size.T, places, self.size.T)
        np.add.at(lost.T, places, self.lost.T)
        return _Ways(size, lost)


class _Number(NamedTuple):
    """Absolute values of a step's numbers, and how far each may be from its source's."""

    size: Float64Array
    lost: Float64Array

    @classmethod
    def of(cls, numbers: Float64Array, precision: Precision, roundings: int = 1) -> "_Number":
        """Take numbers that were rounded to a precision, or underflowed in it."""
        size, part = np.abs(numbers), gamma(1, unit_roundoff=precision.unit_roundoff)
        return cls(size, roundings * (part * size + precision.half_smallest_subnormal))


def explained(steps: Steps, num_features: int, precision: Precision) -> Explained:
    """Bound what rounding each number of a graph to a precision once does to its function."""
    order = steps.in_order()
    widths = _widths(order)
    num_targets = widths[id(steps)]
    ahead = {id(steps): _Ways(np.eye(num_targets), np.zeros((num_targets, num_targets)))}
    none = np.zeros((num_targets, num_features))
    inputs, terms = _Ways(none, none), np.zeros(num_targets)
    for each in reversed(order):
        ways = ahead.pop(id(each))
        for number in _terms(each.step, precision):
            terms += np.broadcast_to(ways.scaled(number).lost, ways.lost.shape).sum(axis=1)
        if not each.of and isinstance(each.step, Columns):
            inputs = inputs.joined(ways.taken(each.step.places, num_features))
        befores = _before(each.step, ways, [widths[id(before)] for before in each.of], precision)
        for before, part in zip(each.of, befores, strict=bool(each.of)):
            known = ahead.get(id(before))
            ahead[id(before)] = part if known is None else known.joined(part)
    # Its own rounding: docs/bounds.md has the count.
    slack = 1 + 2.0**-24
    return Explained(inputs.lost * slack, terms * slack, inputs.size)


def _widths(order: list[Steps]) -> dict[int, int]:
    """Return how many values each step makes."""
    widths: dict[int, int] = {}
    for each in order:
        before = [widths[id(step)] for step in each.of]
        match each.step:
            case Columns(places=places):
                own = len(places)
            case Through(weight=weight):
                own = len(weight)
            case Constant(numbers=numbers):
                own = numbers.size
            case Beside():
                own = sum(before)
            case _:
                own = before[0]
        widths[id(each)] = own
    return widths


def _terms(step: Step, precision: Precision) -> Iterator[_Number]:
    """Yield what a step adds to its values."""
    match step:
        case Plus(term=numbers) | Constant(numbers=numbers):
            yield _Number.of(numbers, precision)
        case Normalize(mean=mean, scale=scale, shift=shift):
            centred = _Ways(*_Number.of(mean, precision)).scaled(_scale(scale, precision))
            yield _Number(*centred)
            yield _Number.of(shift, precision)


def _scale(scale: Float64Array, precision: Precision) -> _Number:
    """Return that of a normalization: its gain loses one rounding, its root half of one.

    The variance and epsilon are under the root together, so what each lost is halved once.
    """
    return _Number.of(scale, precision, roundings=2)


def _before(step: Step, ways: _Ways, widths: list[int], precision: Precision) -> Iterator[_Ways]:
    """Yield the ways from what each step before makes, which has so many values."""
    match step:
        case Through(weight=weight):
            yield ways.mixed(_Number.of(weight, precision))
        case Times(factor=factor):
            yield ways.scaled(_Number.of(factor, precision))
        case Normalize(scale=scale):
            yield ways.scaled(_scale(scale, precision))
        case Columns(places=places):
            for width in widths:
                yield ways.taken(places, width)
        case Beside():
            ends = np.cumsum(widths)[:-1]
            for size, lost in zip(*(np.split(part, ends, axis=1) for part in ways), strict=True):
                yield _Ways(size, lost)
        case _:  # the values themselves, or nothing at all
            for _width in widths:
                yield ways
