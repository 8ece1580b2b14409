"""What a statistician expects, as text."""

from collections.abc import Iterable

from linexport.fit import CoefficientStatistics, FitStatistics, TargetStatistics
from linexport.reporting._table import number, table

__all__ = ["statistics_lines"]


def statistics_lines(statistics: FitStatistics, *, origin: str, most: int) -> list[str]:
    """One table of coefficients per target, and what is to be said of each fit as a whole.

    Args:
        statistics: Of all targets.
        origin: The solver and the rows it was given, for the headings.
        most: Rows of a table; the rest is left out and counted.
    """
    lines = []
    for name, target in statistics.targets.items():
        lines += [f"Coefficients of '{name}' ({origin})"]
        lines += _coefficients(target, statistics.confidence, most)
        lines += [f"  {line}" for line in _whole(statistics, target)]
    return lines


def _coefficients(target: TargetStatistics, confidence: float, most: int) -> list[str]:
    named = [] if target.intercept is None else [("(intercept)", target.intercept)]
    named += list(target.features.items())
    percent = f"{100 * confidence:.3g} %"
    header = ["", "estimated", "std. error", "t", "p", f"{percent} from", "to", "VIF"]
    lines = table(header, [_row(name, value) for name, value in named[:most]])
    more = len(named) - most
    return [*lines, f"  ... and {more} more in manifest.json"] if more > 0 else lines


def _row(name: str, value: CoefficientStatistics) -> list[str]:
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


def _whole(statistics: FitStatistics, target: TargetStatistics) -> Iterable[str]:
    spread = number(target.residual_standard_deviation)
    yield f"residual std. deviation {spread} with {target.degrees_of_freedom:g} degrees of freedom"
    around = "the mean" if target.intercept is not None else "0, for lack of an intercept"
    yield f"R2 {number(target.r2)} around {around}, adjusted {number(target.adjusted_r2)}"
    yield (
        f"F {number(target.f)} (p {number(target.f_p_value, digits=3)}), "
        f"AIC {number(target.aic)}, BIC {number(target.bic)}"
    )
    yield f"condition number {number(statistics.condition_number)}, rank {statistics.rank}"
