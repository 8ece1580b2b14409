from ._version import __version__ as __version__
from .bundle import Bundle as Bundle
from .bundle import ErrorBudget as ErrorBudget
from .bundle import FileRecord as FileRecord
from .bundle import Manifest as Manifest
from .bundle import read_bundle as read_bundle
from .columns import Column as Column
from .errors import (
    ArtifactError as ArtifactError,
)
from .errors import (
    BundleError as BundleError,
)
from .errors import (
    ConfigError as ConfigError,
)
from .errors import (
    DataError as DataError,
)
from .errors import (
    ExportError as ExportError,
)
from .errors import (
    ExtrapolationWarning as ExtrapolationWarning,
)
from .errors import (
    LinexportError as LinexportError,
)
from .errors import (
    ModelError as ModelError,
)
from .errors import (
    ParityError as ParityError,
)
from .errors import (
    PrecisionError as PrecisionError,
)
from .errors import (
    TrainingError as TrainingError,
)
from .errors import (
    UnavailableError as UnavailableError,
)
from .fit import Coefficients as Coefficients
from .fit import CoefficientStatistics as CoefficientStatistics
from .fit import EpochEnd as EpochEnd
from .fit import Fit as Fit
from .fit import FitRecord as FitRecord
from .fit import FitStatistics as FitStatistics
from .fit import Metrics as Metrics
from .fit import OptimumDistance as OptimumDistance
from .fit import TargetStatistics as TargetStatistics
from .formats import (
    BoundRow as BoundRow,
)
from .formats import (
    Engine as Engine,
)
from .formats import (
    Format as Format,
)
from .formats import (
    Runtime as Runtime,
)
from .formats.onnx import OnnxSummary as OnnxSummary
from .least_squares import LeastSquaresConfig as LeastSquaresConfig
from .model import LinearModel as LinearModel
from .parity import CanaryReport as CanaryReport
from .parity import Comparison as Comparison
from .parity import ParityReport as ParityReport
from .parity import RuntimeReport as RuntimeReport
from .parity import Verdict as Verdict
from .pipeline import BundleInspection as BundleInspection
from .pipeline import (
    ExportConfig as ExportConfig,
)
from .pipeline import (
    Exported as Exported,
)
from .pipeline import (
    export as export,
)
from .pipeline import (
    inspect as inspect,
)
from .pipeline import (
    load as load,
)
from .pipeline import (
    predict_table as predict_table,
)
from .pipeline import (
    read_data as read_data,
)
from .pipeline import (
    serve as serve,
)
from .pipeline import (
    train_and_export as train_and_export,
)
from .pipeline import (
    verify as verify,
)
from .predicting import Predicted as Predicted
from .predicting import PredictedPart as PredictedPart
from .predicting import Predictor as Predictor
from .predicting import RecordBatchPredictor as RecordBatchPredictor
from .predicting import record_batch_predictor as record_batch_predictor
from .rows import (
    Dataset as Dataset,
)
from .rows import (
    Minibatches as Minibatches,
)
from .rows import Ranks as Ranks
from .rows import Rows as Rows
from .rows import TableRows as TableRows
from .rows import (
    load_array as load_array,
)
from .rows import (
    synthesize as synthesize,
)
from .rows import (
    synthetic_data as synthetic_data,
)
from .serving import Limits as Limits
from .serving import ServeConfig as ServeConfig
from .sgd import SGDConfig as SGDConfig
from .sources import Imported as Imported
from .sources import read_model as read_model
from .tables import Batch as Batch
from .tables import ReadProgress as ReadProgress
from .tables import WrittenRows as WrittenRows
from .training import Solver as Solver
from .training import train as train
