"""Layers of a foreign model, composed into one linear model without losing digits.

Two values say what layers have made of the input's columns so far, for every input at once. Both
are affine maps; a layer that is none is refused by whoever reads it.

    Scaled    each column on its own    gain * (x - mean) + shift
    Mixed     combinations of them      weight @ scaled + bias

What is subtracted first is kept as the mean, as to fold it might cost digits. All other numbers go
into gain, shift, weight and bias in double-double, and are rounded to float64 once, at the end. A
division is a multiplication by the reciprocal, in double-double too. Each value also knows the
steps by which it is computed, from which `OwnForm` bounds what rounding does to them.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.errors import ModelError
from linexport.numerics import double_double as dd
from linexport.numerics._bounds import FLOAT64, Precision
from linexport.numerics._own_form import Steps
from linexport.numerics._own_steps import Cast, Columns, Plus, Step, Through, Times, require_finite
from linexport.numerics.double_double import DoubleDouble

CHUNK = 2**16
"""Products held at once: a megabyte or two, which stay in cache. 2**20 took thrice as long."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Made(ABC):
    """Values that are made in steps."""

    steps: Steps
    """How they are computed."""

    def times(self, factor: Float64Array) -> Self:
        """Multiply each; of as many, or of shape ()."""
        return self._times(dd.exact(np.asarray(factor)), Times(factor))

    def over(self, divisor: Float64Array) -> Self:
        """Divide each; of as many, or of shape ()."""
        return self._times(*_reciprocal(divisor))

    def cast(self, precision: Precision) -> Self:
        """Go on in another precision."""
        return replace(self, steps=self.steps.then(Cast(precision)))

    @abstractmethod
    def _times(self, factor: DoubleDouble, step: Step) -> Self: ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scaled(_Made):
    """C values, each made of one column of the input."""

    columns: NDArray[np.int64]
    """Shape (C,): which column of the input."""
    mean: Float64Array
    """Shape (C,); 0 where nothing was subtracted first."""
    gain: DoubleDouble
    """Shape (C,)."""
    shift: DoubleDouble
    """Shape (C,)."""
    first_factor: Float64Array
    """Shape (C,): of the gain; 1 where there is none. A scaler's is 1 over the deviation."""

    @property
    def width(self) -> int:
        """C."""
        return len(self.columns)

    @property
    def inputs(self) -> "Scaled":
        """The scaled columns that they are made of: themselves."""
        return self

    @property
    def _is_scaled(self) -> bool:
        return bool(np.any(self.gain.high != 1) or np.any(self.gain.low))

    def plus(self, term: Float64Array) -> "Scaled":
        """Add to each value; shape (C,) or ()."""
        steps = self.steps.then(Plus(term))
        if self._is_scaled or np.any(self.mean) or np.any(self.shift.high):
            return replace(self, shift=dd.add_float(self.shift, term), steps=steps)
        mean = np.subtract(0.0, np.broadcast_to(term, self.mean.shape))
        return replace(self, mean=mean, steps=steps)

    def _times(self, factor: DoubleDouble, step: Step) -> "Scaled":
        exact = dd.spread(factor, self.mean.shape)
        return replace(
            self,
            steps=self.steps.then(step),
            gain=product(self.gain, exact),
            shift=product(self.shift, exact),
            first_factor=self.first_factor if self._is_scaled else exact.high,
        )

    def through(self, weight: Float64Array) -> "Mixed":
        """Combine the values; weight has shape (K, C)."""
        zero = np.zeros(len(weight))
        steps = self.steps.then(Through(weight))
        return Mixed(inputs=self, weight=dd.exact(weight), bias=dd.exact(zero), steps=steps)

    def taken(self, places: NDArray[np.int64]) -> "Scaled":
        """Return some of the values, in the order given."""
        return Scaled(
            columns=self.columns[places],
            mean=self.mean[places],
            gain=dd.part(self.gain, places),
            shift=dd.part(self.shift, places),
            first_factor=self.first_factor[places],
            steps=self.steps.then(Columns(places)),
        )

    def mixed(self) -> "Mixed":
        """Return the values as combinations of themselves, which computes nothing."""
        bias = dd.exact(np.zeros(self.width))
        return Mixed(inputs=self, weight=dd.exact(np.eye(self.width)), bias=bias, steps=self.steps)

    def centred(self) -> "Scaled":
        """Write a scaler that adds last, as min-max scalers do, as one that subtracts first.

        The mean is rounded; what that leaves stays in the shift.
        """
        gain = self.gain
        movable = (self.mean == 0) & (self.shift.high != 0) & (gain.high != 0)
        slope = DoubleDouble(np.where(movable, gain.high, 1), np.where(movable, gain.low, 0))
        mean = np.where(movable, -dd.divide(self.shift, slope).high, self.mean)
        moved = dd.multiply(gain, dd.exact(np.where(movable, mean, 0.0)))
        return replace(self, mean=mean, shift=dd.add(self.shift, moved))

    def same_as(self, other: "Scaled") -> bool:
        """Tell whether both are made of the same columns in the same way."""
        ours = (self.columns, self.mean, *self.gain, *self.shift)
        theirs = (other.columns, other.mean, *other.gain, *other.shift)
        return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Mixed(_Made):
    """K combinations of C scaled columns."""

    inputs: Scaled
    weight: DoubleDouble
    """Shape (K, C)."""
    bias: DoubleDouble
    """Shape (K,)."""

    @property
    def width(self) -> int:
        """K."""
        return len(self.bias.high)

    def plus(self, term: Float64Array) -> "Mixed":
        """Add to each combination; shape (K,) or ()."""
        steps = self.steps.then(Plus(term))
        return replace(self, bias=dd.add_float(self.bias, term), steps=steps)

    def _times(self, factor: DoubleDouble, step: Step) -> "Mixed":
        column = dd.spread(factor, self.bias.high.shape)
        rows = dd.spread(dd.part(column, np.s_[:, None]), self.weight.high.shape)
        return replace(
            self,
            weight=product(self.weight, rows),
            bias=product(self.bias, column),
            steps=self.steps.then(step),
        )

    def taken(self, places: NDArray[np.int64]) -> "Mixed":
        """Return some of the combinations, in the order given."""
        return replace(
            self,
            weight=dd.part(self.weight, places),
            bias=dd.part(self.bias, places),
            steps=self.steps.then(Columns(places)),
        )

    def through(self, weight: Float64Array) -> "Mixed":
        """Combine the combinations; weight has shape (K', K)."""
        bias = dd.part(self.bias, np.s_[:, None])
        return replace(
            self,
            weight=_combined(self.weight, weight),
            bias=dd.part(_combined(bias, weight), (slice(None), 0)),
            steps=self.steps.then(Through(weight)),
        )

    def mixed(self) -> "Mixed":
        """Return it as it is."""
        return self


Values = Scaled | Mixed


def input_columns(count: int, start: int = 0) -> Scaled:
    """Return columns of the input, as they are."""
    ones, zeros = np.ones(count), np.zeros(count)
    return Scaled(
        columns=np.arange(start, start + count),
        mean=zeros,
        gain=dd.exact(ones),
        shift=dd.exact(zeros),
        first_factor=ones,
        steps=Steps(Columns(np.arange(start, start + count))),
    )


def product(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    """Return a * b, elementwise.

    Raises:
        ModelError: If it leaves the range in which float64 has all its digits.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        result = dd.multiply(a, b)
    _require(np.isfinite(result.high) & ~_underflowed(a, b, result), a, b)
    return result


def sum_of_products(a: DoubleDouble, b: DoubleDouble, start: DoubleDouble) -> DoubleDouble:
    """Return start (K,) and the sum of a * b (K, C).

    Raises:
        ModelError: If it is beyond float64, or so small that products which are show in its digits.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        terms = dd.multiply(a, b)
        result = dd.add(start, dd.total(terms))
    # What underflows is off by half of the smallest number, 2**-1022 u.
    blurred = (np.abs(result.high) < 4 * FLOAT64.smallest_normal)[:, None]
    finite = np.isfinite(result.high)[:, None]
    _require(finite & ~(blurred & _underflowed(a, b, terms)), a, b)
    return result


def _underflowed(a: DoubleDouble, b: DoubleDouble, product: DoubleDouble) -> NDArray[np.bool_]:
    """Tell where a product has lost digits. A factor of 1 leaves a number what it is."""
    changed = (a.high != 0) & (b.high != 0) & (np.abs(a.high) != 1) & (np.abs(b.high) != 1)
    return np.asarray(changed & (np.abs(product.high) < FLOAT64.smallest_normal))


def _require(usable: NDArray[np.bool_], a: DoubleDouble, b: DoubleDouble) -> None:
    if not usable.all():
        first, second = (factor.high[~usable][0] for factor in (a, b))
        raise ModelError(
            f"A weight times a scale, {first:.6g} * {second:.6g}, is beyond float64: use other "
            "units."
        )


def _reciprocal(divisor: Float64Array) -> tuple[DoubleDouble, Step]:
    """Return 1 / divisor.

    Raises:
        ModelError: If it is beyond float64.
    """
    require_finite(divisor)
    with np.errstate(over="ignore", invalid="ignore"):
        exact = dd.divide(dd.exact(np.ones_like(divisor)), dd.exact(divisor))
    if not np.isfinite(exact.high).all():
        wrong = divisor[~np.isfinite(exact.high)][0]
        raise ModelError(f"It divides by {wrong:.6g}, beyond float64: use other units.")
    return exact, Times(exact.high, num_roundings=2)


def _combined(rows: DoubleDouble, weight: Float64Array) -> DoubleDouble:
    """Return weight @ rows, shapes (K', K) and (K, C); what a weight of zero leaves out is free.

    Raises:
        ModelError: As `sum_of_products`.
    """
    columns = dd.transposed(rows)  # (C, K)
    num_terms = max(int((weight != 0).sum(axis=1).max(initial=0)), 1)
    count = max(1, CHUNK // max(num_terms * len(columns.high), 1))
    parts = [
        _combined_some(columns, weight[start : start + count], num_terms)
        for start in range(0, len(weight), count)
    ]
    return dd.behind(parts)


def _combined_some(columns: DoubleDouble, weight: Float64Array, num_terms: int) -> DoubleDouble:
    """Return some rows of it, (B, C), each the sum of so many terms at most."""
    if num_terms < weight.shape[1]:
        places = np.argsort(weight == 0, axis=1, kind="stable")[:, :num_terms]
        weight = np.take_along_axis(weight, places, axis=1)
        terms = [part[:, places] for part in columns]  # (C, B, T)
    else:
        shape = (len(columns.high), *weight.shape)
        terms = [np.broadcast_to(part[:, None], shape) for part in columns]
    num_columns, num_rows, _ = terms[0].shape
    flat = DoubleDouble(*(part.reshape(-1, num_terms) for part in terms))
    factors = dd.exact(np.broadcast_to(weight, terms[0].shape).reshape(-1, num_terms))
    total = sum_of_products(flat, factors, dd.exact(np.zeros(len(flat.high))))
    return DoubleDouble(*(part.reshape(num_columns, num_rows).T for part in total))
