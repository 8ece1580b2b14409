"""Operators that compute: sums, products with constants, and the layers made of them."""

from dataclasses import replace

import numpy as np

from linexport._arrays import Float64Array
from linexport.numerics import Mixed, Values, batch_normalized
from linexport.sources._onnx_shapes import transposed
from linexport.sources._onnx_values import (
    Batch,
    Inputs,
    Node,
    batch_of,
    numbers_of,
    operands,
    require,
)


def add(node: Node, inputs: Inputs) -> Batch:
    batch, number, _ = operands(node, inputs)
    return batch.with_values(batch.values.plus(number))


def subtract(node: Node, inputs: Inputs) -> Batch:
    batch, number, batch_first = operands(node, inputs)
    if batch_first:
        return batch.with_values(batch.values.plus(-number))
    return batch.with_values(_negative(batch.values).plus(number))


def multiply(node: Node, inputs: Inputs) -> Batch:
    batch, number, _ = operands(node, inputs)
    return batch.with_values(batch.values.times(number))


def divide(node: Node, inputs: Inputs) -> Batch:
    batch, number, batch_first = operands(node, inputs)
    if not batch_first:
        raise node.refuse("divides by what depends on the input, which is not linear")
    if not np.all(number):
        raise node.refuse("divides by 0")
    return batch.with_values(batch.values.times(1 / number))


def negate(node: Node, inputs: Inputs) -> Batch:
    batch = batch_of(node, inputs[0])
    return batch.with_values(_negative(batch.values))


def _negative(values: Values) -> Values:
    return values.times(np.array(-1.0))


def matmul(node: Node, inputs: Inputs) -> Batch:
    left, right = inputs
    if isinstance(left, Batch):
        weight = numbers_of(node, right)
        require(node, left.layout == "rows" and weight.ndim in (1, 2), "multiplies across rows")
        mixed = left.with_values(_through(node, left.values, np.atleast_2d(weight.T)))
        return replace(mixed, layout="line") if weight.ndim == 1 else mixed
    weight, batch = numbers_of(node, left), batch_of(node, right)
    require(node, batch.layout == "columns" and weight.ndim == 2, "multiplies across rows")
    return batch.with_values(_through(node, batch.values, weight))


def gemm(node: Node, inputs: Inputs) -> Batch:
    """Alpha * A @ B + beta * C, with A and B transposed where asked."""
    left, right = inputs[0], inputs[1]
    left = transposed(left) if node.get("transA", 0) else left
    right = transposed(right) if node.get("transB", 0) else right
    product = matmul(node, [left, right])
    values = product.values
    alpha, beta = (float(node.get(name, 1.0)) for name in ("alpha", "beta"))
    values = values.times(np.array(alpha)) if alpha != 1 else values
    if len(inputs) > 2 and inputs[2] is not None:
        _, bias, _ = operands(node, [product, inputs[2]])
        values = values.plus(_exact_product(node, bias, beta))
    return product.with_values(values)


def _exact_product(node: Node, numbers: Float64Array, factor: float) -> Float64Array:
    """Multiply; exact for float32 numbers and factors, rounded once for others."""
    product = numbers * factor
    require(node, bool(np.isfinite(product).all()), "overflows")
    return product


def scaler(node: Node, inputs: Inputs) -> Batch:
    """(x - offset) * scale."""
    batch = batch_of(node, inputs[0])
    offset, scale = (np.array(node.get(name, ()), np.float64) for name in ("offset", "scale"))
    require(node, batch.layout == "rows"
             and offset.size == scale.size
             and scale.size in (1, batch.values.width),
             "has not one offset and one scale per feature")  # fmt: skip
    return batch.with_values(batch.values.plus(-offset).times(scale))


def linear_regressor(node: Node, inputs: Inputs) -> Batch:
    """X @ coefficients.T + intercepts."""
    batch = batch_of(node, inputs[0])
    num_targets = node.get("targets", 1)
    weight, bias = (np.array(node.get(n, ()), np.float64) for n in ("coefficients", "intercepts"))
    require(node, batch.layout == "rows", "takes what is no table")
    require(node, node.get("post_transform", b"NONE") == b"NONE",
             "transforms what it predicts, which is not linear")  # fmt: skip
    fits = 0 < weight.size == num_targets * batch.values.width and bias.size in (0, num_targets)
    require(node, fits, "has not one coefficient per target and feature")
    mixed = _through(node, batch.values, weight.reshape(num_targets, -1))
    return batch.with_values(mixed.plus(bias) if bias.size else mixed)


def batch_normalization(node: Node, inputs: Inputs) -> Batch:
    batch = batch_of(node, inputs[0])
    gain, shift, mean, variance = (numbers_of(node, value) for value in inputs[1:])
    sizes = {array.shape for array in (gain, shift, mean, variance)}
    require(node, batch.layout == "rows" and sizes == {(batch.values.width,)},
             "has not one of each number per feature")  # fmt: skip
    require(node, not node.get("training_mode", 0),
             "normalises by the batch at hand: export the model in evaluation mode")  # fmt: skip
    values = batch_normalized(
        batch.values,
        mean=mean,
        variance=variance,
        gain=gain,
        shift=shift,
        epsilon=node.get("epsilon", float(np.float32(1e-5))),
    )
    return batch.with_values(values)


def _through(node: Node, values: Values, weight: Float64Array) -> Mixed:
    require(node, weight.shape[1] == values.width,
             f"has a weight for {weight.shape[1]} values, and is given {values.width}")  # fmt: skip
    return values.through(weight)
