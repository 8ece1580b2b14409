"""Results as one JSON document for programs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from linexport.bundle import Manifest
from linexport.parity import Certificate

if TYPE_CHECKING:
    from linexport.formats.onnx import OnnxSummary
    from linexport.training import State

__all__ = [
    "StateDocument",
    "bundle_document",
    "certificate_document",
    "onnx_document",
    "render",
    "state_document",
    "training_document",
]


def training_document(
    bundle: str | None,
    manifest: Manifest,
    certificate: Certificate,
    precision: str,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """What `train-and-export --json` prints; `bundle` is null where parity failed."""
    return {
        "bundle": None if bundle is None else _unicode(bundle),
        **certificate_document(certificate),
        **msgspec.to_builtins(manifest.record),
        "error_budget": msgspec.to_builtins(manifest.error_budget),
        "precision": precision,
        "warnings": list(warnings),
    }


def certificate_document(certificate: Certificate) -> dict[str, Any]:
    """What `verify --json` prints: the certificate, and what failed in sentences."""
    return {**msgspec.to_builtins(certificate), "failures": list(certificate.failures)}


def bundle_document(
    path: str, manifest: Manifest, certificate: Certificate | None
) -> dict[str, Any]:
    """What `inspect --json` prints of a bundle; `verdict` is null where there is no certificate."""
    return {
        "kind": "bundle",
        "path": _unicode(path),
        "verdict": None if certificate is None else certificate.verdict,
        "digests_checked": True,  # a bundle whose digests differ is not opened
        "manifest": manifest.document(),
        "certificate": msgspec.to_builtins(certificate),
    }


def onnx_document(path: str, summary: "OnnxSummary") -> dict[str, Any]:
    """What `inspect --json` prints of an ONNX file."""
    return {"kind": "onnx", "path": _unicode(path), **msgspec.to_builtins(summary)}


class StateDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What `state --json` prints."""

    path: str
    rows: int
    rows_dropped: int
    parts: tuple[str, ...]
    digest: str


def state_document(path: str, state: "State") -> StateDocument:
    """Say what was written."""
    return StateDocument(
        path=_unicode(path),
        rows=state.num_rows,
        rows_dropped=state.rows_dropped,
        parts=state.parts,
        digest=state.digest,
    )


def render(document: Any) -> str:
    """Return a document, or any of our dataclasses, as indented JSON; NaN becomes null."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def _unicode(path: str) -> str:
    """Replace what is no text in the name of a file, and so has no form in JSON."""
    return path.encode("utf-8", "backslashreplace").decode()
