from . import (
    file as file,
    graph as graph,
    wire as wire,
)
from ._engine import OrtEngine as OrtEngine
from ._format import Onnx as Onnx
from .file import OnnxSummary as OnnxSummary
