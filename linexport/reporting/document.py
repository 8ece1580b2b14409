"""Results as one JSON document for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from linexport.certificate import ParityReport
from linexport.manifest import ErrorBudget, FitRecord

__all__ = ["parity_document", "render", "training_document"]


def training_document(
    bundle: str | None,
    fit: FitRecord,
    budgets: Mapping[str, ErrorBudget],
    report: ParityReport,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """What `train-and-export --json` prints; `bundle` is null where parity failed."""
    return {
        "bundle": bundle,
        **parity_document(report),
        **msgspec.to_builtins(fit),
        "error_budget": msgspec.to_builtins(dict(budgets)),
        "warnings": list(warnings),
    }


def parity_document(report: ParityReport) -> dict[str, Any]:
    """What `verify --json` prints: the certificate, and what failed in sentences."""
    return {**msgspec.to_builtins(report), "failures": list(report.failures)}


def render(document: Any) -> str:
    """Return a document, or any of our dataclasses, as indented JSON; NaN becomes null."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
