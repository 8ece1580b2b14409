"""What `inspect` says, as text for a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from linexport.bundle import Manifest
from linexport.columns import Column
from linexport.parity import Certificate
from linexport.reporting._encoding import encoding_lines
from linexport.reporting._text import (
    budget_lines,
    conclusion,
    cut,
    fit_lines,
    number,
    summed,
    table,
    with_unit,
)

if TYPE_CHECKING:
    from linexport.formats.onnx import OnnxSummary

__all__ = ["bundle_lines", "onnx_lines"]


def bundle_lines(manifest: Manifest, certificate: Certificate | None) -> list[str]:
    """What a bundle is: inputs, outputs, fit, files, proof."""
    files = [
        [name, record.format, str(record.bytes), record.sha256]
        for name, record in manifest.files.items()
    ]
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    return [
        f"Bundle of a {manifest.form} {manifest.dtype} linear model{summed(manifest)}: "
        f"features [batch, {len(manifest.features)}] -> "
        f"prediction [batch, {len(manifest.targets)}]",
        *_column_lines("feature", manifest.features),
        *_column_lines("target", manifest.targets),
        *encoding_lines(manifest.encoding),
        *fit_lines(manifest.record, manifest.targets),
        *budget_lines(manifest.error_budget, manifest.record, manifest.features, manifest.targets),
        "Files, their sizes and digests checked",
        *table(["file", "format", "bytes", "SHA-256"], files),
        f"Written by {versions}",
        "No certificate." if certificate is None else f"Certificate: {conclusion(certificate)}",
    ]


def onnx_lines(summary: "OnnxSummary") -> list[str]:
    """What a bare ONNX file is."""
    form = f"a {summary.form} linear model" if summary.form else "not a graph that linexport writes"
    opsets = ", ".join(f"{name or 'ai.onnx'} {v}" for name, v in summary.opset_versions.items())
    return [
        f"ONNX file of {summary.bytes} bytes: {form}",
        *(f"  input {name}: {kind}" for name, kind in summary.inputs.items()),
        *(f"  output {name}: {kind}" for name, kind in summary.outputs.items()),
        f"  IR version {summary.ir_version}, opset {opsets}, by {summary.producer or 'unknown'}",
        f"  operators: {', '.join(summary.operators)}",
        *_column_lines("feature", summary.features),
        *_column_lines("target", summary.targets),
        *encoding_lines(summary.encoding),
        *(
            f"  {key}: {value}"
            for key, value in summary.metadata.items()
            if key not in ("encoding", "features", "targets")
        ),
    ]


def _column_lines(title: str, columns: Sequence[Column]) -> list[str]:
    rows = [
        [
            with_unit(column.name, column.unit),
            number(column.minimum),
            number(column.maximum),
            number(column.mean),
            number(column.standard_deviation),
        ]
        for column in columns
    ]
    return cut([title, "minimum", "maximum", "mean", "std"], rows) if rows else []
