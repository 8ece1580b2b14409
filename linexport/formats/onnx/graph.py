"""Linear models in ONNX files, as the onnx package reads and checks them.

`wire` draws the graphs. `read` accepts exactly what it writes, so that what `read` returns is what
any conforming runtime computes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, checker, numpy_helper

from linexport._arrays import FloatDType
from linexport._files import LARGEST_FILE, first_line
from linexport.errors import ArtifactError, ExportError
from linexport.formats.onnx import wire as onnx_wire
from linexport.formats.onnx._messages import require_few
from linexport.formats.onnx._sizes import inputs_of
from linexport.formats.onnx._versions import STANDARD_DOMAIN, check_versions, check_versions_of
from linexport.formats.onnx.wire import (
    DEFAULT_IR_VERSION,
    DEFAULT_OPSET_VERSION,
    METADATA_PREFIX,
    Layout,
)
from linexport.model import LinearModel

__all__ = [
    "check",
    "check_versions",
    "inputs_of",
    "parse",
    "read",
    "read_metadata",
    "read_named",
    "require_writable",
    "write",
]

_DTYPES: dict[int, FloatDType] = {
    onnx.TensorProto.FLOAT: np.dtype(np.float32),
    onnx.TensorProto.DOUBLE: np.dtype(np.float64),
}


def write(
    model: LinearModel,
    *,
    opset_version: int = DEFAULT_OPSET_VERSION,
    ir_version: int = DEFAULT_IR_VERSION,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """Return the model as an ONNX file; the same arguments give the same bytes.

    Raises:
        ConfigError: As `check_versions`.
        ExportError: If the file would pass protobuf's 2 GiB.
    """
    require_writable(model, opset_version, ir_version)
    data = onnx_wire.write(
        model, opset_version=opset_version, ir_version=ir_version, metadata=metadata
    )
    checker.check_model(data, full_check=True)
    return data


def require_writable(model: LinearModel, opset_version: int, ir_version: int) -> None:
    """Refuse a model or versions of which there is no file.

    Raises:
        ConfigError: As `check_versions`.
        ExportError: If the file would pass protobuf's 2 GiB.
    """
    check_versions(opset_version, ir_version)
    if sum(array.nbytes for array in model.arrays().values()) > LARGEST_FILE // 2:
        raise ExportError("The model passes the 1 GiB that one ONNX file is given here.")


def parse(data: bytes) -> onnx.ModelProto:
    """Parse a file that may be anything; the standard domain is then called "" throughout.

    Raises:
        ArtifactError: If it is not an ONNX model, or has too many parts.
    """
    require_few(data)
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except Exception as error:  # protobuf has no public base class that all its versions raise
        raise ArtifactError("This is not an ONNX file.") from error
    if not proto.graph.node:
        raise ArtifactError("This is not an ONNX file, or its graph is empty.")
    _require_text(proto)
    for part in (*proto.opset_import, *proto.graph.node):
        if part.domain == STANDARD_DOMAIN:
            part.ClearField("domain")
    return proto


def _require_text(message: Any) -> None:
    """Refuse a message with a text that is not UTF-8: onnx and its users each fail on it anew.

    Nesting is bounded: protobuf parses no message that is more than 100 deep.
    """
    for described, value in message.ListFields():
        if described.type not in (described.TYPE_STRING, described.TYPE_MESSAGE):
            continue
        alone = isinstance(value, bytes | str) or hasattr(value, "ListFields")
        for part in [value] if alone else value:
            if isinstance(part, bytes):
                raise ArtifactError(f"The ONNX file's {described.name} {part[:40]!r} is not UTF-8.")
            if not isinstance(part, str):
                _require_text(part)


def check(data: bytes) -> onnx.ModelProto:
    """Parse a file and refuse what no linear model needs, before anything else sees it.

    Raises:
        ArtifactError: If the file is no valid ONNX, is of versions that are not known here, refers
            to other files, has functions or subgraphs, or holds NaN or infinity.
    """
    proto = parse(data)
    if proto.functions or proto.graph.sparse_initializer or proto.training_info:
        raise ArtifactError(
            "The ONNX file has functions, sparse or training parts; none is needed."
        )
    check_versions_of(proto)
    for tensor in _tensors(proto):
        _check_tensor(tensor)
    try:
        # Its shapes are looked at by whoever needs them: some files that run state wrong ones.
        checker.check_model(_shaped(proto))
    except checker.ValidationError as error:
        raise ArtifactError(f"The ONNX file is not valid: {first_line(error)}") from error
    return proto


def _shaped(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return what the checker takes: it asks for shapes, of which runtimes need none."""
    both = [*proto.graph.input, *proto.graph.output]
    if all(value.type.tensor_type.HasField("shape") for value in both):
        return proto
    shaped = onnx.ModelProto()
    shaped.CopyFrom(proto)
    for value in (*shaped.graph.input, *shaped.graph.output):
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.shape.SetInParent()
    return shaped


def read(proto: onnx.ModelProto, layout: Layout | None = None) -> LinearModel | None:
    """Return the model that a graph states, or None if it is not one that `onnx_wire` writes."""
    try:
        arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
        model = LinearModel.from_arrays(
            {name: array if name == "weight" else array.ravel() for name, array in arrays.items()},
            dtype=_DTYPES[proto.graph.input[0].type.tensor_type.elem_type],
        )
        (opset,) = proto.opset_import
        check_versions(opset.version, proto.ir_version)
    except (
        LookupError,
        TypeError,
        ValueError,
    ):  # other names, other numbers, another opset than ONNX's own
        return None
    graph = parse(onnx_wire.write(model, layout)).graph
    return model if opset.domain == "" and proto.graph == graph else None


def read_metadata(proto: onnx.ModelProto) -> dict[str, str]:
    """Return what linexport noted in the file, without the prefix.

    Raises:
        ArtifactError: If it is noted twice, of which each reader takes another.
    """
    noted = [entry for entry in proto.metadata_props if entry.key.startswith(METADATA_PREFIX)]
    metadata = {entry.key.removeprefix(METADATA_PREFIX): entry.value for entry in noted}
    if len(metadata) < len(noted):
        raise ArtifactError("The ONNX file's metadata have a key twice.")
    return metadata


def read_named(proto: onnx.ModelProto) -> LinearModel | None:
    """Return the model that a graph states, under the names that the file carries, or None.

    Raises:
        ArtifactError: If its names are damaged or do not fit its numbers.
    """
    model = read(proto)
    return None if model is None else onnx_wire.named(model, read_metadata(proto))


def _tensors(proto: onnx.ModelProto) -> Sequence[TensorProto]:
    """Return every constant; refuse graphs within the graph and constants of other kinds."""
    attributes = [attribute for node in proto.graph.node for attribute in node.attribute]
    for attribute in attributes:
        if attribute.HasField("g") or attribute.graphs:
            raise ArtifactError("The ONNX file has subgraphs; no linear model needs them.")
        if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
            raise ArtifactError("The ONNX file has sparse tensors; no linear model needs them.")
        replaced = np.isnan(attribute.f) and attribute.name == "replaced_value_float"
        if not replaced and not np.isfinite([attribute.f, *attribute.floats]).all():
            raise ArtifactError(f"The ONNX file's attribute '{attribute.name}' is not finite.")
    return [
        *proto.graph.initializer,
        *(attribute.t for attribute in attributes if attribute.HasField("t")),
        *(tensor for attribute in attributes for tensor in attribute.tensors),
    ]


def _check_tensor(tensor: TensorProto) -> None:
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise ArtifactError(
            f"The ONNX file keeps '{tensor.name}' in another file, which is read only beside it "
            "and under the name that torch gives it, model.onnx.data: write a single file, with "
            "torch.onnx.export(..., external_data=False) or onnx.save(onnx.load(path), path)."
        )
    try:
        array = numpy_helper.to_array(tensor)
        # NumPy would make numbers of text, and of complex numbers their real parts.
        array = array.astype(np.float64, casting="no" if array.dtype.kind in "cOSU" else "unsafe")
    except Exception as error:  # NumPy, protobuf and onnx each fail their own way
        raise ArtifactError(
            f"The ONNX file's tensor '{tensor.name}' is damaged or holds no real numbers."
        ) from error
    if not np.isfinite(array).all():
        raise ArtifactError(f"The ONNX file's tensor '{tensor.name}' holds NaN or infinity.")
