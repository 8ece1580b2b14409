"""What layers have made of the input, as one function: exact, and rounded to float64."""

from dataclasses import replace

import numpy as np

from linexport._arrays import Float64Array
from linexport.columns import Column, default_columns
from linexport.errors import ModelError
from linexport.model import LinearModel
from linexport.numerics import double_double as dd
from linexport.numerics._affine import Scaled, Values, product, rows_of, sum_of_products
from linexport.numerics._exact_map import ExactMap
from linexport.numerics._own_form import Normalize


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
    return replace(done, steps=(*values.steps, step))


def exact_map(values: Values, num_features: int) -> ExactMap:
    """Return what layers made of the input.

    Raises:
        ModelError: If a number is beyond float64, or a column enters more than once.
    """
    mixed = values.mixed()
    inputs = mixed.inputs.centred()
    columns, counts = np.unique(inputs.columns, return_counts=True)
    if counts.max() > 1:
        place = int(columns[counts.argmax()]) + 1
        raise ModelError(f"Feature {place} enters the linear layer twice; fold the two weights.")
    bias = sum_of_products(mixed.weight, rows_of(inputs.shift, mixed.width), mixed.bias)
    weight = dd.exact(np.zeros((mixed.width, num_features)))
    for part, whole in zip(
        product(mixed.weight, rows_of(inputs.gain, mixed.width)), weight, strict=True
    ):
        whole[:, inputs.columns] = part
    mean = np.zeros(num_features)
    mean[inputs.columns] = inputs.mean
    return ExactMap(weight=weight, bias=bias, mean=mean if np.any(mean) else None)


def linear_model(values: Values, num_features: int) -> LinearModel:
    """Round what layers made of the input to float64.

    A feature that was scaled first has as its mean and deviation what the scaler took them to be.

    Raises:
        ModelError: If a number is beyond float64, or a column enters more than once.
    """
    exact = exact_map(values, num_features)
    inputs = values.mixed().inputs.centred()
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
