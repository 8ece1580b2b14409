"""What an ONNX file holds that may be anything.

A file that linexport wrote is recognised by its bytes. Any other is checked with the onnx package,
which is loaded only then.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from linexport.columns import Column
from linexport.formats.onnx import wire as onnx_wire
from linexport.model import LinearModel

if TYPE_CHECKING:
    import onnx

__all__ = ["OnnxSummary", "read", "read_named", "summarize"]


def read(data: bytes) -> LinearModel | None:
    """Check a file and return the model that it states, or None if linexport writes no such graph.

    Raises:
        ArtifactError: As `onnx_graph.check`.
    """
    written = onnx_wire.read(data)
    if written is not None:
        return written.model
    from linexport.formats.onnx import graph as onnx_graph

    return onnx_graph.read(onnx_graph.check(data))


def read_named(data: bytes) -> LinearModel | None:
    """As `read`, under the names that the file carries.

    Raises:
        ArtifactError: As `onnx_graph.check` and `onnx_graph.read_named`.
    """
    written = onnx_wire.read(data)
    if written is not None:
        return onnx_wire.named(*written)
    from linexport.formats.onnx import graph as onnx_graph

    return onnx_graph.read_named(onnx_graph.check(data))


class OnnxSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What an ONNX file says of itself."""

    bytes: int
    ir_version: int
    opset_versions: dict[str, int]
    """By operator domain; the standard one is the empty string."""
    operators: tuple[str, ...]
    inputs: dict[str, str]
    """By name, such as float32 [batch, 2]."""
    outputs: dict[str, str]
    producer: str
    form: str | None
    """folded or centred; None where the graph is not one that `write` writes."""
    features: tuple[Column, ...]
    targets: tuple[Column, ...]
    metadata: dict[str, str]


def summarize(data: bytes) -> OnnxSummary:
    """Check a file and say what it holds.

    Raises:
        ArtifactError: As `check` and `read_named`.
    """
    from linexport.formats.onnx import graph as onnx_graph

    proto = onnx_graph.check(data)
    model = onnx_graph.read_named(proto)
    constants = {tensor.name for tensor in proto.graph.initializer}
    return OnnxSummary(
        bytes=len(data),
        ir_version=proto.ir_version,
        opset_versions={entry.domain: entry.version for entry in proto.opset_import},
        operators=tuple(node.op_type for node in proto.graph.node),
        inputs=_described(value for value in proto.graph.input if value.name not in constants),
        outputs=_described(proto.graph.output),
        producer=proto.producer_name,
        form=None if model is None else model.form,
        features=model.features if model is not None else (),
        targets=model.targets if model is not None else (),
        metadata=onnx_graph.read_metadata(proto),
    )


def _described(values: "Iterable[onnx.ValueInfoProto]") -> dict[str, str]:
    return {value.name: _type_and_shape(value.type.tensor_type) for value in values}


def _type_and_shape(tensor: "onnx.TypeProto.Tensor") -> str:
    from onnx import TensorProto

    # Of an optional or a sequence the tensor type is empty: it is called undefined.
    name = TensorProto.DataType.Name(tensor.elem_type).lower()
    name = {"float": "float32", "double": "float64"}.get(name, name)
    sizes = [
        str(size.dim_value) if size.HasField("dim_value") else size.dim_param or "?"
        for size in tensor.shape.dim
    ]
    return f"{name} [{', '.join(sizes)}]"
