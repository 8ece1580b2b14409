"""A linear model as another tool's ONNX graph: what it is, is worked out from the graph.

Each node is applied to what is known of its inputs: numbers that the file states, or an affine map
of the graph's inputs. A node that does not make such a map is refused by its name, so nothing is
tried on samples. Numbers keep the precision in which they are stored: where the file computes in
float32, its float32 numbers are the model.
"""

from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper

from linexport._asked import asked
from linexport.errors import ArtifactError, ModelError
from linexport.formats import onnx as onnx_files, stated
from linexport.formats.onnx import columns as onnx_columns, graph as onnx_graph
from linexport.sources._budget import Budget, Refused
from linexport.sources._onnx_columns import read as read_columns, takes_a_table
from linexport.sources._onnx_operators import apply
from linexport.sources._onnx_widths import width_of
from linexport.sources._reading import Imported, composed, names_of
from linexport.sources._tensors import Operand, Tensor, input_tensor

__all__ = ["decode", "load", "read"]

OLDEST_OPSET_VERSION = 9
"""Since then operators broadcast, and normalise in inference, as they do today."""
_WHOLE = frozenset({onnx.TensorProto.INT32, onnx.TensorProto.INT64})
_NUMBERS = _WHOLE | {
    onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
}  # fmt: skip


def load(path: Path) -> bytes:
    """Read a file that may be anything, with the weights that torch puts beside it.

    Raises:
        ArtifactError: If it cannot be read.
    """
    return onnx_files.read_file(path)


def read(proto: Any, output: str | None = None) -> Imported:
    """Read a model from a ModelProto or torch's ONNXProgram, or what one of its outputs is.

    Raises:
        ArtifactError: As `decode`.
        ModelError: As `decode`; or if it is another of onnx's messages.
    """
    proto = getattr(proto, "model_proto", proto)
    if not isinstance(proto, onnx.ModelProto):
        raise ModelError(f"An onnx {type(proto).__name__} is no model: pass the ModelProto.")
    return decode(proto.SerializeToString(), output)


def decode(data: bytes, output: str | None = None) -> Imported:
    """Read a model from a file that may be anything.

    Raises:
        ArtifactError: If it is no valid ONNX, or has what no linear model needs.
        ConfigError: If it has several outputs, or none that is called so.
        ModelError: If its graph is not linear, or is beyond what is understood.
    """
    proto = onnx_graph.check(data)
    said = stated(onnx_graph.read_metadata(proto))
    ours = onnx_graph.read_named(proto) or onnx_columns.read(proto, said, said.encoding)
    if ours is not None and output in (None, proto.graph.output[0].name):
        if said.encoding is not None and said.encoding.features != ours.feature_names:
            raise ArtifactError("The ONNX file's encoding makes other features than it has.")
        return Imported(
            model=ours,
            source="linexport ONNX",
            features_named=said.features is not None,
            targets_named=said.targets is not None,
            encoding=said.encoding,
        )
    for opset in proto.opset_import:
        if opset.domain == "" and opset.version < OLDEST_OPSET_VERSION:
            raise ModelError(
                f"The ONNX file has opset {opset.version}; bring it to {OLDEST_OPSET_VERSION} or "
                "later with onnx.version_converter."
            )
    is_named = len(onnx_graph.inputs_of(proto)) > 1
    proto = onnx_files.selected(proto, output)
    if takes_a_table(proto):
        return read_columns(proto, _evaluated)
    return _evaluated(proto, is_named=is_named)


def _evaluated(proto: onnx.ModelProto, *, is_named: bool = False) -> Imported:
    graph, budget = proto.graph, Budget(proto.ByteSize())
    values: dict[str, Operand] = {
        tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer
    }
    names: list[str] = []
    tensors = []
    for value in onnx_graph.inputs_of(proto):
        tensor = _input(value, proto, start=len(names), budget=budget)
        tensors.append(tensor)
        names += names_of(value.name, tensor.values.width)
        values[value.name] = tensor
    if not tensors:
        raise ModelError("The ONNX graph's output does not depend on its input.")
    for node in graph.node:
        given = [values[name] if name else None for name in node.input]
        results = apply(node, given, proto, tensors[0])
        values |= dict(zip(node.output, results, strict=False))
    output = _predictions(values[graph.output[0].name], len(names))
    operators = ", ".join(dict.fromkeys(node.op_type for node in graph.node))
    return composed(output.flat(), names, f"ONNX graph of {operators}", is_named=is_named)


def _predictions(output: Operand, num_features: int) -> Tensor:
    if not isinstance(output, Tensor) or output.batch != 0 or output.is_whole:
        raise ModelError(
            "The ONNX graph's output is not one row of predictions per input row: transpose it, or "
            f"name another with {asked(graph_output=...)}."
        )
    if not output.places.size:
        raise ModelError("The ONNX graph's output has no predictions.")
    try:
        output.budget.charge(output.places.size * (num_features + Budget.OF_A_TARGET))
    except Refused as refused:
        raise ModelError(f"The ONNX graph's output {refused}.") from None
    return output


def _input(
    value: onnx.ValueInfoProto, proto: onnx.ModelProto, start: int, budget: Budget
) -> Tensor:
    tensor = value.type.tensor_type
    if tensor.elem_type not in _NUMBERS:
        raise ModelError(f"The ONNX graph's input '{value.name}' does not take numbers.")
    sizes = [size.dim_value for size in tensor.shape.dim]
    if tensor.HasField("shape") and len(sizes) not in (1, 2):
        raise ModelError(
            f"The ONNX graph's input '{value.name}' has {len(sizes)} dimensions: it must have the "
            "shape [batch, features], or [batch] for a column."
        )
    if len(sizes) == 1 and sizes[0] > 1:
        raise ModelError(
            f"The ONNX graph's input '{value.name}' is one row of {sizes[0]} values: export the "
            "model with the shape [batch, features]."
        )
    rows = sizes[0] or None if sizes else None
    width = None if len(sizes) == 1 else sizes[1] if sizes else 0
    if width == 0:
        width = width_of(value.name, proto)
    try:
        return input_tensor(
            width, start, rows=rows, budget=budget, is_whole=tensor.elem_type in _WHOLE
        )
    except Refused as refused:
        raise ModelError(f"The ONNX graph's input '{value.name}' {refused}.") from None
