"""A linear model as another tool's ONNX graph: what it is, is worked out from the graph.

Each node is applied to what is known of its inputs: numbers that the file states, or an affine map
of the graph's inputs. A node that does not make such a map is refused by its name, so nothing is
tried on samples. Numbers keep the precision in which they are stored: where the file computes in
float32, its float32 numbers are the model.
"""

from dataclasses import replace
from typing import Any

import onnx
from onnx import numpy_helper

from linexport.errors import ArtifactError, ModelError
from linexport.formats import stated
from linexport.formats.onnx import columns as onnx_columns, graph as onnx_graph
from linexport.numerics import input_columns, linear_model
from linexport.sources._onnx_columns import names_of, read as read_columns, takes_a_table
from linexport.sources._onnx_operators import apply
from linexport.sources._onnx_values import Batch, Value
from linexport.sources._reading import Imported

__all__ = ["decode", "read"]

OLDEST_OPSET_VERSION = 9
"""Since then operators broadcast, and normalise in inference, as they do today."""
_NUMBERS = frozenset({
    onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16, onnx.TensorProto.INT32, onnx.TensorProto.INT64,
})  # fmt: skip


def read(proto: Any) -> Imported:
    """Read a model from a ModelProto.

    Raises:
        ArtifactError: As `decode`.
        ModelError: As `decode`; or if it is another of onnx's messages.
    """
    if not isinstance(proto, onnx.ModelProto):
        raise ModelError(f"An onnx {type(proto).__name__} is no model: pass the ModelProto.")
    return decode(proto.SerializeToString())


def decode(data: bytes) -> Imported:
    """Read a model from a file that may be anything.

    Raises:
        ArtifactError: If it is no valid ONNX, or has what no linear model needs.
        ModelError: If its graph is not linear, or is beyond what is understood.
    """
    proto = onnx_graph.check(data, encoders=True)
    said = stated(onnx_graph.read_metadata(proto))
    ours = onnx_graph.read_named(proto) or onnx_columns.read(proto, said, said.encoding)
    if ours is not None:
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
    return read_columns(proto, _evaluated) if takes_a_table(proto) else _evaluated(proto)


def _evaluated(proto: onnx.ModelProto) -> Imported:
    graph = proto.graph
    values: dict[str, Value] = {
        tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer
    }
    inputs = onnx_graph.inputs_of(proto)
    names: list[str] = []
    for value in inputs:
        batch = _input(value, start=len(names), most=proto.ByteSize() - len(names))
        values[value.name] = batch
        names += names_of(value.name, batch.values.width)
    for node in graph.node:
        results = apply(node, [values[name] if name else None for name in node.input], proto)
        values |= dict(zip(node.output, results, strict=False))
    if len(graph.output) != 1:
        raise ModelError(f"The ONNX graph has {len(graph.output)} outputs; a linear model has one.")
    output = values[graph.output[0].name]
    if not isinstance(output, Batch) or not output.is_table:
        raise ModelError("The ONNX graph's output is not one row of predictions per input row.")
    if output.is_unmixed and output.values.width > 1:
        raise ModelError("The ONNX graph only scales its input; it has no linear layer.")
    model = linear_model(output.values, len(names))
    if len(inputs) > 1:
        columns = tuple(replace(c, name=n) for c, n in zip(model.features, names, strict=True))
        model = model.with_columns(columns, model.targets)
    operators = ", ".join(dict.fromkeys(node.op_type for node in graph.node))
    return Imported(
        model=model,
        source=f"ONNX graph of {operators}",
        features_named=len(inputs) > 1,
        values=output.values,
    )


def _input(value: onnx.ValueInfoProto, start: int, most: int) -> Batch:
    tensor = value.type.tensor_type
    if tensor.elem_type not in _NUMBERS:
        raise ModelError(f"The ONNX graph's input '{value.name}' does not take numbers.")
    sizes = tensor.shape.dim
    if len(sizes) != 2 or not sizes[1].dim_value > 0:
        raise ModelError(
            f"The ONNX graph's input '{value.name}' must have the shape [batch, features], with a "
            "stated number of features."
        )
    if sizes[1].dim_value > most:  # each takes a weight, of a byte at least
        raise ModelError(
            f"The ONNX graph's input '{value.name}' has {sizes[1].dim_value} features, more than "
            "the file has weights for."
        )
    return Batch(values=input_columns(sizes[1].dim_value, start), rows=sizes[0].dim_value or None)
