"""ONNX: `model.onnx`, a single file that any ONNX runtime reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

from linexport.formats import ONNX_FILE
from linexport.formats.onnx import graph as onnx_graph
from linexport.formats.onnx import wire as onnx_wire
from linexport.model import LinearModel

__all__ = ["OnnxExporter"]


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class OnnxExporter:
    """Writes the graph of `linexport.formats.onnx.wire`."""

    format: ClassVar[str] = "onnx"
    file_name: ClassVar[str] = ONNX_FILE

    opset_version: int = onnx_wire.DEFAULT_OPSET_VERSION
    ir_version: int = onnx_wire.DEFAULT_IR_VERSION

    def export(self, model: LinearModel, metadata: Mapping[str, str]) -> bytes:
        """Return the file; the same model, metadata and versions give the same bytes.

        Raises:
            ExportError: If the versions cannot be, or the file would be too large for ONNX.
        """
        return onnx_graph.write(
            model,
            opset_version=self.opset_version,
            ir_version=self.ir_version,
            metadata=metadata,
        )
