"""Results as text for a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from linexport.bundle import ErrorBudget, Manifest
from linexport.columns import Column
from linexport.fit import Coefficients, FitRecord
from linexport.model import LinearModel
from linexport.parity import Certificate
from linexport.reporting._statistics import statistics_lines
from linexport.reporting._table import number, table

if TYPE_CHECKING:
    from linexport.formats.onnx import OnnxSummary

__all__ = [
    "budget_lines",
    "bundle_lines",
    "certificate_lines",
    "conclusion",
    "fit_lines",
    "onnx_lines",
    "training_lines",
]

MOST_COEFFICIENTS = 50
"""Rows of a table on a terminal; manifest.json has them all."""


def training_lines(
    bundle: str | None,
    fit: FitRecord,
    budgets: Mapping[str, ErrorBudget],
    certificate: Certificate,
    model: LinearModel,
    *,
    truth: Mapping[str, Coefficients] | None = None,
) -> list[str]:
    """What `train-and-export` prints: the fit, its budget, the proof, where it lies."""
    return [
        *fit_lines(fit, model.targets, truth),
        *budget_lines(budgets, fit, model.features, model.targets),
        *certificate_lines(certificate),
        f"Bundle: {bundle}" if bundle else "No bundle was written.",
    ]


def fit_lines(
    fit: FitRecord, targets: Iterable[Column], truth: Mapping[str, Coefficients] | None = None
) -> list[str]:
    """Coefficients, metrics and distance from the optimum."""
    return [
        *_coefficient_lines(fit, truth),
        *_metric_lines(fit),
        *_optimum_lines(fit, targets),
    ]


def _coefficient_lines(fit: FitRecord, truth: Mapping[str, Coefficients] | None) -> list[str]:
    """One table per target, beside the true values where they are known."""
    if fit.statistics is not None and truth is None:
        return statistics_lines(fit.statistics, origin=_origin(fit), most=MOST_COEFFICIENTS)
    lines = []
    for target, estimated in fit.coefficients.items():
        values = {"(intercept)": estimated.intercept, **estimated.features}
        header, rows = ["", "estimated"], [[name, f"{value:.9g}"] for name, value in values.items()]
        if truth:
            header += ["true", "error"]
            known = {"(intercept)": truth[target].intercept, **truth[target].features}
            for row, (name, value) in zip(rows, values.items(), strict=True):
                row += [f"{known[name]:.9g}", f"{value - known[name]:.2e}"]
        lines += [f"Coefficients of '{target}' ({_origin(fit)})"]
        lines += table(header, rows[:MOST_COEFFICIENTS])
        if len(rows) > MOST_COEFFICIENTS:
            lines += [f"  ... and {len(rows) - MOST_COEFFICIENTS} more in manifest.json"]
    return lines


def budget_lines(
    budgets: Mapping[str, ErrorBudget],
    fit: FitRecord,
    features: Iterable[Column],
    targets: Iterable[Column],
) -> list[str]:
    """The distances and their sum, per target, and the sum as a part of the residuals."""
    residuals = {name: m.rmse for name, m in fit.metrics.get("training", {}).items()}
    units = {column.name: column.unit for column in targets}
    rows = [
        [
            _with_unit(target, units[target]),
            "-" if budget.fit is None else f"{budget.fit:.2e}",
            f"{budget.export:.2e}",
            f"{budget.inputs:.2e}",
            f"{budget.runtime:.2e}",
            f"{budget.total:.2e}",
            _ratio(budget.total, residuals.get(target)),
        ]
        for target, budget in budgets.items()
    ]
    within = "in the training range" if fit.rows else "in the features' range"
    unknown = [column.name for column in features if column.minimum is None]
    lines = [
        f"Error budget: the most that a prediction {within} can be off by",
        *table(["target", "fit", "export", "inputs", "runtime", "sum", "sum/RMSE"], rows),
    ]
    if unknown:
        names = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        lines.append(
            f"  The range of {names} is not known: 4 standard deviations around the mean are "
            "assumed, or 4 around it."
        )
    return lines


def certificate_lines(certificate: Certificate) -> list[str]:
    """Runtimes, canaries, and a paragraph for each failure."""
    rows = [
        [
            runtime.name,
            runtime.version,
            runtime.provider,
            "-" if runtime.num_threads is None else str(runtime.num_threads),
            runtime.verdict,
            _fraction(runtime.worst_fraction),
            runtime.worst.probe if runtime.worst else "-",
        ]
        for runtime in certificate.runtimes
    ]
    header = ["runtime", "version", "provider", "threads", "verdict", "worst/bound", "at probe"]
    lines = [f"Parity with the exact reference ({certificate.dtype}, {certificate.form})"]
    lines += table(header, rows)
    lines += [f"  {runtime.name} flushes subnormal numbers to zero, as allowed for."
              for runtime in certificate.runtimes if runtime.subnormals == "flushed"]  # fmt: skip
    if certificate.passed:
        likely = max((r.probabilistic_fraction for r in certificate.runtimes), default=0.0)
        lines += [f"  For information: {likely:.3f} of the bound that grows with sqrt(D) only."]
    tried = [canary for canary in certificate.canaries if canary.skipped is None]
    caught = [canary for canary in tried if canary.passed]
    if certificate.canaries:
        skipped = len(certificate.canaries) - len(tried)
        do = "does" if skipped == 1 else "do"
        rest = f"; {skipped} {do} not apply to this model" if skipped else ""
        lines += [f"  Canaries: {len(caught)} of {len(tried)} planted faults caught{rest}."]
    lines += [f"  {note}" for note in certificate.notes]
    return [*lines, *certificate.failures]


def conclusion(certificate: Certificate) -> str:
    """One line: the verdict, for which runtimes, how close, what was caught."""
    by_verdict: dict[str, dict[str, None]] = {
        certificate.verdict: {}
    }  # the keys are an ordered set
    for runtime in certificate.runtimes:
        by_verdict.setdefault(runtime.verdict, {})[runtime.name.split(",")[0]] = None
    parts = [
        f"{verdict}: {', '.join(names) or 'a planted fault went unnoticed'}"
        for verdict, names in by_verdict.items()
    ]
    if certificate.passed or certificate.worst_fraction > 1:
        parts += [f"worst error {_fraction(certificate.worst_fraction)} of the bound"]
    tried = [canary for canary in certificate.canaries if canary.skipped is None]
    if tried:
        caught = sum(canary.passed for canary in tried)
        parts += [f"{caught} of {len(tried)} canaries caught"]
    return "; ".join(parts)


def bundle_lines(manifest: Manifest, certificate: Certificate | None) -> list[str]:
    """What a bundle is: inputs, outputs, fit, files, proof."""
    files = [
        [name, record.format, str(record.bytes), record.sha256]
        for name, record in manifest.files.items()
    ]
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    return [
        f"Bundle of a {manifest.form} {manifest.dtype} linear model: "
        f"features [batch, {len(manifest.features)}] -> "
        f"prediction [batch, {len(manifest.targets)}]",
        *_column_lines("feature", manifest.features),
        *_column_lines("target", manifest.targets),
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
        *(
            f"  {key}: {value}"
            for key, value in summary.metadata.items()
            if key not in ("features", "targets")
        ),
    ]


def _column_lines(title: str, columns: Sequence[Column]) -> list[str]:
    rows = [
        [
            _with_unit(column.name, column.unit),
            number(column.minimum),
            number(column.maximum),
            number(column.mean),
            number(column.standard_deviation),
        ]
        for column in columns[:MOST_COEFFICIENTS]
    ]
    if not rows:
        return []
    more = len(columns) - len(rows)
    return [
        *table([title, "minimum", "maximum", "mean", "std"], rows),
        *([f"  ... and {more} more"] if more else []),
    ]


def _origin(fit: FitRecord) -> str:
    if not fit.rows:
        source = fit.settings.get("source")
        return f"{fit.solver} from {source}" if source else fit.solver
    rows = "row" if fit.rows_dropped == 1 else "rows"
    dropped = f", {fit.rows_dropped} {rows} dropped" if fit.rows_dropped else ""
    return f"{fit.solver}, {fit.rows} rows{dropped}"


def _metric_lines(fit: FitRecord) -> list[str]:
    rows = [
        [part, target, str(m.rows), f"{m.rmse:.6g}", number(m.mae), number(m.r2)]
        for part, metrics in fit.metrics.items()
        for target, m in metrics.items()
    ]
    return [
        "Metrics, in target units",
        *table(["part", "target", "rows", "RMSE", "MAE", "R2"], rows),
    ] if rows else []  # fmt: skip


def _optimum_lines(fit: FitRecord, targets: Iterable[Column]) -> list[str]:
    units = {column.name: column.unit for column in targets}
    lines = ["Distance from the least-squares optimum"] if fit.optimum else []
    for target, distance in fit.optimum.items():
        errors = distance.standard_errors
        apart = "" if errors is None else f"; coefficients within {errors:.2g} standard errors"
        lines.append(
            f"  {target}: loss {distance.loss:.6g}, least possible {distance.loss_at_optimum:.6g}"
            f"{apart}; predictions within {_with_unit(f'{distance.prediction:.2g}', units[target])}"
        )
    return lines


def _ratio(part: float, whole: float | None) -> str:
    return f"{part / whole:.1e}" if whole else "-"


def _fraction(value: float) -> str:
    """A fraction of the bound: to three places near 1, by its size far above."""
    return f"{value:.3f}" if value < 1000 else f"{value:.2e}"


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}".rstrip()
