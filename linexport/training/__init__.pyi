from ._metrics import (
    evaluate as evaluate,
)
from ._metrics import (
    metrics_of as metrics_of,
)
from ._record import fit_record as fit_record
from ._train import (
    train as train,
)
