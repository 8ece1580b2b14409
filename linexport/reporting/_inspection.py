"""What `inspect` says, as text for a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from linexport._digits import digits_between
from linexport.bundle import Manifest
from linexport.columns import Column
from linexport.parity import Certificate
from linexport.reporting._budget import budget_blocks
from linexport.reporting._certificate import conclusion, summed
from linexport.reporting._encoding import encoding_blocks
from linexport.reporting._fit import fit_blocks
from linexport.reporting._table import Block, Table, cut, number, with_unit

if TYPE_CHECKING:
    from linexport.formats.onnx import OnnxSummary

__all__ = ["bundle_blocks", "column_blocks", "onnx_blocks"]


def bundle_blocks(manifest: Manifest, certificate: Certificate | None) -> list[Block]:
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
        *column_blocks("feature", manifest.features),
        *column_blocks("target", manifest.targets),
        *encoding_blocks(manifest.encoding),
        *fit_blocks(manifest.record, manifest.features, manifest.targets),
        *budget_blocks(manifest),
        "Files, their sizes and digests checked",
        Table(["file", "format", "bytes", "SHA-256"], files),
        f"Written by {versions}",
        "No certificate." if certificate is None else f"Certificate: {conclusion(certificate)}",
    ]


def onnx_blocks(summary: "OnnxSummary") -> list[Block]:
    """What a bare ONNX file is."""
    form = f"a {summary.form} linear model" if summary.form else "not a graph that linexport writes"
    opsets = ", ".join(f"{name or 'ai.onnx'} {v}" for name, v in summary.opset_versions.items())
    return [
        f"ONNX file of {summary.bytes} bytes: {form}",
        *(f"  input {name}: {kind}" for name, kind in summary.inputs.items()),
        *(f"  output {name}: {kind}" for name, kind in summary.outputs.items()),
        f"  IR version {summary.ir_version}, opset {opsets}, by {summary.producer or 'unknown'}",
        f"  operators: {', '.join(summary.operators)}",
        *column_blocks("feature", summary.features),
        *column_blocks("target", summary.targets),
        *encoding_blocks(summary.encoding),
        *(
            f"  {key}: {value}"
            for key, value in summary.metadata.items()
            if key not in ("encoding", "features", "targets")
        ),
    ]


def column_blocks(title: str, columns: Sequence[Column]) -> list[Block]:
    """A table of columns with what is known of their values."""
    rows = [
        [
            with_unit(column.name, column.unit),
            *_range(column),
            number(column.standard_deviation),
        ]
        for column in columns
    ]
    return cut([title, "minimum", "maximum", "mean", "std"], rows) if rows else []


def _range(column: Column) -> list[str]:
    """Both ends and the mean, in the digits that tell the ends apart."""
    digits = digits_between(column.minimum or 0.0, column.maximum or 0.0)
    known = (column.minimum, column.maximum, column.mean)
    return [number(value, digits=digits) for value in known]
