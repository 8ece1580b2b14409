from ._config import (
    DataConfig as DataConfig,
)
from ._config import (
    ExportConfig as ExportConfig,
)
from ._config import (
    FitConfig as FitConfig,
)
from ._export import (
    Exported as Exported,
)
from ._export import (
    export as export,
)
from ._inspect import (
    BundleInspection as BundleInspection,
)
from ._inspect import (
    inspect as inspect,
)
from ._predict import (
    load as load,
)
from ._predict import (
    predict_table as predict_table,
)
from ._serve import serve as serve
from ._train import (
    read_data as read_data,
)
from ._train import (
    train_and_export as train_and_export,
)
from ._train import (
    train_together as train_together,
)
from ._verify import verify as verify
