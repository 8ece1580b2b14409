"""What layers have made of the input, as one function: exact, and rounded to float64."""

from dataclasses import replace

import numpy as np

from linexport._arrays import Float64Array
from linexport.columns import Column, default_columns
from linexport.errors import ModelError
from linexport.model import LinearModel
from linexport.numerics import double_double as dd
from linexport.numerics._affine import Scaled, Values, product
from linexport.numerics._exact_map import ExactMap
from linexport.numerics._joined import combined_of, common_inputs
from linexport.numerics._own_steps import Normalize


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
    inverse = dd.divide(
        dd.exact(np.ones_like(variance)), dd.root(dd.two_sum(variance, np.asarray(epsilon)))
    )
    gain, shift = (
        np.broadcast_to(given, variance.shape)
        for given in (1.0 if gain is None else gain, 0.0 if shift is None else shift)
    )
    scale = dd.multiply(inverse, dd.exact(gain))
    step = Normalize(mean, scale.high, shift)
    done = values.plus(-mean)._times(inverse, step)._times(dd.exact(gain), step).plus(shift)  # noqa: SLF001
    return replace(done, steps=values.steps.then(step))


def exact_map(values: Values, num_features: int) -> ExactMap:
    """Return what layers made of the input.

    Raises:
        ModelError: If a number is beyond float64.
    """
    mixed = combined_of(values, common_inputs([values.inputs]))
    weight = dd.zeros((mixed.width, num_features))
    mean = np.zeros(num_features)
    for part, whole in zip((*mixed.weight, mixed.inputs.mean), (*weight, mean), strict=True):
        whole[..., mixed.inputs.columns] = part
    return ExactMap(weight=weight, bias=mixed.bias, mean=mean if np.any(mean) else None)


def linear_model(values: Values, num_features: int) -> LinearModel:
    """Round what layers made of the input to float64.

    A feature that was scaled first has as its mean and deviation what the scaler took them to be.

    Raises:
        ModelError: If a number is beyond float64.
    """
    exact = exact_map(values, num_features)
    inputs = common_inputs([values.inputs])
    return LinearModel(
        weight=exact.weight.high,
        bias=exact.bias.high,
        mean=exact.mean,
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
    return product(dd.exact(weight), dd.exact(np.broadcast_to(factor, weight.shape))).high
