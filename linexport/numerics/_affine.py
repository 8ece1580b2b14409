"""Layers of a foreign model, composed into one linear model without losing digits.

Two values say what layers have made of the input's columns so far, for every input at once. Both
are affine maps; a layer that is none is refused by whoever reads it.

    Scaled    each column on its own    gain * (x - mean) + shift
    Mixed     combinations of them      weight @ scaled + bias

What is subtracted first is kept as the mean, as to fold it might cost digits. All other numbers go
into gain, shift, weight and bias in double-double, and are rounded to float64 once, at the end. A
division is a multiplication by the reciprocal, itself rounded once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.columns import Column, default_columns
from linexport.errors import ModelError
from linexport.model import LinearModel
from linexport.numerics import double_double as dd
from linexport.numerics._bounds import FLOAT64
from linexport.numerics.double_double import DoubleDouble


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scaled:
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
    def _is_scaled(self) -> bool:
        return bool(np.any(self.gain.high != 1) or np.any(self.gain.low))

    def plus(self, term: Float64Array) -> "Scaled":
        """Add to each value; shape (C,) or ()."""
        if self._is_scaled or np.any(self.mean) or np.any(self.shift.high):
            return replace(self, shift=dd.add_float(self.shift, term))
        return replace(self, mean=np.subtract(0.0, np.broadcast_to(term, self.mean.shape)))

    def times(self, factor: Float64Array) -> "Scaled":
        """Multiply each value; shape (C,) or ()."""
        exact = dd.exact(np.broadcast_to(factor, self.mean.shape))
        return replace(
            self,
            gain=_product(self.gain, exact),
            shift=_product(self.shift, exact),
            first_factor=self.first_factor if self._is_scaled else exact.high,
        )

    def through(self, weight: Float64Array) -> "Mixed":
        """Combine the values; weight has shape (K, C)."""
        zero = np.zeros(len(weight))
        return Mixed(inputs=self, weight=dd.exact(weight), bias=dd.exact(zero))

    def mixed(self) -> "Mixed":
        """Return the values as combinations of themselves."""
        return self.through(np.eye(self.width))

    def beside(self, others: Sequence["Scaled"]) -> "Scaled":
        """Put the values of others behind these."""
        parts = [self, *others]
        return Scaled(
            columns=np.concatenate([part.columns for part in parts]),
            mean=np.concatenate([part.mean for part in parts]),
            gain=_joined([part.gain for part in parts]),
            shift=_joined([part.shift for part in parts]),
            first_factor=np.concatenate([part.first_factor for part in parts]),
        )

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
class Mixed:
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
        return replace(self, bias=dd.add_float(self.bias, term))

    def times(self, factor: Float64Array) -> "Mixed":
        """Multiply each combination; shape (K,) or ()."""
        column = np.broadcast_to(factor, self.bias.high.shape)
        rows = np.broadcast_to(column[:, None], self.weight.high.shape)
        return replace(
            self,
            weight=_product(self.weight, dd.exact(rows)),
            bias=_product(self.bias, dd.exact(column)),
        )

    def through(self, weight: Float64Array) -> "Mixed":
        """Combine the combinations; weight has shape (K', K)."""
        rows = [_combined(self.weight, row) for row in weight]
        biases = [_combined(DoubleDouble(*(b[:, None] for b in self.bias)), row) for row in weight]
        return replace(
            self,
            weight=DoubleDouble(*(np.stack(part) for part in zip(*rows, strict=True))),
            bias=_joined(biases),
        )

    def mixed(self) -> "Mixed":
        """Return it as it is."""
        return self

    def beside(self, others: Sequence["Mixed"]) -> "Mixed":
        """Put the combinations of others behind these.

        Raises:
            ModelError: If they combine differently scaled columns.
        """
        if not all(self.inputs.same_as(other.inputs) for other in others):
            raise ModelError("Its targets use differently scaled features; export one at a time.")
        return replace(
            self,
            weight=_joined([self.weight, *(other.weight for other in others)]),
            bias=_joined([self.bias, *(other.bias for other in others)]),
        )


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
    )


def batch_normalized(
    values: Values,
    *,
    mean: Float64Array,
    variance: Float64Array,
    gain: Float64Array | None = None,
    shift: Float64Array | None = None,
    epsilon: float,
) -> Values:
    """Return (values - mean) / sqrt(variance + epsilon) * gain + shift, elementwise.

    Raises:
        ModelError: If the root is not that of a positive number.
    """
    if not (variance + epsilon > 0).all():
        raise ModelError("A BatchNorm divides by the root of a variance that is not positive.")
    values = values.plus(-mean).times(1 / np.sqrt(variance + epsilon))
    values = values if gain is None else values.times(gain)
    return values if shift is None else values.plus(shift)


def linear_model(values: Values, num_features: int) -> LinearModel:
    """Round what layers made of the input to float64.

    A feature that was scaled first has as its mean and deviation what the scaler took them to be.

    Raises:
        ModelError: If a number is beyond float64, or a column enters more than once.
    """
    mixed = values.mixed()
    inputs = mixed.inputs.centred()
    columns, counts = np.unique(inputs.columns, return_counts=True)
    if counts.max() > 1:
        place = int(columns[counts.argmax()]) + 1
        raise ModelError(f"Feature {place} enters the linear layer twice; fold the two weights.")
    bias = _sum_of_products(mixed.weight, _rows(inputs.shift, mixed.width), mixed.bias).high
    weight, mean = np.zeros((mixed.width, num_features)), np.zeros(num_features)
    weight[:, inputs.columns] = _product(mixed.weight, _rows(inputs.gain, mixed.width)).high
    mean[inputs.columns] = inputs.mean
    return LinearModel(
        weight=weight,
        bias=bias,
        mean=mean if np.any(mean) else None,
        features=_described(inputs, default_columns("x", num_features)),
    )


def _described(inputs: Scaled, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    described = list(columns)
    for place, mean, factor in zip(
        inputs.columns.tolist(), inputs.mean.tolist(), inputs.first_factor.tolist(), strict=True
    ):
        if factor not in (0, 1):
            described[place] = replace(
                columns[place], mean=mean or None, standard_deviation=1 / abs(factor)
            )
    return tuple(described)


def rescaled(weight: Float64Array, factor: Float64Array) -> Float64Array:
    """Return weight (K, D) times a factor that fits it, rounded once.

    Raises:
        ModelError: If a weight leaves the range in which float64 has all its digits.
    """
    return _product(dd.exact(weight), dd.exact(np.broadcast_to(factor, weight.shape))).high


def _product(a: DoubleDouble, b: DoubleDouble) -> DoubleDouble:
    """Return a * b, elementwise.

    Raises:
        ModelError: If it leaves the range in which float64 has all its digits.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        product = dd.multiply(a, b)
    _require(np.isfinite(product.high) & ~_underflowed(a, b, product), a, b)
    return product


def _sum_of_products(a: DoubleDouble, b: DoubleDouble, start: DoubleDouble) -> DoubleDouble:
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


def _joined(parts: Sequence[DoubleDouble]) -> DoubleDouble:
    return DoubleDouble(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _rows(values: DoubleDouble, count: int) -> DoubleDouble:
    return DoubleDouble(*(np.broadcast_to(part, (count, part.size)) for part in values))


def _combined(weight: DoubleDouble, row: Float64Array) -> DoubleDouble:
    """Return row @ weight, shapes (K,) and (K, C).

    Raises:
        ModelError: As `_sum_of_products`.
    """
    transposed = DoubleDouble(*(np.ascontiguousarray(part.T) for part in weight))
    factors = dd.exact(np.broadcast_to(row, transposed.high.shape))
    return _sum_of_products(transposed, factors, dd.exact(np.zeros(len(transposed.high))))
