"""Linear models in ONNX files, as the onnx package reads, checks and evaluates them.

`wire` draws the graphs. `read` accepts exactly what it writes, so that what `read` returns is what
any conforming runtime computes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, checker, numpy_helper
from onnx.reference import ReferenceEvaluator

from linexport._arrays import FloatArray, FloatDType, as_features, as_prediction
from linexport._files import LARGEST_FILE, first_line
from linexport.errors import ArtifactError, ExportError
from linexport.formats.onnx import wire as onnx_wire
from linexport.formats.onnx._messages import require_few
from linexport.formats.onnx._running import require_runnable
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
    "OnnxReferenceRuntime",
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


@dataclass(frozen=True, slots=True)
class OnnxReferenceRuntime:
    """onnx.reference.ReferenceEvaluator on one ONNX file."""

    dtype: FloatDType
    structure: LinearModel | None
    _evaluator: Any = field(repr=False)
    _input: str
    _num_features: int
    name: str = "onnx reference"
    provider: str = "NumPy"
    num_threads: int | None = None
    version: str = onnx.__version__

    @classmethod
    def open(cls, data: bytes) -> "OnnxReferenceRuntime":
        """Open an evaluator on a checked ONNX file.

        Raises:
            ArtifactError: If the file is not a single linear ONNX graph.
        """
        proto = require_runnable(check(data))
        name, dtype, num_features = _only_input(proto)
        try:
            evaluator = ReferenceEvaluator(proto)
        except Exception as error:  # an operator that is too old, or that it does not have
            raise ArtifactError(f"onnx's reference refuses the file: {error}") from error
        return cls(
            dtype=dtype,
            structure=read(proto),
            _evaluator=evaluator,
            _input=name,
            _num_features=num_features,
        )

    def predict(self, features: FloatArray) -> FloatArray:
        """Evaluate (N, D) -> (N, K).

        Raises:
            DataError: If the features are not (N, D) numbers.
            ArtifactError: If the evaluator refuses the batch.
        """
        batch = as_features(features, self.dtype, self._num_features)
        try:
            with np.errstate(all="ignore"):  # NaN and infinity are legitimate inputs
                (prediction,) = self._evaluator.run(None, {self._input: batch})
        except Exception as error:  # an operator fails as NumPy does, or in its own way
            raise ArtifactError(
                f"onnx's reference refuses a batch of {len(batch)} rows: {error}"
            ) from error
        return as_prediction(prediction)


def _only_input(proto: onnx.ModelProto) -> tuple[str, FloatDType, int]:
    """Return the name, dtype and width of the graph's one input."""
    inputs = inputs_of(proto)
    if len(inputs) != 1 or len(proto.graph.output) != 1:
        raise ArtifactError(
            f"The ONNX model must have one input and one output, got {len(inputs)} and "
            f"{len(proto.graph.output)}."
        )
    tensor = inputs[0].type.tensor_type
    if tensor.elem_type not in _DTYPES:
        raise ArtifactError("The ONNX model's input must be float32 or float64.")
    shape = tensor.shape.dim
    if len(shape) != 2 or shape[1].dim_value < 1:
        raise ArtifactError("The ONNX model's input must have shape [batch, features].")
    return inputs[0].name, _DTYPES[tensor.elem_type], shape[1].dim_value


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
