"""Graphs as they are: several inputs, whole numbers, a table's columns, any output."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from linexport._arrays import FloatArray, FloatDType, as_features, as_prediction
from linexport._files import first_line
from linexport.errors import ArtifactError, NotCheckedError
from linexport.formats.onnx import graph as onnx_graph
from linexport.formats.onnx._misread import misread
from linexport.formats.onnx._running import require_runnable
from linexport.model import LinearModel

__all__ = [
    "ForeignGraph",
    "GraphRuntime",
    "Input",
    "graph_of",
    "in_reference",
    "inputs_of",
    "open_columns",
    "open_foreign",
]

_NUMBERS = (
    onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.INT32, onnx.TensorProto.INT64
)  # fmt: skip
_BY_COLUMNS = " from table columns"


class Input(NamedTuple):
    """One input of a graph, which takes some columns."""

    name: str
    dtype: np.dtype[Any]
    width: int | None
    """None where the file leaves it open."""
    is_line: bool
    """Whether it is [batch], not [batch, width]."""
    rows: int | None = None
    """The batch, where the file freezes it."""


def inputs_of(proto: onnx.ModelProto) -> tuple[Input, ...]:
    """Return what a graph takes, in its order.

    Raises:
        NotCheckedError: If these are no columns of numbers.
    """
    inputs = onnx_graph.inputs_of(proto)
    if not inputs or len(proto.graph.output) != 1:
        raise NotCheckedError(
            f"the ONNX graph has {len(inputs)} inputs and {len(proto.graph.output)} outputs; "
            "predictions are one output of some inputs."
        )
    return tuple(map(_input, inputs))


def _input(value: onnx.ValueInfoProto) -> Input:
    tensor = value.type.tensor_type
    if tensor.elem_type not in _NUMBERS:
        text = tensor.elem_type == onnx.TensorProto.STRING
        raise NotCheckedError(
            f"the ONNX graph's input '{value.name}' takes neither float32, float64, int32 nor "
            f"int64{'; call a file of format onnx-columns model-columns.onnx' * text}."
        )
    sizes = [size.dim_value or None for size in tensor.shape.dim]
    if tensor.HasField("shape") and len(sizes) not in (1, 2):
        raise NotCheckedError(f"the ONNX graph's input '{value.name}' takes no table of numbers.")
    is_line = len(sizes) == 1
    width = 1 if is_line else sizes[1] if sizes else None
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    return Input(value.name, dtype, width, is_line, sizes[0] if sizes else None)


class ForeignGraph(NamedTuple):
    """What a checked file states of the graph in it."""

    proto: onnx.ModelProto
    inputs: tuple[Input, ...]
    answers: FloatDType
    """What it predicts in."""

    @property
    def num_operators(self) -> int:
        """How many operators it has."""
        return len(self.proto.graph.node)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of how it was run."""
        unasked = misread(self.proto)
        return (unasked,) if unasked else ()

    def dtypes(self, num_features: int) -> tuple[np.dtype[Any], ...]:
        """Return what each of so many columns is taken as."""
        widths = [num_features if each.width is None else each.width for each in self.inputs]
        return tuple(
            each.dtype
            for each, width in zip(self.inputs, widths, strict=True)
            for _ in range(width)
        )


def graph_of(data: bytes) -> ForeignGraph:
    """Check a file, and return what it states of its graph.

    Raises:
        ArtifactError: If it is damaged or hostile.
        NotCheckedError: If it cannot be run here.
    """
    proto = require_runnable(onnx_graph.check(data))
    return ForeignGraph(proto, inputs_of(proto), _answers(proto))


@dataclass(frozen=True, slots=True)
class GraphRuntime:
    """A graph as it is, in an engine."""

    name: str
    version: str
    provider: str
    num_threads: int | None
    dtype: FloatDType
    """Of predictions; each input has its own."""
    inputs: tuple[Input, ...] = field(repr=False)
    """What takes the features; empty where a table's columns are taken by name."""
    structure: LinearModel | None
    """The model that the graph is known to state."""
    _engine: Any = field(repr=False)

    def predict(self, features: Any) -> FloatArray:
        """Evaluate (N, D), each column converted to what its input takes, or columns -> (N, K).

        For no rows of features a graph of which nothing is known evaluates one, and returns none
        of it.

        Raises:
            DataError: If the features are not (N, D) numbers, as far as D is known.
            ArtifactError: If the engine refuses the batch.
        """
        if self.inputs and self.structure is not None:
            features = as_features(features, self.dtype, self.structure.num_features)
        elif self.inputs and not len(features):
            # Of none a foreign Reshape to [-1, ...] cannot tell how many there are.
            return self.predict(np.zeros((1, features.shape[1])))[:0]
        given = self._fed(np.asarray(features)) if self.inputs else dict(features)
        num_rows = len(next(iter(given.values())))
        try:
            with np.errstate(all="ignore"):  # NaN and infinity are legitimate inputs
                prediction = self._engine.run(None, given)[0]
        except Exception as error:  # engines fail each in their own way
            raise ArtifactError(
                f"{self.name.split(',')[0]} refuses a batch of {num_rows} rows: "
                f"{self._frozen(num_rows) or first_line(error)}"
            ) from error
        return as_prediction(prediction)

    def _frozen(self, num_rows: int) -> str:
        """Say what is wrong where the file takes batches of one size alone."""
        sizes = {each.rows for each in self.inputs} - {None, num_rows}
        if not sizes:
            return ""
        return (
            f"the file takes {sizes.pop()} at a time and no other number, as it was exported so; "
            "leave the batch free, in PyTorch by torch.onnx.export(..., "
            "dynamic_shapes=({0: torch.export.Dim('batch')},))."
        )

    def _fed(self, features: NDArray[Any]) -> dict[str, NDArray[Any]]:
        fed, start = {}, 0
        for each in self.inputs:
            end = features.shape[1] if each.width is None else start + each.width
            columns = np.ascontiguousarray(features[:, start:end], dtype=each.dtype)
            fed[each.name] = columns[:, 0] if each.is_line else columns
            start = end
        return fed


def open_foreign(data: bytes, proto: onnx.ModelProto) -> Iterator[GraphRuntime]:
    """Yield onnxruntime with one thread and all, optimized and not, and onnx's reference.

    Raises:
        NotCheckedError: If the file cannot be run here.
    """
    inputs = inputs_of(proto)
    try:
        yield from _in_onnxruntime(data, proto, inputs)
    except ArtifactError as error:
        raise NotCheckedError(str(error)) from error
    if misread(proto):
        return
    dtype = _answers(proto)
    if any(node.domain for node in proto.graph.node) and {each.dtype for each in inputs} != {dtype}:
        return  # its operators for machine learning answer in what they are given, not in float32
    try:
        reference = in_reference(proto, inputs)
    except ArtifactError:  # it lacks versions of some operators, as of DequantizeLinear before 19
        return
    yield reference


def open_columns(
    data: bytes, proto: onnx.ModelProto, structure: LinearModel | None
) -> Iterator[GraphRuntime]:
    """Yield the same of a graph that takes a table's columns.

    Raises:
        NotCheckedError: If the file does not answer in numbers.
        ArtifactError: If an engine refuses it.
    """
    yield from _in_onnxruntime(data, proto, (), structure, _BY_COLUMNS)
    if not misread(proto):
        yield in_reference(proto, (), structure, _BY_COLUMNS)


def in_reference(
    proto: onnx.ModelProto,
    inputs: tuple[Input, ...] = (),
    structure: LinearModel | None = None,
    taking: str = "",
) -> GraphRuntime:
    """Open onnx's own evaluator on a checked file.

    Raises:
        ArtifactError: If it refuses the file.
        NotCheckedError: If the file does not answer in numbers.
    """
    from onnx.reference import ReferenceEvaluator

    try:
        evaluator = ReferenceEvaluator(proto)
    except Exception as error:  # an operator that is too old, or that it does not have
        raise ArtifactError(f"onnx's reference refuses the file: {first_line(error)}") from error
    return GraphRuntime(
        f"onnx reference{taking}", onnx.__version__, "NumPy", None, _answers(proto), inputs,
        structure, evaluator,
    )  # fmt: skip


def _in_onnxruntime(
    data: bytes,
    proto: onnx.ModelProto,
    inputs: tuple[Input, ...] = (),
    structure: LinearModel | None = None,
    taking: str = "",
) -> Iterator[GraphRuntime]:
    import onnxruntime

    from linexport.formats.onnx._runtime import open_session, session_options

    dtype = _answers(proto)
    for num_threads in (1, None):
        for optimization in ("full", "off"):
            options = session_options(num_threads, optimization, takes_turns=True)
            session = open_session(data, options, "cpu")
            name = [f"onnxruntime{taking}"]
            name += ["1 thread"] if num_threads else []
            name += ["not optimized"] if optimization == "off" else []
            yield GraphRuntime(
                ", ".join(name), onnxruntime.__version__, session.get_providers()[0],
                num_threads or os.cpu_count(), dtype, inputs, structure, session,
            )  # fmt: skip


def _answers(proto: onnx.ModelProto) -> FloatDType:
    kind = proto.graph.output[0].type.tensor_type.elem_type
    if kind not in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE):
        raise NotCheckedError("the ONNX graph's output is neither float32 nor float64.")
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind))
