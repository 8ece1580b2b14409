"""ONNX: `model.onnx`, a single file that any ONNX runtime reads."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import msgspec

from linexport._documented import documented
from linexport._shown import Shown
from linexport.columns import Column
from linexport.encoding import Encoding
from linexport.formats._format import Engine, Format, Runtime, encoded, stated

if TYPE_CHECKING:
    import onnx

    from linexport.formats.onnx.wire import Written
    from linexport.model import LinearModel

__all__ = ["Onnx", "OnnxSummary", "written_in"]


@documented
class OnnxSummary(Shown, msgspec.Struct, frozen=True, kw_only=True):
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
    encoding: Encoding | None = None
    """What makes the features of a table's columns, where the file says so."""
    metadata: dict[str, str]


@final
class Onnx(Format):
    """The graph of `linexport.formats.onnx.wire`."""

    name = "onnx"
    file_name = "model.onnx"
    predicts = True

    def __init__(self, *, opset_version: int | None = None, ir_version: int | None = None) -> None:
        """Take the versions to write; old enough for every runtime in use where not given.

        Raises:
            ConfigError: If there is no file of these versions.
        """
        versions = {"opset_version": opset_version, "ir_version": ir_version}
        self.versions = {key: value for key, value in versions.items() if value is not None}
        """Those that were given."""
        if self.versions:
            from linexport.formats.onnx import graph

            graph.check_versions(**self.versions)

    def configured(
        self, *, opset_version: int | None = None, ir_version: int | None = None, **_: Any
    ) -> "Onnx":
        """Return the format that writes these versions.

        Raises:
            ConfigError: If there is no file of these versions.
        """
        return Onnx(opset_version=opset_version, ir_version=ir_version)

    def write(self, model: "LinearModel", metadata: Mapping[str, str]) -> bytes:
        """Return the file; the same model, metadata and versions give the same bytes.

        Raises:
            ExportError: If the file would be too large for ONNX.
        """
        from linexport.formats.onnx import graph

        return graph.write(model, metadata=metadata, **self.versions)

    def load(self, path: Path) -> bytes:
        """Return a file with the weights that torch.onnx.export puts beside it.

        Raises:
            ArtifactError: If it cannot be read.
        """
        from linexport.formats.onnx import _files

        return _files.read_file(path)

    def selected(self, data: bytes, output: str | None) -> bytes:
        """Return a file with one output alone, and what that depends on.

        Raises:
            ArtifactError: If it is damaged or hostile.
            ConfigError: If it has no output of that name, or several and none is named.
        """
        from linexport.formats.onnx import _files, graph

        proto = graph.check(data)
        chosen = _files.selected(proto, output)
        same = len(chosen.graph.node) == len(proto.graph.node)
        return (
            data
            if same and len(chosen.graph.input) == len(proto.graph.input)
            else (chosen.SerializeToString())
        )

    def open(
        self,
        data: bytes,
        model: "LinearModel",  # noqa: ARG002 - an ONNX file says what it is
        *,
        ours: bool,  # noqa: ARG002 - and what it holds
    ) -> Iterator[Runtime]:
        """Yield sessions with one thread and all, optimized and not, in every layout; a witness.

        Raises:
            ArtifactError: If the file is not a single linear ONNX graph, or the engine refuses it.
        """
        from linexport.formats.onnx import graph, wire
        from linexport.formats.onnx._foreign import in_reference, inputs_of, open_foreign
        from linexport.formats.onnx._running import require_runnable
        from linexport.formats.onnx._runtime import OrtRuntime

        proto = require_runnable(graph.check(data))
        structure = graph.read(proto)
        if structure is None:
            yield from open_foreign(data, proto)
            return
        for num_threads in (1, None):
            start = partial(OrtRuntime.start, num_threads=num_threads, takes_turns=True)
            yield start(data, structure)
            yield start(data, structure, optimization="off")
            for layout in wire.layouts(structure):
                if layout is not None:
                    turned = wire.write(structure, layout)
                    yield start(turned, graph.read(graph.check(turned), layout), layout)
        yield in_reference(proto, inputs_of(proto), structure)

    def example(self, model: "LinearModel") -> list[str]:
        return [
            "import numpy, onnxruntime",
            "",
            "session = onnxruntime.InferenceSession('model.onnx')",
            f"features = numpy.zeros((1, {model.num_features}), numpy.{model.dtype})",
            "(prediction,) = session.run(None, {'features': features})",
        ]

    def shape(self, data: bytes) -> tuple[int | None, int | None]:
        """Return how many features the file states, and how many predictions its graph makes.

        Raises:
            ArtifactError: As `open`.
        """
        from linexport.formats.onnx import graph
        from linexport.formats.onnx._foreign import inputs_of
        from linexport.formats.onnx._running import require_runnable
        from linexport.formats.onnx._sizes import num_predictions

        proto = require_runnable(graph.check(data))
        widths = [each.width for each in inputs_of(proto)]
        known = [width for width in widths if width is not None]
        return sum(known) if len(known) == len(widths) else None, num_predictions(proto)

    def metadata(self, data: bytes) -> Mapping[str, str]:
        """Return what the file says under `linexport.`; inputs of a column each name the features.

        Raises:
            ArtifactError: If it is no ONNX file, or says something twice.
        """
        from linexport.formats.onnx import graph

        proto = graph.parse(data)
        noted, inputs = graph.read_metadata(proto), graph.inputs_of(proto)
        widths = [[size.dim_value for size in each.type.tensor_type.shape.dim] for each in inputs]
        if len(inputs) == 1 or any(shape[1:] != [1] for shape in widths):
            return noted
        return {"features": encoded([{"name": each.name} for each in inputs])} | noted

    def summarize(self, data: bytes) -> OnnxSummary:
        """Check a file and say what it holds.

        Raises:
            ArtifactError: If it is no valid and linear ONNX graph, or its names are damaged.
        """
        from linexport.formats.onnx import graph

        proto = graph.check(data)
        model, noted = graph.read_named(proto), graph.read_metadata(proto)
        return OnnxSummary(
            bytes=len(data),
            ir_version=proto.ir_version,
            opset_versions={entry.domain: entry.version for entry in proto.opset_import},
            operators=tuple(node.op_type for node in proto.graph.node),
            inputs=_described(graph.inputs_of(proto)),
            outputs=_described(proto.graph.output),
            producer=proto.producer_name,
            form=None if model is None else model.form,
            features=() if model is None else model.features,
            targets=() if model is None else model.targets,
            encoding=stated(noted).encoding,
            metadata=noted,
        )

    def read(self, data: bytes) -> "LinearModel | None":
        """Check a file and return the model that it states under its names, if it is as ours are.

        Raises:
            ArtifactError: If it is no valid and linear ONNX graph, or its names are damaged.
        """
        from linexport.formats.onnx import wire

        written = written_in(data)
        return None if written is None else wire.named(*written)

    def engine(self, data: bytes, *, num_threads: int | None, provider: str = "cpu") -> Engine:
        """Open sessions on a file in whichever process predicts.

        Raises:
            ArtifactError: As `open`.
            UnavailableError: If onnxruntime would not really use the provider.
        """
        from linexport.formats.onnx._engine import OrtEngine

        return OrtEngine(data, num_threads=num_threads, provider=provider)


def written_in(data: bytes) -> "Written | None":
    """Check a file that may be anything, and return what its graph states, if it is as ours are.

    The onnx package is loaded for files only that `read` does not recognise.

    Raises:
        ArtifactError: As `graph.check`.
    """
    from linexport.formats.onnx import wire

    written = wire.read(data)
    if written is not None:
        return written
    from linexport.formats.onnx import graph
    from linexport.formats.onnx._running import require_runnable

    proto = graph.check(data)
    model = graph.read(proto)
    if model is None:
        require_runnable(proto)  # it will be, or nothing is known of it
        return None
    return wire.Written(model, graph.read_metadata(proto))


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
