"""From files to predictions: one module per engine.

Each engine is imported when first asked for, so that predicting with ONNX does not load PyTorch.
"""

from typing import TYPE_CHECKING

from linexport._lazy import lazy_names

if TYPE_CHECKING:
    from linexport.runtimes.engine import OrtEngine
    from linexport.runtimes.exact import DoubleReference
    from linexport.runtimes.onnx_reference import OnnxReferenceRuntime
    from linexport.runtimes.onnxruntime import OrtRuntime
    from linexport.runtimes.pytorch import TorchRuntime

__all__ = ["DoubleReference", "OnnxReferenceRuntime", "OrtEngine", "OrtRuntime", "TorchRuntime"]

__getattr__ = lazy_names(
    __name__,
    {
        "engine": ("OrtEngine",),
        "exact": ("DoubleReference",),
        "onnx_reference": ("OnnxReferenceRuntime",),
        "onnxruntime": ("OrtRuntime",),
        "pytorch": ("TorchRuntime",),
    },
)
