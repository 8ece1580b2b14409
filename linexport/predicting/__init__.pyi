from ._arrow import (
    RecordBatchScorer as RecordBatchScorer,
)
from ._arrow import (
    record_batch_scorer as record_batch_scorer,
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
from ._parts import score_parts as score_parts
from ._plain import (
    score_plain as score_plain,
)
from ._plain import (
    suits as suits,
)
from ._predictor import Predictor as Predictor
from ._scored import (
    Part as Part,
)
from ._scored import (
    Scored as Scored,
)
from ._stream import score as score
