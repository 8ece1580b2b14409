from ._arrow import (
    RecordBatchPredictor as RecordBatchPredictor,
)
from ._arrow import (
    record_batch_predictor as record_batch_predictor,
)
from ._config import (
    CheckRange as CheckRange,
)
from ._config import (
    Missing as Missing,
)
from ._config import (
    PredictConfig as PredictConfig,
)
from ._parts import (
    write_parts as write_parts,
)
from ._predictor import (
    Predictor as Predictor,
)
from ._stream import (
    Predicted as Predicted,
)
from ._stream import (
    PredictedPart as PredictedPart,
)
from ._stream import (
    write_predictions as write_predictions,
)
