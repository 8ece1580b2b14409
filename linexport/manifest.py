"""What a bundle says of itself: manifest.json, as typed values.

docs/format.md describes the file field by field; this module is that page in code. Unknown fields
are ignored, so that a newer minor addition does not lock out an older reader; a newer
`format_version` is refused.

The values are msgspec's structs: to define a dozen dataclasses takes as long as loading a fifth of
onnxruntime, and whoever predicts from a bundle reads its manifest.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import msgspec

from linexport.columns import Column
from linexport.errors import BundleError

__all__ = [
    "CARD_FILE",
    "CERTIFICATE_FILE",
    "FILE_FORMATS",
    "FORMAT_VERSION",
    "MANIFEST_FILE",
    "ONNX_FILE",
    "WEIGHTS_FILE",
    "CoefficientStatistics",
    "Coefficients",
    "ErrorBudget",
    "FileRecord",
    "FitRecord",
    "FitStatistics",
    "Manifest",
    "Metrics",
    "OptimumDistance",
    "Setting",
    "TargetStatistics",
    "coefficients_by_target",
    "decode",
    "encode",
]

FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"
WEIGHTS_FILE = "weights.safetensors"
ONNX_FILE = "model.onnx"
CERTIFICATE_FILE = "parity.json"
CARD_FILE = "README.md"
FILE_FORMATS = {
    CARD_FILE: "markdown",
    ONNX_FILE: "onnx",
    "model.pt": "torchscript",
    "model.pt2": "pt2",
    CERTIFICATE_FILE: "parity",
    WEIGHTS_FILE: "safetensors",
}
"""Every file that a bundle may list, with its format."""

Setting = str | int | float | bool | None


class Coefficients(msgspec.Struct, frozen=True, kw_only=True):
    """One target's fit in raw feature units, float64."""

    intercept: float
    """Target units."""
    features: dict[str, float]
    """Target units per feature unit, by feature name."""


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """How far predictions of the float64 fit are from one target's values."""

    rows: int
    rmse: float
    """Root of the mean squared error, target units."""
    mae: float | None
    """Mean absolute error, target units; None where it would have taken one more pass over rows
    that are not in memory."""
    r2: float | None
    """1 - SSE / SST around the mean; None where the target does not vary."""


class OptimumDistance(msgspec.Struct, frozen=True, kw_only=True):
    """How far one target's fit is from the least-squares optimum on the training rows."""

    loss: float
    """Mean squared error of the fit, target units squared."""
    loss_at_optimum: float
    standard_errors: float | None
    """Largest coefficient distance, in standard errors; None without degrees of freedom or where
    the data fit exactly."""
    prediction: float
    """Largest difference of predictions over the training range, target units."""


class CoefficientStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """One coefficient in raw units. None where it is not defined."""

    estimate: float
    standard_error: float | None
    """None without degrees of freedom."""
    t: float | None
    """None also where the fit is exact."""
    p_value: float | None
    """Two-sided, for the coefficient being 0."""
    lower: float | None
    """Of the interval with the confidence stated."""
    upper: float | None
    variance_inflation: float | None
    """1 where the feature is uncorrelated with all others; None where it is infinite, and for the
    intercept."""


class TargetStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The fit of one target. None where it is not defined."""

    intercept: CoefficientStatistics | None
    features: dict[str, CoefficientStatistics]
    degrees_of_freedom: float
    """nu, a whole number without a ridge."""
    residual_sum_of_squares: float
    """Target units squared."""
    total_sum_of_squares: float
    """Around the mean, or around 0 without an intercept."""
    residual_standard_deviation: float | None
    """s, target units."""
    r2: float | None
    """None where the target does not vary."""
    adjusted_r2: float | None
    f: float | None
    """None also where the fit is exact."""
    f_p_value: float | None
    log_likelihood: float | None
    """None where the fit is exact."""
    aic: float | None
    bic: float | None


class FitStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The fit of all targets."""

    rows: int
    """n, without rows of weight 0."""
    rank: int
    """p; less than the number of features where some are combinations of others."""
    confidence: float
    """Of the intervals."""
    condition_number: float | None
    """2-norm, of the standardized features; None where they are dependent."""
    targets: dict[str, TargetStatistics]


class FitRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How the model came about."""

    solver: str
    """sgd, lstsq, or imported where the numbers came from elsewhere."""
    rows: int
    """Rows trained on."""
    rows_dropped: int = 0
    """Rows left out for a missing or non-finite value, as asked."""
    settings: dict[str, Setting] = {}
    """The solver's settings as used, defaults included."""
    coefficients: dict[str, Coefficients] = {}
    """By target name."""
    metrics: dict[str, dict[str, Metrics]] = {}
    """By part (training, test), then by target name."""
    optimum: dict[str, OptimumDistance] = {}
    """By target name."""
    statistics: FitStatistics | None = None
    """What least squares knows of the uncertainty; None for other solvers."""


class ErrorBudget(msgspec.Struct, frozen=True, kw_only=True):
    """The largest errors of one target over the range of the training data, in target units."""

    fit: float | None
    """From the exact least-squares optimum; None where there is no training data to know it."""
    export: float
    """The fit's float64 coefficients against the artifact's exact meaning."""
    inputs: float = 0.0
    """What converting float64 inputs to the artifact's dtype moves a prediction by."""
    runtime: float
    """Bound on the rounding while predicting."""
    total: float
    """Their sum: a guarantee for every float64 input in the range."""


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the bundle."""

    format: str
    """One of the values of FILE_FORMATS."""
    bytes: Annotated[int, msgspec.Meta(ge=0)]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    """Lower-case hexadecimal."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
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

    def __post_init__(self) -> None:
        for name, record in self.files.items():
            if name not in FILE_FORMATS:
                raise BundleError(f"'{name}' is not a file that a bundle may list")
            if record.format != FILE_FORMATS[name]:
                raise BundleError(f"{name} must have the format {FILE_FORMATS[name]}")
        fit, statistics = self.fit, self.fit.statistics
        of_targets = statistics.targets if statistics else {}
        by_target: tuple[Iterable[str], ...] = (
            self.error_budget,
            fit.coefficients,
            fit.optimum,
            of_targets,
        )
        targets = {column.name for column in self.targets}
        for names in (*by_target, *fit.metrics.values()):
            _require_among(names, targets, "targets")
        features = {column.name for column in self.features}
        for coefficients in fit.coefficients.values():
            _require_among(coefficients.features, features, "features")
        for of_target in of_targets.values():
            _require_among(of_target.features, features, "features")


def _require_among(names: Iterable[str], known: set[str], what: str) -> None:
    if strangers := set(names) - known:
        raise BundleError(f"'{min(strangers)}' is not one of the {what}")


def coefficients_by_target(
    feature_names: Sequence[str],
    target_names: Sequence[str],
    weight: Sequence[Sequence[float]],
    bias: Sequence[float],
) -> dict[str, Coefficients]:
    """Name the numbers of weight (K, D) and bias (K,), which are in raw feature units."""
    return {
        target: Coefficients(
            intercept=intercept, features=dict(zip(feature_names, row, strict=True))
        )
        for target, intercept, row in zip(target_names, bias, weight, strict=True)
    }


def encode(manifest: Manifest) -> bytes:
    """Return manifest.json: UTF-8, indented, one trailing newline, fields in a fixed order.

    Raises:
        BundleError: If a number is NaN or infinite, which JSON does not have.
    """
    place = _find_non_finite(msgspec.to_builtins(manifest))
    if place is not None:
        raise BundleError(f"The manifest's {place.lstrip('.')} is not finite.")
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


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    """What every format version has."""

    format: Literal["linexport-bundle"]
    format_version: Annotated[int, msgspec.Meta(ge=1)]


def _find_non_finite(value: Any) -> str | None:
    """Return the first place of a number that is not finite, as .field[index].field."""
    match value:
        case float():
            return None if math.isfinite(value) else ""
        case dict():
            parts = ((f".{key}", item) for key, item in value.items())
        case list() | tuple():
            parts = ((f"[{index}]", item) for index, item in enumerate(value))
        case _:
            return None
    for place, item in parts:
        inner = _find_non_finite(item)
        if inner is not None:
            return place + inner
    return None
