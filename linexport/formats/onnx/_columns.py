"""ONNX by columns: `model-columns.onnx`, which takes a table's columns as they are."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, final

import msgspec

from linexport.encoding import CategoryColumn, DateColumn, Encoding
from linexport.formats._format import Format, Runtime, stated
from linexport.formats.onnx._format import Onnx, OnnxSummary

if TYPE_CHECKING:
    from linexport.model import LinearModel

__all__ = ["OnnxColumns"]


@final
class OnnxColumns(Format):
    """The graph of `linexport.formats.onnx.columns`."""

    name = "onnx-columns"
    file_name = "model-columns.onnx"
    takes_columns = True

    def __init__(self, *, encoding: Encoding | None = None, **versions: int | None) -> None:
        """Take what makes the features, and the versions as `Onnx` does.

        Raises:
            ConfigError: If there is no file of these versions.
        """
        self._encoding = encoding
        self._plain = Onnx(**versions)

    def configured(
        self,
        *,
        encoding: Encoding | None = None,
        opset_version: int | None = None,
        ir_version: int | None = None,
        **_: Any,
    ) -> "OnnxColumns":
        """Return the format of an encoding, None where the columns are the features.

        Raises:
            ConfigError: If there is no file of these versions.
        """
        return OnnxColumns(encoding=encoding, opset_version=opset_version, ir_version=ir_version)

    def write(self, model: "LinearModel", metadata: Mapping[str, str]) -> bytes:
        """Return the file; the same model, metadata, encoding and versions give the same bytes.

        Raises:
            ExportError: If the encoding does not make the model's features.
        """
        from linexport.formats.onnx import columns

        return columns.write(
            model, self._of(model), metadata=dict(metadata), **self._plain.versions
        )

    def open(
        self,
        data: bytes,
        model: "LinearModel",  # noqa: ARG002 - an ONNX file says what it is
        *,
        ours: bool,  # noqa: ARG002 - and what it holds
    ) -> Iterator[Runtime]:
        """Yield sessions with one thread and all, optimized and not, and a witness.

        Raises:
            ArtifactError: If the file is damaged or hostile, or the engine refuses it.
        """
        from linexport.formats.onnx import columns, graph
        from linexport.formats.onnx._foreign import open_columns

        proto = graph.check(data)
        said = stated(graph.read_metadata(proto))
        yield from open_columns(data, proto, columns.read(proto, said, self._encoding))

    def example(self, model: "LinearModel") -> list[str]:
        cells = []
        for column in self._of(model).columns:
            if isinstance(column, CategoryColumn):
                cells.append(f"    {column.name!r}: numpy.array([[{column.levels[0]!r}]], object),")
            else:
                days = f"  # days since {column.origin}" if isinstance(column, DateColumn) else ""
                cells.append(
                    f"    {column.name!r}: numpy.zeros((1, 1), numpy.{model.dtype}),{days}"
                )
        return [
            "import numpy, onnxruntime",
            "",
            f"session = onnxruntime.InferenceSession('{self.file_name}')",
            "(prediction,) = session.run(None, {",
            *cells,
            "})",
        ]

    def metadata(self, data: bytes) -> Mapping[str, str]:
        """Return what the file says under `linexport.`.

        Raises:
            ArtifactError: If it is no ONNX file, or says something twice.
        """
        from linexport.formats.onnx import graph

        return graph.read_metadata(graph.parse(data))

    def summarize(self, data: bytes) -> OnnxSummary:
        """Check a file and say what it holds.

        Raises:
            ArtifactError: As `Onnx.summarize`.
        """
        from linexport.formats.onnx import columns, graph

        plain = self._plain.summarize(data)
        proto, said = graph.check(data), stated(plain.metadata)
        model = columns.read(proto, said, said.encoding)
        if model is None:
            return plain
        return msgspec.structs.replace(
            plain, form=model.form, features=model.features, targets=model.targets
        )

    def _of(self, model: "LinearModel") -> Encoding:
        from linexport.formats.onnx import columns

        return self._encoding or columns.encoding_of(model.feature_names)
