"""Constants of an ONNX graph that it computes from other constants.

They are evaluated by onnx's own reference implementation: operators that move numbers, or that
IEEE 754 rounds in one way only, so that every runtime has the same numbers. How many come out is
worked out before.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from linexport.sources._budget import Constants, Refused
from linexport.sources._onnx_node import Node
from linexport.sources._tensors import BATCH, Operand, Tensor, constant

__all__ = ["folded"]

_MOVING = frozenset({
    "Cast", "Concat", "Constant", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split",
    "Squeeze", "Transpose", "Unsqueeze",
})  # fmt: skip
"""Which leave each number what it is, so that the number of rows may be among them."""
_ELEMENTWISE = frozenset({
    "Abs", "Add", "And", "Ceil", "Clip", "DequantizeLinear", "Div", "Equal", "Floor", "Greater",
    "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min", "Mul", "Neg", "Not", "Or", "Reciprocal",
    "Relu", "Round", "Sign", "Sqrt", "Sub", "Where", "Xor",
})  # fmt: skip
_OTHER = frozenset({
    "ArrayFeatureExtractor", "CastLike", "ConstantOfShape", "Expand", "GatherElements", "GatherND",
    "Pad", "Range", "ReduceMax", "ReduceMin", "Shape", "Size", "Tile", "Trilu",
})  # fmt: skip


def folded(node: Node, model: onnx.ModelProto, given: Tensor) -> list[Operand]:
    """Return what a node makes of constants; a tensor where it makes them once for each row.

    Args:
        node: The node.
        model: The file, for its versions.
        given: The graph's input, which has the rows.

    Raises:
        Refused: If that is not known to be the same everywhere, or would be large.
    """
    operator, arrays = node.operator, [np.asarray(each) for each in node.operands]
    if any(_has_rows(array) for array in arrays) and operator not in _MOVING:
        return [_of_each_row(node, given)]
    if operator not in _MOVING | _ELEMENTWISE | _OTHER:
        raise Refused(
            "computes with constants alone, which runtimes may round each in their way: have the "
            "exporter fold constants, or run onnxsim over the file"
        )
    try:
        size = _SIZES.get(operator, _largest)(node, arrays)
        given.budget.charge(int(size))
        return [np.asarray(result) for result in _evaluated(node, model)]
    except Refused:
        raise
    except Exception as error:  # it raises whatever NumPy does
        raise Refused("cannot be evaluated: its constants do not fit each other") from error


def _has_rows(array: Constants) -> bool:
    return array.dtype == np.int64 and bool((array == BATCH).any())


def _of_each_row(node: Node, given: Tensor) -> Operand:
    """Return constants that are made once for each row."""
    if node.operator not in ("ConstantOfShape", "Expand"):
        raise Refused("computes with the number of rows, which is not known")
    if node.operator == "Expand":
        array, shape = np.asarray(node.operand(0)), node.shape(1)
    else:
        array, shape = _value(node), node.shape(0)
    batch = shape.index(BATCH)
    single = [1 if axis == batch else size for axis, size in enumerate(shape)]
    rank = max(array.ndim, len(single))
    aligned = np.broadcast_shapes(array.shape, (1,) * (rank - len(single)) + tuple(single))
    batch += rank - len(single)
    if shape.count(BATCH) > 1 or aligned[batch] != 1:
        raise Refused("makes constants that differ from row to row")
    given.budget.charge(int(np.prod(aligned, dtype=object)))
    return constant(np.broadcast_to(array, aligned), replace(given, batch=batch))


def _value(node: Node) -> Constants:
    value = node.get("value")
    return np.zeros((), np.float32) if value is None else numpy_helper.to_array(value).reshape(())


_KNOWN_FROM = {"DequantizeLinear": 19}
"""The first version that onnx evaluates; what the ones before it take, means the same in it."""


def _evaluated(node: Node, model: onnx.ModelProto) -> Sequence[Constants]:
    names = [name for name in node.proto.input if name]
    graph = helper.make_graph(
        [node.proto],
        "constants",
        [],
        [helper.make_empty_tensor_value_info(name) for name in node.proto.output if name],
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in dict(zip(names, node.operands, strict=True)).items()
        ],
    )
    versions = {
        each.domain: max(each.version, _KNOWN_FROM.get(node.operator, 0))
        for each in model.opset_import
    }
    opsets = [helper.make_opsetid(*each) for each in versions.items()]
    alone = helper.make_model(graph, ir_version=model.ir_version, opset_imports=opsets)
    with np.errstate(all="ignore"):
        results: Any = ReferenceEvaluator(alone).run(None, {})
    return list(results)


_Sizes = Callable[[Node, Sequence[Constants]], float]


def _largest(node: Node, arrays: Sequence[Constants]) -> float:  # noqa: ARG001 - as all of them
    return sum(array.size for array in arrays)


def _broadcast(node: Node, arrays: Sequence[Constants]) -> float:  # noqa: ARG001
    return _product(np.broadcast_shapes(*(array.shape for array in arrays)))


def _gathered(node: Node, arrays: Sequence[Constants]) -> float:
    data, indices = arrays
    axis = node.get("axis", 0) if node.operator == "Gather" else -1
    return float(data.size / max(data.shape[axis], 1) * indices.size)


def _expanded(node: Node, arrays: Sequence[Constants]) -> float:  # noqa: ARG001
    return _product(np.broadcast_shapes(arrays[0].shape, tuple(arrays[1].tolist())))


def _range(node: Node, arrays: Sequence[Constants]) -> float:  # noqa: ARG001
    start, limit, delta = (float(array) for array in arrays)
    return max(0.0, (limit - start) / delta + 1)


def _padded(node: Node, arrays: Sequence[Constants]) -> float:
    pads = node.integers(1, "pads", "its padding") or []
    return float(np.prod([float(n + sum(map(abs, pads))) for n in arrays[0].shape]))


def _product(shape: Sequence[int]) -> float:
    return float(np.prod([float(size) for size in shape]))


_SIZES: dict[str, _Sizes] = {
    **dict.fromkeys(_ELEMENTWISE - {"DequantizeLinear", "Clip"}, _broadcast),
    "ArrayFeatureExtractor": _gathered,
    "ConstantOfShape": lambda _, arrays: _product(arrays[0].tolist()),
    "Expand": _expanded,
    "Gather": _gathered,
    "GatherND": lambda _, arrays: float(arrays[0].size) * arrays[1].size,
    "Pad": _padded,
    "Range": _range,
    "Tile": lambda _, arrays: arrays[0].size * _product(arrays[1].tolist()),
}
