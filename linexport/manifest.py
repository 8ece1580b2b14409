"""What a bundle says of itself: manifest.json, as typed values.

docs/format.md describes the file field by field; this module is that page in code. Unknown fields
are ignored, so that a newer minor addition does not lock out an older reader; a newer
`format_version` is refused.
"""

from dataclasses import dataclass, field
from typing import Literal

import msgspec

from linexport.errors import BundleError
from linexport.model import Column

__all__ = [
    "FORMAT_VERSION",
    "Coefficients",
    "ErrorBudget",
    "FileRecord",
    "FitRecord",
    "Manifest",
    "Metrics",
    "OptimumDistance",
    "Setting",
    "decode",
    "encode",
]

FORMAT_VERSION = 1

Setting = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Coefficients:
    """One target's fit in raw feature units, float64."""

    intercept: float
    """Target units."""
    features: dict[str, float]
    """Target units per feature unit, by feature name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """How far predictions of the float64 fit are from one target's values."""

    rows: int
    rmse: float
    """Root of the mean squared error, target units."""
    mae: float
    """Mean absolute error, target units."""
    r2: float | None
    """1 - SSE / SST around the mean; None where the target does not vary."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimumDistance:
    """How far one target's fit is from the least-squares optimum on the training rows."""

    loss: float
    """Mean squared error of the fit, target units squared."""
    loss_at_optimum: float
    standard_errors: float | None
    """Largest coefficient distance, in standard errors; None without degrees of freedom."""
    prediction: float
    """Largest difference of predictions over the training range, target units."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FitRecord:
    """How the model came about."""

    solver: str
    """sgd, lstsq, or imported where the numbers came from elsewhere."""
    rows: int
    """Rows trained on."""
    rows_dropped: int = 0
    """Rows left out for a missing or non-finite value, as asked."""
    settings: dict[str, Setting] = field(default_factory=dict)
    """The solver's settings as used, defaults included."""
    coefficients: dict[str, Coefficients] = field(default_factory=dict)
    """By target name."""
    metrics: dict[str, dict[str, Metrics]] = field(default_factory=dict)
    """By part (training, test), then by target name."""
    optimum: dict[str, OptimumDistance] = field(default_factory=dict)
    """By target name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorBudget:
    """The largest errors of one target over the range of the training data, in target units."""

    fit: float | None
    """From the exact least-squares optimum; None where there is no training data to know it."""
    export: float
    """The fit's float64 coefficients against the artifact's exact meaning."""
    runtime: float
    """Bound on the rounding while predicting."""
    total: float
    """Their sum: a guarantee for every input in the range."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileRecord:
    """One file of the bundle."""

    format: str
    """onnx, torchscript, pt2, safetensors, parity or markdown."""
    bytes: int
    sha256: str
    """Lower-case hexadecimal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """manifest.json."""

    format: Literal["linexport-bundle"] = "linexport-bundle"
    format_version: int = FORMAT_VERSION
    dtype: Literal["float32", "float64"]
    form: Literal["folded", "standardized"]
    features: tuple[Column, ...]
    """In the order of the input."""
    targets: tuple[Column, ...]
    """In the order of the output."""
    fit: FitRecord
    error_budget: dict[str, ErrorBudget]
    """By target name."""
    versions: dict[str, str]
    """Of linexport, Python and the packages that wrote the bundle."""
    files: dict[str, FileRecord]
    """By file name; every file of the bundle but manifest.json itself."""


def encode(manifest: Manifest) -> bytes:
    """Return manifest.json: UTF-8, indented, one trailing newline, fields in a fixed order."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode(data: bytes) -> Manifest:
    """Parse and check manifest.json.

    Raises:
        BundleError: If it is not JSON, not a manifest, or of a newer format.
    """
    try:
        version = msgspec.json.decode(data, type=_Header).format_version
        if version <= FORMAT_VERSION:
            return msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BundleError(f"manifest.json is not a bundle's manifest: {error}.") from error
    raise BundleError(
        f"manifest.json has format version {version}, newer than {FORMAT_VERSION}: "
        "upgrade linexport to open this bundle."
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Header:
    """What every format version has."""

    format: Literal["linexport-bundle"]
    format_version: int
