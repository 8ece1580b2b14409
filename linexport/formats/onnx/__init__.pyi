from . import (
    graph as graph,
    wire as wire,
)
from ._format import (
    Onnx as Onnx,
    OnnxSummary as OnnxSummary,
)
from ._runtime import OrtEngine as OrtEngine
