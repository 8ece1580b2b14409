"""Floating-point arithmetic emulated in exact rational numbers: the oracle of the bounds.

Nothing here rounds except where IEEE 754 says so, and nothing depends on the machine's own
floating-point unit.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from linexport.model import LinearModel
from linexport.numerics._bounds import Affine, Precision


class OverflowedError(Exception):
    """A result is beyond the largest finite number."""


def exactly(value: float) -> Fraction:
    return Fraction(float(value))


@dataclass(frozen=True)
class Arithmetic:
    """One way to round: to a format, with subnormal operands or results flushed or not."""

    precision: Precision
    operands_flushed: bool = False
    results_flushed: bool = False

    def round(self, value: Fraction) -> Fraction:
        """Round to nearest, ties to even."""
        if value == 0:
            return value
        tiny = exactly(self.precision.smallest_normal)
        quantum = spacing(max(abs(value), tiny), self.precision)
        rounded = round(value / quantum) * quantum
        if abs(rounded) > exactly(self.precision.largest):
            raise OverflowedError
        return Fraction(0) if self.results_flushed and abs(rounded) < tiny else rounded

    def operand(self, value: Fraction) -> Fraction:
        tiny = exactly(self.precision.smallest_normal)
        return Fraction(0) if self.operands_flushed and abs(value) < tiny else value

    def apply(self, operation: Callable[..., Fraction], *operands: Fraction) -> Fraction:
        """One operation: exact on its operands, then rounded once."""
        return self.round(operation(*(self.operand(operand) for operand in operands)))


def spacing(value: Fraction, precision: Precision) -> Fraction:
    """Distance between the numbers of a format around a positive normal value."""
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    if Fraction(2) ** exponent > value:
        exponent -= 1
    elif Fraction(2) ** (exponent + 1) <= value:
        exponent += 1
    return Fraction(2) ** (exponent - precision.digits + 1)


def evaluate(
    features: Sequence[float],
    affine: Affine,
    target: int,
    arithmetic: Arithmetic,
    choose: random.Random,
    *,
    fused: bool,
) -> Fraction:
    """One prediction as some runtime may compute it: sums in a random tree, products fused or not.

    Raises:
        OverflowedError: If an intermediate result overflows.
    """
    inputs = [exactly(value) for value in features]
    if affine.mean is not None:
        inputs = [
            arithmetic.apply(lambda a, b: a - b, value, exactly(mean))
            for value, mean in zip(inputs, affine.mean, strict=True)
        ]
    products = list(zip(inputs, map(exactly, affine.weight[target]), strict=True))
    choose.shuffle(products)
    partial = [exactly(affine.bias[target])]
    while products or len(partial) > 1:
        choose.shuffle(partial)
        if products and (len(partial) < 2 or choose.random() < 0.7):
            a, b = products.pop()
            if fused:
                partial.append(
                    arithmetic.apply(lambda a, b, c: a * b + c, a, b, partial.pop())
                    if choose.random() < 0.8
                    else arithmetic.apply(lambda a, b, c: a * b + c, a, b, Fraction(0))
                )
            else:
                partial.append(arithmetic.apply(lambda a, b: a * b, a, b))
        else:
            partial.append(arithmetic.apply(lambda a, b: a + b, partial.pop(), partial.pop()))
    return partial[0]


def true_prediction(features: Sequence[float], affine: Affine, target: int) -> Fraction:
    """The real number that the model means."""
    inputs = [exactly(value) for value in features]
    if affine.mean is not None:
        inputs = [value - exactly(m) for value, m in zip(inputs, affine.mean, strict=True)]
    weight = map(exactly, affine.weight[target])
    terms = (value * factor for value, factor in zip(inputs, weight, strict=True))
    return sum(terms, exactly(affine.bias[target]))


def model_prediction(model: LinearModel, features: Sequence[float], target: int) -> Fraction:
    """The same for a model."""
    arrays = {name: array.astype(np.float64) for name, array in model.arrays().items()}
    return true_prediction(features, Affine(**arrays), target)
