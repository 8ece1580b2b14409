"""What one ONNX node makes of numbers and of affine maps of the input.

Operators on numbers alone are evaluated by onnx's own reference implementation, as far as they
cannot grow.
"""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from linexport.sources import _onnx_layers as layers, _onnx_shapes as shapes
from linexport.sources._onnx_values import Batch, Inputs, Node, Value, batch_of

_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)


def apply(proto: onnx.NodeProto, inputs: Inputs, model: onnx.ModelProto) -> list[Value]:
    """Return what a node makes of its inputs.

    Raises:
        ModelError: If that is no affine map of the graph's input.
    """
    attributes = {part.name: helper.get_attribute_value(part) for part in proto.attribute}
    node = Node(proto.op_type, attributes, proto)
    if not any(isinstance(value, Batch) for value in inputs):
        return _evaluate(node, inputs, model)
    if proto.op_type not in _OPERATORS:
        raise node.refuse("is not linear, so there is no linear model to export")
    if len(proto.output) > 1:
        raise node.refuse("has more than one output")
    return [_OPERATORS[proto.op_type](node, inputs)]


_FOLDED = frozenset({
    "Cast", "Constant", "Flatten", "Identity", "Neg", "Reshape", "Squeeze", "Transpose",
    "Unsqueeze",
})  # fmt: skip
"""On numbers alone: exact, or correctly rounded, and no larger than what is stored."""


def _evaluate(node: Node, inputs: Inputs, model: onnx.ModelProto) -> list[Value]:
    if node.operator not in _FOLDED:
        raise node.refuse("works on constants alone: have the exporter fold constants")
    names = [name for name in node.proto.input if name]
    graph = helper.make_graph(
        [node.proto],
        "constants",
        [],
        [helper.make_empty_tensor_value_info(name) for name in node.proto.output],
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in zip(node.proto.input, inputs, strict=True)
            if name in names
        ],
    )
    opsets = [opset for opset in model.opset_import if opset.domain in ("", "ai.onnx")]
    alone = helper.make_model(graph, opset_imports=opsets[:1], ir_version=model.ir_version)
    try:
        results = ReferenceEvaluator(alone).run(None, {})
    except Exception as error:  # it raises whatever NumPy does
        raise node.refuse("cannot be evaluated") from error
    return [np.asarray(result) for result in results]


def _same(node: Node, inputs: Inputs) -> Batch:
    return batch_of(node, inputs[0])


def _cast(node: Node, inputs: Inputs) -> Batch:
    if node.get("to") not in _FLOATS:
        raise node.refuse("makes whole numbers of what is computed, which is not linear")
    return batch_of(node, inputs[0])


_OPERATORS: dict[str, Callable[[Node, Inputs], Batch]] = {
    "Add": layers.add,
    "BatchNormalization": layers.batch_normalization,
    "Cast": _cast,
    "Concat": shapes.concatenate,
    "Div": layers.divide,
    "FeatureVectorizer": shapes.concatenate,
    "Flatten": shapes.flatten,
    "Gemm": layers.gemm,
    "Identity": _same,
    "LinearRegressor": layers.linear_regressor,
    "MatMul": layers.matmul,
    "Mul": layers.multiply,
    "Neg": layers.negate,
    "Reshape": shapes.reshape,
    "Scaler": layers.scaler,
    "Squeeze": shapes.squeeze,
    "Sub": layers.subtract,
    "Transpose": shapes.transpose,
    "Unsqueeze": shapes.unsqueeze,
}
