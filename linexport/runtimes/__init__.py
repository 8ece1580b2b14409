"""From files to predictions: one module per engine.

Each engine is imported when first asked for, so that predicting with ONNX does not load PyTorch.
"""

import os
from typing import TYPE_CHECKING

from linexport._lazy import lazy_names

if TYPE_CHECKING:
    from linexport.runtimes.engine import OrtEngine, layouts
    from linexport.runtimes.exact import DoubleReference
    from linexport.runtimes.onnx_reference import OnnxReferenceRuntime
    from linexport.runtimes.onnxruntime import OrtRuntime
    from linexport.runtimes.pytorch import TorchRuntime

__all__ = [
    "DoubleReference",
    "OnnxReferenceRuntime",
    "OrtEngine",
    "OrtRuntime",
    "TorchRuntime",
    "layouts",
]

__getattr__ = lazy_names(
    __name__,
    {
        "engine": ("OrtEngine", "layouts"),
        "exact": ("DoubleReference",),
        "onnx_reference": ("OnnxReferenceRuntime",),
        "onnxruntime": ("OrtRuntime",),
        "pytorch": ("TorchRuntime",),
    },
)

# onnxruntime reports its use to its maker, unless it is told not to before it is imported. The
# thread that does so is missing after a fork, and a child that waits for it never exits.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
