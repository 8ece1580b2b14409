from ._config import (
    ExportConfig as ExportConfig,
    FitConfig as FitConfig,
)
from ._describe import describe as describe
from ._evaluate import evaluate as evaluate
from ._export import (
    Exported as Exported,
    export as export,
)
from ._opening import (
    BundleInspection as BundleInspection,
    inspect as inspect,
)
from ._predict import (
    load as load,
    predict_table as predict_table,
)
from ._report import report as report
from ._serve import serve as serve
from ._states import (
    add_up as add_up,
    fit_states as fit_states,
    write_state as write_state,
)
from ._train import (
    read_data as read_data,
    train_and_export as train_and_export,
    train_together as train_together,
)
from ._verify import verify as verify
from ._views import (
    drawn as drawn,
    score as score,
    shown as shown,
    summarized as summarized,
)
