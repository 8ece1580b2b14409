"""A fit as text: coefficients with their uncertainty, metrics, distance from the optimum."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from linexport._digits import TABLE_DIGITS, Written
from linexport.columns import Column
from linexport.fit import (
    Coefficients,
    CoefficientStatistics,
    FitRecord,
    FitStatistics,
    Metrics,
    TargetStatistics,
    as_text,
)
from linexport.reporting._table import (
    MOST_ROWS,
    Block,
    Table,
    cut,
    number,
    p_value,
    with_unit,
)

__all__ = ["estimates", "fit_blocks", "metric_rows", "named", "origin", "texts"]


def fit_blocks(
    fit: FitRecord,
    features: Sequence[Column],
    targets: Iterable[Column],
    truth: Mapping[str, Coefficients] | None = None,
) -> list[Block]:
    """Coefficients, metrics and distance from the optimum."""
    return [
        *_coefficient_blocks(fit, features, truth),
        *_metric_blocks(fit),
        *_optimum_lines(fit, targets),
    ]


def _coefficient_blocks(
    fit: FitRecord, features: Sequence[Column], truth: Mapping[str, Coefficients] | None
) -> list[Block]:
    """One table per target, with what a statistician expects or the true values, where known."""
    blocks: list[Block] = []
    for target in fit.coefficients:
        written = as_text(fit, target, features, TABLE_DIGITS)
        blocks += [f"Coefficients of '{target}' ({origin(fit)})"]
        if fit.statistics is not None and target in fit.statistics.targets and truth is None:
            known = fit.statistics.targets[target]
            blocks += _statistics_blocks(fit, fit.statistics, known, written)
        else:
            blocks += estimates(fit.coefficients[target], written, truth[target] if truth else None)
    return blocks


def estimates(
    estimated: Coefficients,
    written: Written,
    truth: Coefficients | None = None,
    *,
    most: int = MOST_ROWS,
) -> list[Block]:
    """The numbers alone, beside the true values where they are known."""
    header, values = ["", "estimated"], _by_name(estimated)
    rows = [[name, text] for name, text in texts(written).items()]
    if truth:
        header += ["true", "error"]
        known = _by_name(truth)
        for row, (name, value) in zip(rows, values.items(), strict=True):
            row += [f"{known[name]:.{TABLE_DIGITS}g}", f"{value - known[name]:.2e}"]
    return cut(header, rows, " in manifest.json", most=most)


def _by_name(coefficients: Coefficients) -> dict[str, float]:
    return {"(intercept)": coefficients.intercept, **coefficients.features}


def texts(written: Written) -> dict[str, str]:
    """Each coefficient as it is written, the intercept first."""
    return {"(intercept)": written.intercept, **written.features}


def _statistics_blocks(
    fit: FitRecord, statistics: FitStatistics, target: TargetStatistics, written: Written
) -> list[Block]:
    values = named(target)
    percent = f"{100 * statistics.confidence:.3g} %"
    header = ["", "estimated", "std. error", "t", "p", f"{percent} from", "to", "VIF"]
    text = texts(written)
    rows = [[name, text[name], *_statistics_row(value)] for name, value in values.items()]
    spread = number(target.residual_standard_deviation)
    precision = fit.weights is not None and fit.weights.kind == "precision"
    spread += " of a row of weight 1" if precision else ""
    around = "the mean" if statistics.around_mean else "0, for lack of an intercept"
    return [
        *cut(header, rows, " in manifest.json"),
        f"  residual std. deviation {spread} with {target.degrees_of_freedom:g} degrees of freedom",
        f"  R2 {number(target.r2)} around {around}, adjusted {number(target.adjusted_r2)}",
        f"  F {number(target.f)} (p {p_value(target.f_p_value)}), "
        f"AIC {number(target.aic)}, BIC {number(target.bic)}",
        f"  condition number {number(statistics.condition_number)}, rank {statistics.rank}",
        *_hidden_lines(target, values),
    ]


def named(target: TargetStatistics) -> dict[str, CoefficientStatistics]:
    """What is known of each coefficient, the intercept first."""
    intercept = {} if target.intercept is None else {"(intercept)": target.intercept}
    return intercept | target.features


def _hidden_lines(
    target: TargetStatistics, values: Mapping[str, CoefficientStatistics]
) -> Iterator[str]:
    """Say why there are dashes where a statistician expects numbers."""
    if target.residual_sum_of_squares is None:
        yield (
            "  -: the data fit so closely that rounding hides the residuals of rows that are read "
            "but once; read them from a file"
        )
    elif target.degrees_of_freedom > 0 and any(v.standard_error is None for v in values.values()):
        yield "  -: rounding hides its first six digits"


def _statistics_row(value: CoefficientStatistics) -> list[str]:
    return [
        number(value.standard_error),
        number(value.t, digits=4),
        p_value(value.p_value),
        number(value.lower),
        number(value.upper),
        number(value.variance_inflation, digits=4),
    ]


def origin(fit: FitRecord) -> str:
    """Say which solver fitted how many rows, or where the numbers came from."""
    if not fit.rows:
        source = fit.settings.get("source")
        return f"{fit.solver} from {source}" if source else fit.solver
    rows = "row" if fit.rows_dropped == 1 else "rows"
    dropped = f", {fit.rows_dropped} {rows} dropped" if fit.rows_dropped else ""
    weighted = ""
    if fit.weights is not None:
        weighted = f", weighted by '{fit.weights.column}' ({fit.weights.kind})"
    return f"{fit.solver}, {fit.rows} rows{dropped}{weighted}"


def constant_guess(fit: FitRecord) -> str:
    """Name what R2 compares with."""
    return "the mean" if _is_around_mean(fit) else "0"


def _is_around_mean(fit: FitRecord) -> bool:
    return fit.statistics is None or fit.statistics.around_mean


def constant_rmse(metrics: Metrics) -> float | None:
    """Return the error of that guess, of which R2 is what the model saves."""
    left = 0 if metrics.r2 is None else 1 - metrics.r2
    return metrics.rmse / math.sqrt(left) if left > 0 else None


def metric_rows(fit: FitRecord, most_targets: int | None = None) -> list[list[str]]:
    """Each part, target, its number of rows, RMSE, MAE and R2."""
    return [
        [part, target, str(m.rows), f"{m.rmse:.6g}", number(m.mae), number(m.r2)]
        for part, metrics in fit.metrics.items()
        for target, m in islice(metrics.items(), most_targets)
    ]


def _metric_blocks(fit: FitRecord) -> list[Block]:
    r2, rows = "R2" if _is_around_mean(fit) else "R2 around 0", metric_rows(fit)
    return [
        "Metrics, in target units",
        Table(["part", "target", "rows", "RMSE", "MAE", r2], rows),
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
