"""Results as text, JSON and Markdown; no numerics."""

from typing import TYPE_CHECKING

from linexport._lazy import lazy_names

if TYPE_CHECKING:
    from linexport.reporting.card import model_card
    from linexport.reporting.document import (
        bundle_document,
        onnx_document,
        parity_document,
        render,
        training_document,
    )
    from linexport.reporting.text import (
        budget_lines,
        bundle_lines,
        conclusion,
        fit_lines,
        onnx_lines,
        parity_lines,
        training_lines,
    )

__all__ = [
    "budget_lines",
    "bundle_document",
    "bundle_lines",
    "conclusion",
    "fit_lines",
    "model_card",
    "onnx_document",
    "onnx_lines",
    "parity_document",
    "parity_lines",
    "render",
    "training_document",
    "training_lines",
]

__getattr__ = lazy_names(
    __name__,
    {
        "card": ("model_card",),
        "document": (
            "bundle_document",
            "onnx_document",
            "parity_document",
            "render",
            "training_document",
        ),
        "text": (
            "budget_lines",
            "bundle_lines",
            "conclusion",
            "fit_lines",
            "onnx_lines",
            "parity_lines",
            "training_lines",
        ),
    },
)
