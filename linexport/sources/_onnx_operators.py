"""What one ONNX node makes of numbers and of affine maps of the input.

Operators on numbers alone are evaluated by onnx's own reference implementation, as far as they
cannot grow.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from linexport._arrays import Float64Array
from linexport.numerics import (
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    Mixed,
    Values,
    batch_normalized,
    beside,
)
from linexport.sources._budget import Refused
from linexport.sources._onnx_values import Batch, Node, Value

_FLOATS = {
    TensorProto.FLOAT: FLOAT32,
    TensorProto.DOUBLE: FLOAT64,
    TensorProto.FLOAT16: FLOAT16,
    TensorProto.BFLOAT16: BFLOAT16,
}
_FOLDED = frozenset({
    "Cast", "Constant", "Flatten", "Identity", "Neg", "Reshape", "Squeeze", "Transpose",
    "Unsqueeze",
})  # fmt: skip
"""On numbers alone: exact, or correctly rounded, and no larger than what is stored."""


def apply(
    proto: onnx.NodeProto, inputs: Sequence[Value | None], model: onnx.ModelProto
) -> list[Value]:
    """Return what a node makes of its inputs.

    Raises:
        ModelError: If that is no affine map of the graph's input.
    """
    attributes = {part.name: helper.get_attribute_value(part) for part in proto.attribute}
    node = Node(proto.op_type, attributes, proto, inputs)
    if not any(isinstance(value, Batch) for value in inputs):
        return _evaluate(node, model)
    if proto.op_type not in _OPERATORS:
        raise node.refuse("is not known to be linear, so there is no linear model to export")
    node.require(len(proto.output) <= 1, "has more than one output")
    try:
        return [_OPERATORS[proto.op_type](node)]
    except Refused as refused:
        raise node.refuse(str(refused)) from None


def _evaluate(node: Node, model: onnx.ModelProto) -> list[Value]:
    node.require(
        node.operator in _FOLDED, "works on constants alone: have the exporter fold constants"
    )
    graph = helper.make_graph(
        [node.proto],
        "constants",
        [],
        [helper.make_empty_tensor_value_info(name) for name in node.proto.output],
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in zip(node.proto.input, node.inputs, strict=True)
            if name
        ],
    )
    opsets = [opset for opset in model.opset_import if opset.domain == ""]
    alone = helper.make_model(graph, opset_imports=opsets[:1], ir_version=model.ir_version)
    try:
        results = ReferenceEvaluator(alone).run(None, {})
    except Exception as error:  # it raises whatever NumPy does
        raise node.refuse("cannot be evaluated") from error
    return [np.asarray(result) for result in results]


# Operators that compute: sums, products with constants, and the layers made of them.


def _add(node: Node) -> Batch:
    batch, number, _ = node.operands(*node.inputs)
    return batch.with_values(batch.values.plus(number))


def _sum(node: Node) -> Batch:
    """Add constants to the one input that depends on the graph's, in their order."""
    first, *others = sorted(node.inputs, key=lambda value: not isinstance(value, Batch))
    batch = node.batch_of(first)
    for other in others:
        _, number, _ = node.operands(batch, other)
        batch = batch.with_values(batch.values.plus(number))
    return batch


def _subtract(node: Node) -> Batch:
    batch, number, batch_first = node.operands(*node.inputs)
    if batch_first:
        return batch.with_values(batch.values.plus(-number))
    return batch.with_values(_negative(batch.values).plus(number))


def _multiply(node: Node) -> Batch:
    batch, number, _ = node.operands(*node.inputs)
    return batch.with_values(batch.values.times(number))


def _divide(node: Node) -> Batch:
    batch, number, batch_first = node.operands(*node.inputs)
    node.require(batch_first, "divides by what depends on the input, which is not linear")
    node.require(bool(np.all(number)), "divides by 0")
    return batch.with_values(batch.values.over(number))


def _negate(node: Node) -> Batch:
    return node.batch.with_values(_negative(node.batch.values))


def _negative(values: Values) -> Values:
    return values.times(np.array(-1.0))


def _matmul(node: Node) -> Batch:
    return _product(node, *node.inputs)


def _product(node: Node, left: Value | None, right: Value | None) -> Batch:
    across = "multiplies across rows"
    if isinstance(left, Batch):
        weight = node.numbers(right)
        node.require(left.layout == "rows" and weight.ndim in (1, 2), across)
        mixed = left.with_values(_through(node, left.values, np.atleast_2d(weight.T)))
        return replace(mixed, layout="line") if weight.ndim == 1 else mixed
    weight, batch = node.numbers(left), node.batch_of(right)
    node.require(batch.layout == "columns" and weight.ndim == 2, across)
    return batch.with_values(_through(node, batch.values, weight))


def _gemm(node: Node) -> Batch:
    """Alpha * A @ B + beta * C, with A and B transposed where asked."""
    left, right, *bias = node.inputs
    left = left.T if node.get("transA", 0) and left is not None else left
    right = right.T if node.get("transB", 0) and right is not None else right
    product = _product(node, left, right)
    values = product.values
    alpha, beta = (float(node.get(name, 1.0)) for name in ("alpha", "beta"))
    values = values.times(np.array(alpha)) if alpha != 1 else values
    if bias and bias[0] is not None:
        _, numbers, _ = node.operands(product, bias[0])
        scaled = numbers * beta  # exact for float32 numbers and factors, rounded once for others
        node.require(bool(np.isfinite(scaled).all()), "overflows")
        values = values.plus(scaled)
    return product.with_values(values)


def _scaler(node: Node) -> Batch:
    """(x - offset) * scale."""
    batch = node.batch
    offset, scale = (np.array(node.get(name, ()), np.float64) for name in ("offset", "scale"))
    fits = offset.size == scale.size and scale.size in (1, batch.values.width)
    node.require(batch.layout == "rows" and fits, "has not one offset and one scale per feature")
    # It answers in float32, whatever it is given.
    return batch.with_values(batch.values.cast(FLOAT32).plus(-offset).times(scale))


def _linear_regressor(node: Node) -> Batch:
    """X @ coefficients.T + intercepts."""
    batch = node.batch
    num_targets = node.get("targets", 1)
    weight, bias = (np.array(node.get(n, ()), np.float64) for n in ("coefficients", "intercepts"))
    node.require(batch.layout == "rows", "takes what is no table")
    plain = node.get("post_transform", b"NONE") == b"NONE"
    node.require(plain, "transforms what it predicts, which is not linear")
    fits = 0 < weight.size == num_targets * batch.values.width and bias.size in (0, num_targets)
    node.require(fits, "has not one coefficient per target and feature")
    mixed = _through(node, batch.values.cast(FLOAT32), weight.reshape(num_targets, -1))
    return batch.with_values(mixed.plus(bias) if bias.size else mixed)


def _batch_normalization(node: Node) -> Batch:
    batch = node.batch
    gain, shift, mean, variance = map(node.numbers, node.inputs[1:])
    sizes = {array.shape for array in (gain, shift, mean, variance)}
    fits = batch.layout == "rows" and sizes == {(batch.values.width,)}
    node.require(fits, "has not one of each number per feature")
    node.require(
        not node.get("training_mode", 0),
        "normalises by the batch at hand: export the model in evaluation mode",
    )
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
    given = weight.shape[1]
    node.require(
        given == values.width, f"has a weight for {given} values, and is given {values.width}"
    )
    return values.through(weight)


# Operators that move values and keep them: what stays one row, or one value, per input row.


def _same(node: Node) -> Batch:
    return node.batch


def _cast(node: Node) -> Batch:
    whole = "makes whole numbers of what is computed, which is not linear"
    node.require(node.get("to") in _FLOATS, whole)
    return node.batch.with_values(node.batch.values.cast(_FLOATS[node.get("to")]))


def _transpose(node: Node) -> Batch:
    batch = node.batch
    rank = 1 if batch.layout == "line" else 2
    order = list(node.get("perm") or range(rank)[::-1])
    return batch if order == list(range(rank)) else batch.T


def _reshape(node: Node) -> Batch:
    batch, shape = node.batch, node.integers(1)
    width = batch.values.width
    node.require(batch.is_table, "mixes rows")
    free = [-1] if batch.rows is None else [-1, batch.rows]
    if not node.get("allowzero", 0):
        free.append(0)
    if len(shape) == 1 and width == 1 and shape[0] in free:
        return replace(batch, layout="line")
    as_rows = len(shape) == 2 and shape[0] in free and shape[1] == width
    node.require(
        as_rows or (shape == [0, -1] and 0 in free),
        f"to {shape} does not keep each row of {width} values",
    )
    return replace(batch, layout="rows")


def _flatten(node: Node) -> Batch:
    batch = node.batch
    axes = (1, -1) if batch.layout == "rows" else (1,)
    node.require(batch.is_table and node.get("axis", 1) in axes, "joins rows")
    return replace(batch, layout="rows")


def _take(node: Node) -> Batch:
    """Choose columns, or put them into another order."""
    batch, places = node.batch, np.array(node.integers(1), np.int64)
    width = batch.values.width
    along = node.operator != "Gather" or node.get("axis", 0) in (1, -1)
    node.require(batch.layout == "rows" and along, "chooses rows")
    list_of = np.ndim(np.asarray(node.inputs[1])) == 1 or node.operator != "Gather"
    inside = len(places) > 0 and bool(((places >= -width) & (places < width)).all())
    node.require(list_of and inside, f"chooses other than some of {width} columns")
    return batch.with_values(batch.values.taken(places % width))


def _squeeze(node: Node) -> Batch:
    batch = node.batch
    keeps = batch.layout == "rows" and _axes(node) in ([1], [-1])
    node.require(keeps, "takes out another dimension than that of the single target")
    return replace(batch, layout="line")


def _unsqueeze(node: Node) -> Batch:
    batch = node.batch
    keeps = batch.layout == "line" and _axes(node) in ([1], [-1])
    node.require(keeps, "adds a dimension that a table does not have")
    return replace(batch, layout="rows")


def _axes(node: Node) -> list[int]:
    """Since opset 13 the axes are an input."""
    return node.integers(1) if len(node.inputs) > 1 else list(node.get("axes") or ())


def _concatenate(node: Node) -> Batch:
    parts = [node.batch_of(value) for value in node.inputs]
    axes = (1, -1) if node.operator == "Concat" else (1,)
    node.require(node.get("axis", 1) in axes, "joins rows")
    node.require(all(part.layout == "rows" for part in parts), "joins what are no tables")
    widths = node.get("inputdimensions")
    node.require(widths in (None, [part.values.width for part in parts]), "cuts its inputs")
    joined = beside([part.values for part in parts])
    return parts[0].with_values(joined)


_OPERATORS: dict[str, Callable[[Node], Batch]] = {
    "Add": _add,
    "ArrayFeatureExtractor": _take,
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "Concat": _concatenate,
    "Div": _divide,
    "FeatureVectorizer": _concatenate,
    "Flatten": _flatten,
    "Gather": _take,
    "Gemm": _gemm,
    "Identity": _same,
    "LinearRegressor": _linear_regressor,
    "MatMul": _matmul,
    "Mul": _multiply,
    "Neg": _negate,
    "Reshape": _reshape,
    "Scaler": _scaler,
    "Squeeze": _squeeze,
    "Sub": _subtract,
    "Sum": _sum,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
