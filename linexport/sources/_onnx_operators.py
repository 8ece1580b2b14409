"""What one ONNX node makes of tensors that depend on the input: the table of operators.

`_onnx_moving` has those that move values, `_onnx_folding` what is computed of constants alone.
"""

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import TensorProto

from linexport.numerics import BFLOAT16, FLOAT16, FLOAT32, FLOAT64
from linexport.sources._arithmetic import (
    added,
    cast,
    divided,
    multiplied,
    negative,
    normalized,
    numbers_of,
    product,
    subtracted,
    totalled,
)
from linexport.sources._budget import Refused
from linexport.sources._onnx_folding import folded
from linexport.sources._onnx_moving import MOVING
from linexport.sources._onnx_node import Node
from linexport.sources._products import convolution, einsum
from linexport.sources._tensors import Operand, Tensor

__all__ = ["apply"]

_FLOATS = {
    TensorProto.FLOAT: FLOAT32,
    TensorProto.DOUBLE: FLOAT64,
    TensorProto.FLOAT16: FLOAT16,
    TensorProto.BFLOAT16: BFLOAT16,
}
_NOT_LINEAR = frozenset({
    "Abs", "And", "ArgMax", "ArgMin", "Binarizer", "Ceil", "Celu", "Clip", "Cos", "CumProd", "Elu",
    "Equal", "Erf", "Exp", "Floor", "GRU", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid",
    "HardSwish", "InstanceNormalization", "IsInf", "IsNaN", "LSTM", "LayerNormalization",
    "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax", "LpNormalization", "Max", "MaxPool",
    "Min", "Mish", "Mod", "Normalizer", "Not", "OneHotEncoder", "Or", "PRelu", "Pow", "RNN",
    "Reciprocal", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceMax", "ReduceMin", "ReduceProd",
    "ReduceSumSquare", "Relu", "Round", "SVMRegressor", "Selu", "Sigmoid", "Sign", "Sin",
    "Softmax", "Softplus", "Softsign", "Sqrt", "Tan", "Tanh", "ThresholdedRelu", "TopK",
    "TreeEnsembleRegressor", "Xor",
})  # fmt: skip
"""Of these it is known; of any other that is in no table it is not known that it is linear."""


def apply(
    proto: onnx.NodeProto, inputs: Sequence[Operand | None], model: onnx.ModelProto, given: Tensor
) -> Sequence[Operand]:
    """Return what a node makes of its inputs.

    Raises:
        ModelError: If that is no affine map of each row of the graph's input.
    """
    node = Node.of(proto, inputs)
    try:
        if not any(isinstance(each, Tensor) for each in inputs):
            return folded(node, model, given)
        results = _operator(node)(node)
    except Refused as refused:
        raise node.error(str(refused)) from None
    return [results] if isinstance(results, Tensor | np.ndarray) else results


def _operator(node: Node) -> "Callable[[Node], Operand | Sequence[Operand]]":
    known = MOVING | COMPUTING
    if node.operator in known and node.proto.domain in ("", "ai.onnx.ml"):
        return known[node.operator]
    if node.operator == "Imputer":
        raise Refused("replaces missing values, which is not linear: export the model without it")
    if node.operator in _NOT_LINEAR:
        raise Refused("is not linear in the model's input")
    raise Refused("is not known to be linear: docs/sources.md lists the operators that are")


def _add(node: Node) -> Tensor:
    return added(*node.operands)


def _mean(node: Node) -> Tensor:
    return divided(_add(node), np.array(float(len(node.operands))))


def _of_two(compute: Callable[[Operand, Operand], Tensor]) -> Callable[[Node], Tensor]:
    return lambda node: compute(node.operand(0), node.operand(1))


def _gemm(node: Node) -> Tensor:
    """Alpha * A @ B + beta * C, with A and B transposed where asked."""
    left, right = node.operand(0), node.operand(1)
    left = _turned(left) if node.get("transA", 0) else left
    right = _turned(right) if node.get("transB", 0) else right
    if not isinstance(left, Tensor) and not isinstance(right, Tensor):
        raise Refused("takes the model's input as its bias")
    total = product(left, right)
    alpha, beta = (float(node.get(name, 1.0)) for name in ("alpha", "beta"))
    total = multiplied(total, np.array(alpha)) if alpha != 1 else total
    bias = node.given(2)
    if bias is None:
        return total
    if isinstance(bias, Tensor):
        return added(total, multiplied(bias, np.array(beta)) if beta != 1 else bias)
    # Exact for float32 numbers and factors, rounded once for others.
    return added(total, numbers_of(bias) * beta)


def _turned(operand: Operand) -> Operand:
    return operand.transposed([1, 0]) if isinstance(operand, Tensor) else operand.T


def _einsum(node: Node) -> Tensor:
    return einsum(node.get("equation", b"").decode(), node.operands)


def _convolved(node: Node) -> Tensor:
    """Multiply what lies under a kernel of constants, at each of its positions."""
    plain = node.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")
    node.require(plain, "has a padding that is not understood")
    num_axes, bias = node.tensor.rank - 2, node.given(2)
    pads = node.get("pads", [0] * 2 * num_axes)
    return convolution(
        node.tensor,
        numbers_of(node.operand(1)),
        None if bias is None else numbers_of(bias),
        pads=list(zip(pads[:num_axes], pads[num_axes:], strict=False)),
        strides=node.get("strides", [1] * num_axes),
        dilations=node.get("dilations", [1] * num_axes),
        groups=node.get("group", 1),
    )


def _reduced(node: Node) -> Tensor:
    axes = node.integers(1, "axes", "its axes")
    if not axes and node.get("noop_with_empty_axes", 0):
        return node.tensor
    axes = axes or list(range(node.tensor.rank))
    is_mean = node.operator == "ReduceMean"
    return totalled(node.tensor, axes, keep=bool(node.get("keepdims", 1)), mean=is_mean)


def _cast(node: Node) -> Tensor:
    to = node.get("to")
    if to not in _FLOATS:
        raise Refused("makes whole numbers of the input, which is not linear")
    return cast(node.tensor, _FLOATS[to])


def _scaler(node: Node) -> Tensor:
    """(x - offset) * scale; it answers in float32, whatever it is given."""
    tensor = node.tensor
    offset, scale = (np.array(node.get(name, ()), np.float64) for name in ("offset", "scale"))
    fits = offset.size == scale.size and scale.size in (1, tensor.places.shape[-1])
    node.require(tensor.rank == 2 and fits, "has not one offset and one scale per feature")
    return multiplied(subtracted(cast(tensor, FLOAT32), offset), scale)


def _linear_regressor(node: Node) -> Tensor:
    """X @ coefficients.T + intercepts."""
    tensor = node.tensor
    num_targets = node.get("targets", 1)
    weight, bias = (np.array(node.get(n, ()), np.float64) for n in ("coefficients", "intercepts"))
    plain = node.get("post_transform", b"NONE") == b"NONE"
    node.require(plain, "transforms what it predicts, which is not linear")
    node.require(tensor.is_table and tensor.rank == 2, "takes what is no table")
    width = tensor.places.shape[1]
    fits = 0 < weight.size == num_targets * width and bias.size in (0, num_targets)
    node.require(fits, "has not one coefficient per target and feature")
    total = product(cast(tensor, FLOAT32), weight.reshape(num_targets, -1).T)
    return added(total, bias) if bias.size else total


def _batch_normalization(node: Node) -> Tensor:
    outputs = sum(1 for name in node.proto.output if name)
    node.require(
        not node.get("training_mode", 0) and outputs == 1,
        "normalises by the batch at hand: export the model in evaluation mode",
    )
    names = ("its gain", "its shift", "its mean", "its variance")
    gain, shift, mean, variance = (
        node.constants(place, name) for place, name in enumerate(names, start=1)
    )
    if mean is None or variance is None:
        raise Refused("has no mean or no variance")
    return normalized(
        node.tensor,
        1,
        mean=mean,
        variance=variance,
        gain=gain,
        shift=shift,
        epsilon=node.get("epsilon", float(np.float32(1e-5))),
    )


COMPUTING: dict[str, Callable[[Node], Tensor]] = {
    "Add": _add,
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "Conv": _convolved,
    "Div": _of_two(divided),
    "Einsum": _einsum,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda node: totalled(
        node.tensor, range(2, node.tensor.rank), keep=True, mean=True
    ),
    "LinearRegressor": _linear_regressor,
    "MatMul": _of_two(product),
    "Mean": _mean,
    "Mul": _of_two(multiplied),
    "Neg": lambda node: negative(node.tensor),
    "ReduceMean": _reduced,
    "ReduceSum": _reduced,
    "Scaler": _scaler,
    "Sub": _of_two(subtracted),
    "Sum": _add,
}
