"""The public verbs, each composing the layers below; loaded when called for.

Predicting and inspecting do not import torch, so the verbs live in modules of their own.
"""

from typing import TYPE_CHECKING

from linexport._lazy import lazy_names

if TYPE_CHECKING:
    from linexport.pipeline._export import ExportConfig, Exported, export
    from linexport.pipeline._inspect import BundleInspection, inspect
    from linexport.pipeline._predict import load, predict
    from linexport.pipeline._serve import serve
    from linexport.pipeline._train import read_data, train_and_export, train_together
    from linexport.pipeline._verify import verify

__all__ = [
    "BundleInspection",
    "ExportConfig",
    "Exported",
    "export",
    "inspect",
    "load",
    "predict",
    "read_data",
    "serve",
    "train_and_export",
    "train_together",
    "verify",
]

__getattr__ = lazy_names(
    __name__,
    {
        "_export": ("ExportConfig", "Exported", "export"),
        "_inspect": ("BundleInspection", "inspect"),
        "_predict": ("load", "predict"),
        "_serve": ("serve",),
        "_train": ("read_data", "train_and_export", "train_together"),
        "_verify": ("verify",),
    },
)
