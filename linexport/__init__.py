"""Fit a linear regression, export it, and prove that every runtime predicts the same.

Names are looked up when first asked for, so that `import linexport` costs next to nothing and
predicting with an ONNX artifact never loads PyTorch.
"""

from typing import TYPE_CHECKING

from linexport._lazy import lazy_names

if TYPE_CHECKING:
    from linexport.bundle import Bundle, read_bundle
    from linexport.certificate import ParityReport
    from linexport.columns import Column
    from linexport.data import Dataset, load_array, synthesize, synthetic_data
    from linexport.errors import (
        ArtifactError,
        BundleError,
        ConfigError,
        DataError,
        ExportError,
        ExtrapolationWarning,
        LinexportError,
        ModelError,
        ParityError,
        PrecisionError,
        TrainingError,
        UnavailableError,
    )
    from linexport.manifest import Manifest
    from linexport.model import LinearModel
    from linexport.pipeline import (
        ExportConfig,
        Exported,
        export,
        inspect,
        load,
        predict,
        read_data,
        serve,
        train_and_export,
        verify,
    )
    from linexport.scoring import Predictor
    from linexport.sources import Imported, read_model
    from linexport.training import LeastSquaresConfig, SGDConfig, TrainingResult, train

__all__ = [
    "ArtifactError",
    "Bundle",
    "BundleError",
    "Column",
    "ConfigError",
    "DataError",
    "Dataset",
    "ExportConfig",
    "ExportError",
    "Exported",
    "ExtrapolationWarning",
    "Imported",
    "LeastSquaresConfig",
    "LinearModel",
    "LinexportError",
    "Manifest",
    "ModelError",
    "ParityError",
    "ParityReport",
    "PrecisionError",
    "Predictor",
    "SGDConfig",
    "TrainingError",
    "TrainingResult",
    "UnavailableError",
    "export",
    "inspect",
    "load",
    "load_array",
    "predict",
    "read_bundle",
    "read_data",
    "read_model",
    "serve",
    "synthesize",
    "synthetic_data",
    "train",
    "train_and_export",
    "verify",
]

__getattr__ = lazy_names(
    __name__,
    {
        "bundle": ("Bundle", "read_bundle"),
        "certificate": ("ParityReport",),
        "columns": ("Column",),
        "data": ("Dataset", "load_array", "synthesize", "synthetic_data"),
        "errors": (
            "ArtifactError",
            "BundleError",
            "ConfigError",
            "DataError",
            "ExportError",
            "ExtrapolationWarning",
            "LinexportError",
            "ModelError",
            "ParityError",
            "PrecisionError",
            "TrainingError",
            "UnavailableError",
        ),
        "manifest": ("Manifest",),
        "model": ("LinearModel",),
        "pipeline": (
            "ExportConfig",
            "Exported",
            "export",
            "inspect",
            "load",
            "predict",
            "read_data",
            "serve",
            "train_and_export",
            "verify",
        ),
        "scoring": ("Predictor",),
        "sources": ("Imported", "read_model"),
        "training": ("LeastSquaresConfig", "SGDConfig", "TrainingResult", "train"),
    },
)
