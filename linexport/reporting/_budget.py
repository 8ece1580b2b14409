"""The error budget as text."""

from collections.abc import Iterable, Mapping

from linexport.bundle import ErrorBudget
from linexport.columns import Column
from linexport.fit import FitRecord
from linexport.reporting._table import Block, Table, ratio, with_unit

__all__ = ["budget_blocks", "budget_sentence"]

_SOURCES = {
    "fit": "the fit",
    "export": "rounding the coefficients",
    "inputs": "rounding the inputs",
    "runtime": "rounding while predicting",
}


def budget_blocks(
    budgets: Mapping[str, ErrorBudget],
    fit: FitRecord,
    features: Iterable[Column],
    targets: Iterable[Column],
) -> list[Block]:
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
            ratio(budget.total, residuals.get(target)),
        ]
        for target, budget in budgets.items()
    ]
    unknown = [column.name for column in features if column.minimum is None]
    blocks: list[Block] = [
        f"Error budget: the most that a prediction {_within(fit)} can be off by",
        Table(["target", "fit", "export", "inputs", "runtime", "sum", "sum/RMSE"], rows),
    ]
    if unknown:
        names = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        blocks.append(
            f"  The range of {names} is not known: 4 standard deviations around the mean are "
            "assumed, or 4 around it."
        )
    return blocks


def budget_sentence(
    budgets: Mapping[str, ErrorBudget], fit: FitRecord, targets: Iterable[Column]
) -> list[str]:
    """The sum in a line, of the target for which it is largest beside its residuals."""
    if not budgets:
        return []
    residuals = {name: m.rmse for name, m in fit.metrics.get("training", {}).items()}

    def beside(name: str) -> float:
        return budgets[name].total / (residuals.get(name) or 1)

    worst = max(budgets, key=beside)
    budget, units = budgets[worst], {column.name: column.unit for column in targets}
    parts = {name: getattr(budget, name) or 0.0 for name in _SOURCES}
    most = _SOURCES[max(parts, key=lambda name: parts[name])]
    of = f" (and less of {len(budgets) - 1} others)" if len(budgets) > 1 else ""
    part = f" ({beside(worst):.1g} of the RMSE)" if residuals.get(worst) else ""
    exact = "the best fit" if fit.rows else "what the model means"
    return [
        f"Error budget: {_within(fit)}, predictions of '{worst}'{of} are off {exact} by at most "
        f"{with_unit(f'{budget.total:.2g}', units[worst])}{part}, most of it from {most}."
    ]


def _within(fit: FitRecord) -> str:
    return "in the training range" if fit.rows else "in the features' range"
