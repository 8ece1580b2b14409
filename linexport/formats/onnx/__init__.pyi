from . import (
    columns as columns,
    graph as graph,
    wire as wire,
)
from ._columns import (
    OnnxColumns as OnnxColumns,
)
from ._engine import OrtEngine as OrtEngine
from ._files import (
    read_file as read_file,
    relisted as relisted,
    selected as selected,
)
from ._foreign import (
    ForeignGraph as ForeignGraph,
    graph_of as graph_of,
)
from ._format import (
    Onnx as Onnx,
    OnnxSummary as OnnxSummary,
)
