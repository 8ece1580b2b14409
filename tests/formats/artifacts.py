"""Models of whole numbers, whose predictions are exact in any order, and files that hold them."""

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from rational import model_prediction

from linexport.model import LinearModel

TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float64): TensorProto.DOUBLE}


def whole_model(dtype="float32", *, centred=False, num_targets=2, num_features=3):
    random = np.random.default_rng(num_targets)

    def whole(*shape):
        return random.integers(-9, 10, shape).astype(dtype)

    mean = whole(num_features) if centred else None
    return LinearModel(weight=whole(num_targets, num_features), bias=whole(num_targets), mean=mean)


def whole_rows(model: LinearModel, num_rows: int = 7) -> np.ndarray:
    random = np.random.default_rng(num_rows)
    return random.integers(-99, 100, (num_rows, model.num_features)).astype(model.dtype)


def true_predictions(model: LinearModel, rows: np.ndarray) -> list[list[float]]:
    """In rational arithmetic; every one is a float of the model's dtype."""
    targets = range(model.num_targets)
    return [[float(model_prediction(model, row, k)) for k in targets] for row in rows.tolist()]


def onnx_file(
    nodes: list[onnx.NodeProto],
    arrays: Mapping[str, np.ndarray],
    *,
    num_features: int,
    dtype="float32",
    output_shape=("batch", None),
    domains: Mapping[str, int] | None = None,
) -> bytes:
    """An ONNX file as some other tool may write it, from `x` to `y`."""
    element = TYPES[np.dtype(dtype)]
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("x", element, ["batch", num_features])],
        [helper.make_tensor_value_info("y", element, list(output_shape))],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    opsets = [helper.make_opsetid(domain, v) for domain, v in (domains or {"": 13}).items()]
    proto = helper.make_model(graph, ir_version=7, opset_imports=opsets)
    return proto.SerializeToString()


def _matmul_and_add(model: LinearModel) -> bytes:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["xw"]),
        helper.make_node("Add", ["xw", "b"], ["y"]),
    ]
    arrays = {"w": np.ascontiguousarray(model.weight.T), "b": model.bias}
    return onnx_file(nodes, arrays, num_features=model.num_features, dtype=model.dtype)


def _transposed_gemm(model: LinearModel) -> bytes:
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=0)]
    arrays = {"w": np.ascontiguousarray(model.weight.T), "b": model.bias}
    return onnx_file(nodes, arrays, num_features=model.num_features, dtype=model.dtype)


def _linear_regressor(model: LinearModel) -> bytes:
    nodes = [
        helper.make_node(
            "LinearRegressor",
            ["x"],
            ["y"],
            domain="ai.onnx.ml",
            coefficients=model.weight.ravel().tolist(),
            intercepts=model.bias.tolist(),
            targets=model.num_targets,
        )
    ]
    domains = {"": 13, "ai.onnx.ml": 1}
    return onnx_file(nodes, {}, num_features=model.num_features, domains=domains)


def _one_target_without_an_axis(model: LinearModel) -> bytes:
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["column"], transB=1),
        helper.make_node("Squeeze", ["column", "axis"], ["y"]),
    ]
    arrays = {"w": model.weight, "b": model.bias, "axis": np.array([1])}
    return onnx_file(nodes, arrays, num_features=model.num_features, output_shape=("batch",))


FOREIGN: dict[str, tuple[LinearModel, Callable[[LinearModel], bytes]]] = {
    "MatMul and Add": (whole_model(), _matmul_and_add),
    "MatMul and Add, float64": (whole_model("float64"), _matmul_and_add),
    "transposed Gemm": (whole_model(), _transposed_gemm),
    "LinearRegressor": (whole_model(), _linear_regressor),
    "predictions [N]": (whole_model(num_targets=1), _one_target_without_an_axis),
}
"""The forms in which other tools write linear models."""
