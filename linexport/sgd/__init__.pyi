from ._config import SGDConfig as SGDConfig
from ._progress import (
    EpochEnd as EpochEnd,
)
from ._progress import (
    OnEpoch as OnEpoch,
)
from ._solver import fit_sgd as fit_sgd
