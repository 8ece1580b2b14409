"""ONNX: `model.onnx`, a single file that any ONNX runtime reads."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, final

from linexport.formats._format import Engine, Format, Runtime

if TYPE_CHECKING:
    from linexport.formats.onnx.file import OnnxSummary
    from linexport.model import LinearModel

__all__ = ["Onnx"]


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
        self._versions = {key: value for key, value in versions.items() if value is not None}
        if self._versions:
            from linexport.formats.onnx import graph

            graph.check_versions(**self._versions)

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

        return graph.write(model, metadata=metadata, **self._versions)

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
        from linexport.formats.onnx._runtime import OrtRuntime
        from linexport.formats.onnx.graph import OnnxReferenceRuntime

        for num_threads in (1, None):
            yield OrtRuntime.open(data, num_threads=num_threads)
            yield OrtRuntime.open(data, num_threads=num_threads, optimization="off")
            yield from _laid_out(data, num_threads)
        yield OnnxReferenceRuntime.open(data)

    def example(self, model: "LinearModel") -> list[str]:
        """Return lines of Python that load the file from the working directory and predict."""
        return [
            "import numpy, onnxruntime",
            "",
            "session = onnxruntime.InferenceSession('model.onnx')",
            f"features = numpy.zeros((1, {model.num_features}), numpy.{model.dtype})",
            "(prediction,) = session.run(None, {'features': features})",
        ]

    def shape(self, data: bytes) -> tuple[int, int | None]:
        """Return how many features and targets the file states; the latter if it does.

        Raises:
            ArtifactError: As `open`.
        """
        from linexport.formats.onnx._runtime import OrtRuntime

        session = OrtRuntime.open(data, num_threads=1).session
        inputs, outputs = session.get_inputs()[0].shape, session.get_outputs()[0].shape
        states_targets = len(outputs) == 2 and isinstance(outputs[1], int)
        return inputs[1], outputs[1] if states_targets else None

    def summarize(self, data: bytes) -> "OnnxSummary":
        """Check a file and say what it holds.

        Raises:
            ArtifactError: If it is no valid and linear ONNX graph, or its names are damaged.
        """
        from linexport.formats.onnx import file

        return file.summarize(data)

    def read(self, data: bytes) -> "LinearModel | None":
        """Check a file and return the model that it states under its names, if it is as ours are.

        Raises:
            ArtifactError: If it is no valid and linear ONNX graph, or its names are damaged.
        """
        from linexport.formats.onnx import file

        return file.read_named(data)

    def engine(self, data: bytes, *, num_threads: int | None, provider: str = "cpu") -> Engine:
        """Open sessions on a file in whichever process predicts.

        Raises:
            ArtifactError: As `open`.
            UnavailableError: If onnxruntime would not really use the provider.
        """
        from linexport.formats.onnx._engine import OrtEngine

        return OrtEngine(data, num_threads=num_threads, provider=provider)


def _laid_out(data: bytes, num_threads: int | None) -> Iterator[Runtime]:
    """Yield the other graphs that the predictor evaluates for the same file, if there are any."""
    from linexport.formats.onnx import graph, wire
    from linexport.formats.onnx._runtime import OrtRuntime, layouts

    stated = graph.read(graph.parse(data))
    for layout in layouts(stated):
        if stated is not None and layout is not None:
            turned = wire.write(stated, layout)
            structure = graph.read(graph.check(turned), layout)
            yield OrtRuntime.start(turned, structure, layout, num_threads=num_threads)
