from ._inputs import (
    as_features as as_features,
)
from ._inputs import (
    as_prediction as as_prediction,
)
from ._metadata import artifact_metadata as artifact_metadata
from ._module import (
    FoldedModule as FoldedModule,
)
from ._module import (
    StandardizedModule as StandardizedModule,
)
from ._names import ONNX_FILE as ONNX_FILE
from ._protocols import (
    BoundRow as BoundRow,
)
from ._protocols import (
    Engine as Engine,
)
from ._protocols import (
    Exporter as Exporter,
)
from ._protocols import (
    Runtime as Runtime,
)
from ._pt2 import Pt2Exporter as Pt2Exporter
from ._pytorch import TorchRuntime as TorchRuntime
from ._torchscript import TorchScriptExporter as TorchScriptExporter
from ._writing import (
    DEFAULT_FORMATS as DEFAULT_FORMATS,
)
from ._writing import (
    FORMATS as FORMATS,
)
from ._writing import (
    export as export,
)
from ._writing import (
    reproduces as reproduces,
)
