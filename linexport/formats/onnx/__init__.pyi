from . import (
    file as file,
)
from . import (
    graph as graph,
)
from . import (
    wire as wire,
)
from ._engine import OrtEngine as OrtEngine
from ._format import Onnx as Onnx
from .file import OnnxSummary as OnnxSummary
