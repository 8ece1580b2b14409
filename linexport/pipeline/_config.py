"""Settings of what is written."""

from typing import Literal

from linexport import formats
from linexport._settings import setting, settings
from linexport.parity import ProbeConfig

__all__ = ["ExportConfig"]


@settings
class ExportConfig(ProbeConfig):
    """What to write, and how thoroughly to check it."""

    formats: tuple[str, ...] = setting(
        default=formats.DEFAULT_FORMATS,
        choices=lambda: formats.FORMATS,
        flag="--format",
        help="Artifacts to write.",
    )
    dtype: Literal["float32", "float64"] = setting(default="float32", help="Of the artifacts.")
    form: Literal["auto", "folded", "standardized"] = setting(
        default="auto",
        help="Fold the scaler into the weights, or keep it as nodes; auto takes the more exact.",
    )
    opset_version: int | None = setting(
        default=None,
        flag="--opset",
        help="Of the ONNX file; 13 if not given, which every runtime in use takes.",
    )
    ir_version: int | None = setting(default=None, help="Of the ONNX file; 7 if not given.")
