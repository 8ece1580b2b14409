from ._arrow import (
    RecordBatchPredictor as RecordBatchPredictor,
    record_batch_predictor as record_batch_predictor,
)
from ._config import (
    CheckRange as CheckRange,
    EvaluateConfig as EvaluateConfig,
    Missing as Missing,
    PredictConfig as PredictConfig,
)
from ._evaluation import (
    Evaluation as Evaluation,
    Measured as Measured,
    Residuals as Residuals,
    Sample as Sample,
    TargetEvaluation as TargetEvaluation,
    WithTruth as WithTruth,
    evaluated as evaluated,
    predicted_with_truth as predicted_with_truth,
)
from ._outputs import (
    Outputs as Outputs,
    side_by_side as side_by_side,
    with_ends as with_ends,
)
from ._parts import write_parts as write_parts
from ._predictor import Predictor as Predictor
from ._spread import (
    Interval as Interval,
    Spread as Spread,
)
from ._stream import (
    Predicted as Predicted,
    PredictedPart as PredictedPart,
    write_predictions as write_predictions,
)
