"""Writing a model in the formats asked for, and telling our own files from others."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from linexport.errors import ExportError

if TYPE_CHECKING:
    from linexport.formats._protocols import Exporter
    from linexport.model import LinearModel

__all__ = ["DEFAULT_FORMATS", "FORMATS", "export", "reproduces"]

FORMATS = ("torchscript", "onnx", "pt2")
DEFAULT_FORMATS = ("torchscript", "onnx")


def export(
    model: "LinearModel",
    formats: Iterable[str] = DEFAULT_FORMATS,
    *,
    metadata: Mapping[str, str],
    opset_version: int | None = None,
    ir_version: int | None = None,
) -> dict[str, bytes]:
    """Write a model in each format.

    Args:
        model: In the artifacts' dtype and form.
        formats: Of FORMATS; one that is named twice is written once.
        metadata: What the artifacts say of themselves, see `artifact_metadata`.
        opset_version: Of the ONNX file; old enough for every runtime in use if not given.
        ir_version: Likewise.

    Returns:
        Each file's bytes by its name. The same arguments give the same bytes.

    Raises:
        ExportError: If a format is unknown or cannot be written, or the ONNX versions cannot be.
    """
    versions = {"opset_version": opset_version, "ir_version": ir_version}
    onnx_settings = {name: value for name, value in versions.items() if value is not None}
    exporters = [_exporter(name, **onnx_settings) for name in dict.fromkeys(formats)]
    return {exporter.file_name: exporter.export(model, metadata) for exporter in exporters}


def reproduces(format_name: str, data: bytes, model: "LinearModel") -> bool:
    """Tell whether a TorchScript or pt2 file is, byte for byte, what is written here for a model.

    Loading such a file runs whatever it holds, so it is trusted only if it is known to hold nothing
    else. The metadata are taken from the file itself, which is not unpickled for that.

    Raises:
        ExportError: If the format is unknown.
    """
    from linexport.formats import _archive

    exporter = _exporter(format_name)
    metadata = _archive.read_metadata(data)
    return metadata is not None and exporter.export(model, metadata) == data


def _exporter(format_name: str, **onnx_settings: int) -> "Exporter":
    match format_name:
        case "torchscript":
            from linexport.formats._torchscript import TorchScriptExporter

            return TorchScriptExporter()
        case "onnx":
            from linexport.formats.onnx import OnnxExporter

            return OnnxExporter(**onnx_settings)
        case "pt2":
            from linexport.formats._pt2 import Pt2Exporter

            return Pt2Exporter()
    raise ExportError(f"There is no format '{format_name}': use {', '.join(FORMATS)}.")
