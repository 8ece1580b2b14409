"""Results as text for a terminal."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from linexport.bundle import ErrorBudget, Manifest
from linexport.columns import Column
from linexport.fit import (
    Coefficients,
    CoefficientStatistics,
    FitRecord,
    FitStatistics,
    TargetStatistics,
)
from linexport.model import LinearModel
from linexport.parity import Certificate, StatementResult

__all__ = [
    "budget_lines",
    "certificate_lines",
    "conclusion",
    "fit_lines",
    "summed",
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
    precision: str,
    *,
    truth: Mapping[str, Coefficients] | None = None,
) -> list[str]:
    """What `train-and-export` prints: the fit, its budget, the proof, where it lies."""
    return [
        *fit_lines(fit, model.targets, truth),
        *budget_lines(budgets, fit, model.features, model.targets),
        precision,
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
    """One table per target, with what a statistician expects or the true values, where known."""
    lines = []
    for target, estimated in fit.coefficients.items():
        lines += [f"Coefficients of '{target}' ({_origin(fit)})"]
        if fit.statistics is not None and target in fit.statistics.targets and truth is None:
            lines += _statistics_lines(fit, fit.statistics, fit.statistics.targets[target])
        else:
            lines += _estimate_lines(estimated, truth[target] if truth else None)
    return lines


def _estimate_lines(estimated: Coefficients, truth: Coefficients | None) -> list[str]:
    header, values = ["", "estimated"], _named(estimated)
    rows = [[name, f"{value:.9g}"] for name, value in values.items()]
    if truth:
        header += ["true", "error"]
        known = _named(truth)
        for row, (name, value) in zip(rows, values.items(), strict=True):
            row += [f"{known[name]:.9g}", f"{value - known[name]:.2e}"]
    return cut(header, rows, " in manifest.json")


def _named(coefficients: Coefficients) -> dict[str, float]:
    return {"(intercept)": coefficients.intercept, **coefficients.features}


def _statistics_lines(
    fit: FitRecord, statistics: FitStatistics, target: TargetStatistics
) -> list[str]:
    named = {} if target.intercept is None else {"(intercept)": target.intercept}
    percent = f"{100 * statistics.confidence:.3g} %"
    header = ["", "estimated", "std. error", "t", "p", f"{percent} from", "to", "VIF"]
    rows = [_statistics_row(name, value) for name, value in (named | target.features).items()]
    spread = number(target.residual_standard_deviation)
    precision = fit.weights is not None and fit.weights.kind == "precision"
    spread += " of a row of weight 1" if precision else ""
    around = "the mean" if statistics.around_mean else "0, for lack of an intercept"
    return [
        *cut(header, rows, " in manifest.json"),
        f"  residual std. deviation {spread} with {target.degrees_of_freedom:g} degrees of freedom",
        f"  R2 {number(target.r2)} around {around}, adjusted {number(target.adjusted_r2)}",
        f"  F {number(target.f)} (p {number(target.f_p_value, digits=3)}), "
        f"AIC {number(target.aic)}, BIC {number(target.bic)}",
        f"  condition number {number(statistics.condition_number)}, rank {statistics.rank}",
        *_hidden_lines(target, named | target.features),
    ]


def _hidden_lines(
    target: TargetStatistics, named: Mapping[str, CoefficientStatistics]
) -> Iterator[str]:
    """Say why there are dashes where a statistician expects numbers."""
    if target.residual_sum_of_squares is None:
        yield (
            "  -: the data fit so closely that rounding hides the residuals of rows that are read "
            "but once; read them from a file"
        )
    elif target.degrees_of_freedom > 0 and any(v.standard_error is None for v in named.values()):
        yield "  -: rounding hides its first six digits"


def _statistics_row(name: str, value: CoefficientStatistics) -> list[str]:
    return [
        name,
        f"{value.estimate:.9g}",
        number(value.standard_error),
        number(value.t, digits=4),
        number(value.p_value, digits=3),
        number(value.lower),
        number(value.upper),
        number(value.variance_inflation, digits=4),
    ]


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
            with_unit(target, units[target]),
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
    what = f"{certificate.dtype}{summed(certificate)}, {certificate.form}"
    lines = [f"Parity with the exact reference ({what})"]
    lines += table(header, rows) if rows else []
    lines += [f"  {runtime.name} flushes subnormal numbers to zero, as allowed for."
              for runtime in certificate.runtimes if runtime.subnormals == "flushed"]  # fmt: skip
    if certificate.passed:
        likely = max((r.probabilistic_fraction for r in certificate.runtimes), default=0.0)
        lines += [f"  For information: {likely:.3f} of the bound that grows with sqrt(D) only."]
    lines += _statement_lines(certificate.statements)
    caught, tried = _caught(certificate)
    if certificate.canaries:
        skipped = len(certificate.canaries) - tried
        do = "does" if skipped == 1 else "do"
        rest = f"; {skipped} {do} not apply to this model" if skipped else ""
        lines += [f"  Canaries: {caught} of {tried} planted faults caught{rest}."]
    lines += [f"  {note}" for note in certificate.notes]
    return [*lines, *certificate.failures]


def _statement_lines(statements: Iterable[StatementResult]) -> list[str]:
    right = [said.source for said in statements if said.states and not said.failure]
    silent = [said.source for said in statements if not said.states]
    return [
        *([f"  Names, units and ranges agree: {', '.join(right)}."] if right else []),
        *([f"  Names are not stated: {', '.join(silent)}."] if silent else []),
    ]


def summed(stated: Certificate | Manifest) -> str:
    """Say in which dtype a model takes its sum, where that is not what it takes and gives."""
    accumulate = stated.accumulate or stated.dtype
    return "" if accumulate == stated.dtype else f", sum in {accumulate}"


def conclusion(certificate: Certificate) -> str:
    """One line: the verdict, for which runtimes, how close, what was caught; or why none."""
    if certificate.not_checked:
        return f"not checked: {certificate.not_checked}"
    # The keys of the inner dictionaries are ordered sets.
    coarse = certificate.verdict == "too coarse"
    overall: str = certificate.verdict
    if coarse:
        consistent = any(runtime.verdict == "consistent" for runtime in certificate.runtimes)
        overall = "consistent" if consistent else "proven"
    by_verdict: dict[str, dict[str, None]] = {overall: {}}
    for runtime in certificate.runtimes:
        by_verdict.setdefault(runtime.verdict, {})[runtime.name.split(",")[0]] = None
    for statement in certificate.statements:
        if statement.failure:
            by_verdict[overall][f"what {statement.source} states"] = None
    parts = [
        f"{verdict}{', but too coarse' if coarse and verdict == overall else ''}: "
        f"{', '.join(names) or 'a planted fault went unnoticed'}"
        for verdict, names in by_verdict.items()
    ]
    if certificate.passed or coarse or certificate.worst_fraction > 1:
        parts += [f"worst error {_fraction(certificate.worst_fraction)} of the bound"]
    caught, tried = _caught(certificate)
    if tried:
        parts += [f"{caught} of {tried} canaries caught"]
    parts += [
        each.described(target)
        for target, each in certificate.fitness.items()
        if coarse and not each.good_enough
    ]
    return "; ".join(parts)


def _caught(certificate: Certificate) -> tuple[int, int]:
    """Count the planted faults that were noticed, and those that apply to the model."""
    passed = [canary.passed for canary in certificate.canaries if canary.skipped is None]
    return sum(passed), len(passed)


def cut(header: Sequence[str], rows: Sequence[Sequence[str]], where: str = "") -> list[str]:
    """A table of the first rows, and how many more there are."""
    lines, more = table(header, rows[:MOST_COEFFICIENTS]), len(rows) - MOST_COEFFICIENTS
    return [*lines, f"  ... and {more} more{where}"] if more > 0 else lines


def _origin(fit: FitRecord) -> str:
    if not fit.rows:
        source = fit.settings.get("source")
        return f"{fit.solver} from {source}" if source else fit.solver
    rows = "row" if fit.rows_dropped == 1 else "rows"
    dropped = f", {fit.rows_dropped} {rows} dropped" if fit.rows_dropped else ""
    weighted = ""
    if fit.weights is not None:
        weighted = f", weighted by '{fit.weights.column}' ({fit.weights.kind})"
    return f"{fit.solver}, {fit.rows} rows{dropped}{weighted}"


def _metric_lines(fit: FitRecord) -> list[str]:
    statistics = fit.statistics
    r2 = "R2" if statistics is None or statistics.around_mean else "R2 around 0"
    rows = [
        [part, target, str(m.rows), f"{m.rmse:.6g}", number(m.mae), number(m.r2)]
        for part, metrics in fit.metrics.items()
        for target, m in metrics.items()
    ]
    return [
        "Metrics, in target units",
        *table(["part", "target", "rows", "RMSE", "MAE", r2], rows),
    ] if rows else []  # fmt: skip


def _optimum_lines(fit: FitRecord, targets: Iterable[Column]) -> list[str]:
    units = {column.name: column.unit for column in targets}
    lines = ["Distance from the least-squares optimum"] if fit.optimum else []
    for target, distance in fit.optimum.items():
        errors = distance.standard_errors
        apart = "" if errors is None else f"; coefficients within {errors:.2g} standard errors"
        lines.append(
            f"  {target}: loss {distance.loss:.6g}, least possible {distance.loss_at_optimum:.6g}"
            f"{apart}; predictions within {with_unit(f'{distance.prediction:.2g}', units[target])}"
        )
    return lines


def _ratio(part: float, whole: float | None) -> str:
    return f"{part / whole:.1e}" if whole else "-"


def _fraction(value: float) -> str:
    """A fraction of the bound: to three places near 1, by its size far above."""
    return f"{value:.3f}" if value < 1000 else f"{value:.2e}"


def with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}".rstrip()


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, indent: int = 2) -> list[str]:
    """Align cells: the first column to the left, the others to the right where all are numbers."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    numeric = [all(_is_number(cell) for cell in column[1:]) for column in columns]
    lines = []
    for row in (header, *rows):
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        lines.append((" " * indent + "  ".join(cells)).rstrip())
    return lines


def number(value: float | None, *, digits: int = 6) -> str:
    """Return a number in so many digits; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}g}"


def _is_number(cell: str) -> bool:
    try:
        float(cell.removesuffix(" %"))
    except ValueError:
        return cell in ("", "-")
    return True
