from ._version import __version__ as __version__
from .bundle import (
    Bundle as Bundle,
    ErrorBudget as ErrorBudget,
    FileRecord as FileRecord,
    Manifest as Manifest,
    Origin as Origin,
    read_bundle as read_bundle,
)
from .columns import Column as Column
from .encoding import (
    CategoryColumn as CategoryColumn,
    DateColumn as DateColumn,
    Encoding as Encoding,
    NumberColumn as NumberColumn,
    Undecided as Undecided,
)
from .errors import (
    ArtifactError as ArtifactError,
    AssumedRangeWarning as AssumedRangeWarning,
    BundleError as BundleError,
    CoarseWarning as CoarseWarning,
    ConfigError as ConfigError,
    DataError as DataError,
    ExportError as ExportError,
    ExtrapolationWarning as ExtrapolationWarning,
    LinexportError as LinexportError,
    ModelError as ModelError,
    NotCheckedError as NotCheckedError,
    NotWrittenWarning as NotWrittenWarning,
    ParityError as ParityError,
    PrecisionError as PrecisionError,
    TrainingError as TrainingError,
    UnavailableError as UnavailableError,
)
from .fit import (
    Coefficients as Coefficients,
    CoefficientStatistics as CoefficientStatistics,
    EpochEnd as EpochEnd,
    Fit as Fit,
    Fitness as Fitness,
    FitRecord as FitRecord,
    FitStatistics as FitStatistics,
    Gradients as Gradients,
    Leverage as Leverage,
    Metrics as Metrics,
    OptimumDistance as OptimumDistance,
    TargetStatistics as TargetStatistics,
    Weighting as Weighting,
)
from .formats import (
    BoundRow as BoundRow,
    Engine as Engine,
    Format as Format,
    Runtime as Runtime,
)
from .formats.onnx import OnnxSummary as OnnxSummary
from .least_squares import LeastSquaresConfig as LeastSquaresConfig
from .model import LinearModel as LinearModel
from .parity import (
    CanaryResult as CanaryResult,
    Certificate as Certificate,
    Comparison as Comparison,
    RuntimeResult as RuntimeResult,
    StatementResult as StatementResult,
    Verdict as Verdict,
)
from .pipeline import (
    BundleInspection as BundleInspection,
    ExportConfig as ExportConfig,
    Exported as Exported,
    describe as describe,
    evaluate as evaluate,
    export as export,
    inspect as inspect,
    load as load,
    predict_table as predict_table,
    read_data as read_data,
    report as report,
    serve as serve,
    train_and_export as train_and_export,
    verify as verify,
)
from .predicting import (
    Evaluation as Evaluation,
    Interval as Interval,
    Measured as Measured,
    Outputs as Outputs,
    Predicted as Predicted,
    PredictedPart as PredictedPart,
    Predictor as Predictor,
    RecordBatchPredictor as RecordBatchPredictor,
    Residuals as Residuals,
    Spread as Spread,
    TargetEvaluation as TargetEvaluation,
    record_batch_predictor as record_batch_predictor,
)
from .rows import (
    Dataset as Dataset,
    Minibatches as Minibatches,
    Ranks as Ranks,
    Rows as Rows,
    TableRows as TableRows,
    load_array as load_array,
    synthesize as synthesize,
    synthetic_data as synthetic_data,
)
from .serving import Limits as Limits, ServeConfig as ServeConfig
from .sgd import SGDConfig as SGDConfig
from .sources import Imported as Imported, read_model as read_model
from .tables import (
    Batch as Batch,
    ColumnLook as ColumnLook,
    Dialect as Dialect,
    ReadProgress as ReadProgress,
    TableLook as TableLook,
    WrittenRows as WrittenRows,
)
from .training import (
    Solver as Solver,
    State as State,
    train as train,
)
