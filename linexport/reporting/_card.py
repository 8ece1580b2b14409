"""The bundle's README.md: a model card."""

from collections.abc import Sequence

from linexport.bundle import Manifest
from linexport.columns import Column
from linexport.encoding import Encoding
from linexport.formats import FORMATS
from linexport.model import LinearModel
from linexport.parity import Certificate
from linexport.reporting._budget import budget_blocks
from linexport.reporting._certificate import certificate_blocks, conclusion, summed
from linexport.reporting._encoding import encoding_blocks
from linexport.reporting._fit import fit_blocks
from linexport.reporting._table import Block, plain_lines

__all__ = ["model_card"]

_PRECISION = {
    "float32": (
        "Some runtimes compute float32 models with fewer bits, unless told otherwise: OpenVINO in",
        "bfloat16 (`INFERENCE_PRECISION_HINT` = `f32` keeps float32), onnxruntime on CUDA in TF32",
        "(`use_tf32` = `0`), TensorRT too (`NVIDIA_TF32_OVERRIDE=0`).",
    ),
    "float64": ("OpenVINO computes float64 models in float32.",),
}
"""What undoes the proof in runtimes that were not asked, by the artifacts' dtype."""


def model_card(model: LinearModel, manifest: Manifest, certificate: Certificate) -> bytes:
    """Return the card as Markdown: what it predicts, from what, how well, and how it is loaded."""
    features = ", ".join(f"`{name}`" for name in _names(manifest.features))
    targets = ", ".join(f"`{name}`" for name in _names(manifest.targets))
    lines = [
        "# Linear model",
        "",
        f"Predicts {targets} from {features}, in this order, as "
        f"{certificate.dtype}{summed(certificate)}.",
        "",
        f"Parity: {conclusion(certificate)}.",
        "",
        *_code("python", _example(model, certificate)),
        "",
        *_PRECISION[certificate.dtype],
        "",
        *_encoding(manifest.encoding),
        *_by_columns(model, certificate, manifest.encoding),
        "## Fit",
        "",
        *_text(fit_blocks(manifest.record, manifest.features, manifest.targets)),
        "",
        "## Parity",
        "",
        *_text(certificate_blocks(certificate)),
        "",
        "## Error budget",
        "",
        *_text(budget_blocks(manifest)),
        "",
        "Check it again at any time with `linexport verify` on this directory.",
    ]
    return ("\n".join(lines) + "\n").encode()


def _encoding(encoding: Encoding | None) -> list[str]:
    if encoding is None:
        return []
    names = ", ".join(f"`{name}`" for name in encoding.column_names)
    return [
        "## Encoding",
        "",
        f"These features are made of the columns {names} of a table: `linexport predict`, "
        "`linexport.load` and HTTP take the table's own columns, the artifacts the features, but "
        "for one that is said to take columns.",
        "",
        *_text(encoding_blocks(encoding)),
        "",
    ]


def _by_columns(
    model: LinearModel, certificate: Certificate, encoding: Encoding | None
) -> list[str]:
    """Show the artifacts that take a table's columns."""
    lines: list[str] = []
    for known in FORMATS.values():
        if known.takes_columns and known.file_name in certificate.artifacts:
            example = known.configured(encoding=encoding).example(model)
            lines += [
                "## By columns",
                "",
                f"`{known.file_name}` takes each column by its name. Where predicting would refuse "
                "a row, its predictions are NaN.",
                "",
                *_code("python", example),
                "",
            ]
    return lines


def _names(columns: Sequence[Column]) -> list[str]:
    return [f"{column.name} [{column.unit}]" if column.unit else column.name for column in columns]


def _text(blocks: Sequence[Block]) -> list[str]:
    return _code("text", plain_lines(blocks))


def _code(language: str, lines: Sequence[str]) -> list[str]:
    return [f"```{language}", *lines, "```"]


def _example(model: LinearModel, certificate: Certificate) -> list[str]:
    """Show the artifact that linexport itself would predict with, else the first."""
    used = [known for known in FORMATS.values() if known.file_name in certificate.artifacts]
    used = [known for known in used if not known.takes_columns] or used
    return min(used, key=lambda known: not known.predicts).example(model)
