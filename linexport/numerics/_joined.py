"""Values that layers made apart, side by side or added up, without losing digits.

Where they are made of differently scaled columns of the input, these are written as x - mean, with
the scale in the weights and what remains in the bias.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.errors import ModelError
from linexport.numerics import double_double as dd
from linexport.numerics._affine import (
    Mixed,
    Scaled,
    Values,
    input_columns,
    product,
    sum_of_products,
)
from linexport.numerics._bounds import Precision
from linexport.numerics._own_form import Steps
from linexport.numerics._own_steps import Beside, Constant, Summed
from linexport.numerics.double_double import DoubleDouble

Columns = NDArray[np.int64]


def constants(numbers: Float64Array, precision: Precision) -> Scaled:
    """Return values that are the same for every row, shape (C,)."""
    zeros, none = np.zeros(numbers.size), np.zeros(numbers.size, np.int64)
    return Scaled(
        columns=none,
        mean=zeros,
        gain=dd.exact(zeros),
        shift=dd.exact(numbers),
        first_factor=np.ones(numbers.size),
        steps=Steps(Constant(numbers, precision)),
    )


@overload
def beside(parts: Sequence[Scaled]) -> Scaled: ...
@overload
def beside(parts: Sequence[Values]) -> Values: ...
def beside(parts: Sequence[Values]) -> Values:
    """Put values side by side, in the order given.

    Raises:
        ModelError: If a weight times a scale is beyond float64.
    """
    if len(parts) == 1:
        return parts[0]
    steps = Steps(Beside(), tuple(part.steps for part in parts))
    scaled = [part for part in parts if isinstance(part, Scaled)]
    if len(scaled) == len(parts):
        return Scaled(
            columns=np.concatenate([part.columns for part in scaled]),
            mean=np.concatenate([part.mean for part in scaled]),
            gain=dd.behind([part.gain for part in scaled]),
            shift=dd.behind([part.shift for part in scaled]),
            first_factor=np.concatenate([part.first_factor for part in scaled]),
            steps=steps,
        )
    mixed = _on_same_inputs(parts)
    return replace(
        mixed[0],
        weight=dd.behind([part.weight for part in mixed]),
        bias=dd.behind([part.bias for part in mixed]),
        steps=steps,
    )


def summed(parts: Sequence[Values]) -> Values:
    """Add values up, each to those at its place among the others.

    Raises:
        ModelError: If a sum, or a weight times a scale, is beyond float64.
    """
    steps = Steps(Summed(), tuple(part.steps for part in parts))
    total = parts[0]
    for part in parts[1:]:
        own = _of_same_columns(total, part)
        total = _added(*own) if own else _mixed_sum(*_on_same_inputs([total, part]))
    return replace(total, steps=steps)


def _of_same_columns(a: Values, b: Values) -> tuple[Scaled, Scaled] | None:
    """Return both about the same means of the same columns; None where they are of others."""
    if not isinstance(a, Scaled) or not isinstance(b, Scaled):
        return None
    a_is_constant, b_is_constant = a.gain.high == 0, b.gain.high == 0
    if not np.all((a.columns == b.columns) | a_is_constant | b_is_constant):
        return None
    columns = np.where(a_is_constant, b.columns, a.columns)
    mean = np.where(a_is_constant | (a.mean == 0), b.mean, a.mean)
    return _about(a, columns, mean), _about(b, columns, mean)


def _about(values: Scaled, columns: Columns, mean: Float64Array) -> Scaled:
    """Write gain (x - own mean) + shift as gain (x - mean) and what that makes of the shift."""
    moved = dd.multiply(values.gain, dd.two_sum(mean, -values.mean))
    return replace(values, columns=columns, mean=mean, shift=dd.add(values.shift, moved))


def _added(a: Scaled, b: Scaled) -> Scaled:
    gain, shift = _finite(dd.add(a.gain, b.gain)), _finite(dd.add(a.shift, b.shift))
    factor = np.where(a.gain.high == 0, b.first_factor, a.first_factor)
    return replace(a, gain=gain, shift=shift, first_factor=factor)


def _mixed_sum(a: Mixed, b: Mixed) -> Mixed:
    weight = _finite(dd.add(a.weight, b.weight))
    return replace(a, weight=weight, bias=_finite(dd.add(a.bias, b.bias)))


def _finite(values: DoubleDouble) -> DoubleDouble:
    if not np.isfinite(values.high).all():
        raise ModelError("A sum of weights is beyond float64: use other units.")
    return values


def _on_same_inputs(parts: Sequence[Values]) -> list[Mixed]:
    """Write values as combinations of the same scaled columns."""
    if all(parts[0].inputs.same_as(part.inputs) for part in parts):
        return [part.mixed() for part in parts]
    inputs = common_inputs([part.inputs for part in parts])
    return [combined_of(part, inputs) for part in parts]


def common_inputs(parts: Sequence[Scaled]) -> Scaled:
    """Return x - mean of each column that some are made of, with the first mean that it has."""
    parts = [part.centred() for part in parts]
    columns = np.concatenate([part.columns for part in parts])
    mean = np.concatenate([part.mean for part in parts])
    factor = np.concatenate([part.first_factor for part in parts])
    unique = np.unique(columns)
    inputs = input_columns(int(unique[-1]) + 1).taken(unique)
    return replace(
        inputs,
        mean=_first(columns, mean, mean == 0),
        first_factor=_first(columns, factor, (factor == 0) | (factor == 1)),
    )


def _first(columns: Columns, numbers: Float64Array, is_none: NDArray[np.bool_]) -> Float64Array:
    """Return the first number of each column that says something, in the columns' order."""
    order = np.lexsort((is_none, columns))
    _, first = np.unique(columns[order], return_index=True)
    return np.asarray(numbers[order][first])


def combined_of(values: Values, inputs: Scaled) -> Mixed:
    """Write values as combinations of columns less their means.

    Raises:
        ModelError: If a weight times a scale is beyond float64.
    """
    own = values.inputs.centred()
    places = np.searchsorted(inputs.columns, own.columns)
    moved = dd.two_sum(inputs.mean[places], -own.mean)
    whole = dd.zeros((values.width, inputs.width))
    where: tuple[Any, Columns]
    if isinstance(values, Scaled):  # many of few columns, where a graph repeats them
        gain, each = (dd.part(numbers, np.s_[:, None]) for numbers in (own.gain, moved))
        bias = sum_of_products(gain, each, own.shift)
        parts, where = own.gain, (np.arange(own.width), places)
    else:
        shape = (values.width, own.width)
        weight = product(values.weight, dd.spread(own.gain, shape))
        bias = sum_of_products(values.weight, dd.spread(own.shift, shape), values.bias)
        if np.any(moved.high):
            bias = sum_of_products(weight, dd.spread(moved, shape), bias)
        kept, parts = _merged(places, weight)
        where = np.s_[:, kept]
    for target, part in zip(whole, parts, strict=True):
        target[where] = part
    return Mixed(inputs=inputs, weight=whole, bias=bias, steps=values.steps)


def _merged(places: Columns, terms: DoubleDouble) -> tuple[Columns, DoubleDouble]:
    """Add up the columns of terms (K, C) that have the same place, in pairs."""
    order = np.argsort(places, kind="stable")
    places, terms = places[order], dd.part(terms, (slice(None), order))
    while True:
        rank = np.arange(places.size) - np.searchsorted(places, places)
        odd = np.flatnonzero(rank % 2)
        if not odd.size:
            return places, terms
        pairs = (dd.part(terms, (slice(None), each)) for each in (odd - 1, odd))
        for target, part in zip(terms, _finite(dd.add(*pairs)), strict=True):
            target[:, odd - 1] = part
        kept = rank % 2 == 0
        places, terms = places[kept], dd.part(terms, (slice(None), kept))
