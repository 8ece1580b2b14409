"""ONNX: the graph that is written, the files of others that are read, and the engines.

onnxruntime reports its use to its maker, unless it is told not to before it is imported. The thread
that does so is missing after a fork, and a child that waits for it never exits.
"""

import os

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
