"""From files to predictions: one module per engine.

Each engine is imported when first asked for, so that predicting with ONNX does not load PyTorch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linexport.runtimes.exact import DoubleReference
    from linexport.runtimes.onnx_reference import OnnxReferenceRuntime
    from linexport.runtimes.onnxruntime import OrtRuntime
    from linexport.runtimes.pytorch import TorchRuntime

__all__ = ["DoubleReference", "OnnxReferenceRuntime", "OrtRuntime", "TorchRuntime"]

_HOMES = {
    "DoubleReference": "exact",
    "OnnxReferenceRuntime": "onnx_reference",
    "OrtRuntime": "onnxruntime",
    "TorchRuntime": "pytorch",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
