"""The error budget as text."""

from linexport.bundle import Manifest
from linexport.reporting._table import Block, Table, ratio, with_unit

__all__ = ["budget_blocks", "budget_sentence"]

_SOURCES = {
    "fit": "the fit",
    "export": "rounding the coefficients",
    "inputs": "rounding the inputs",
    "runtime": "rounding while predicting",
}


def budget_blocks(manifest: Manifest) -> list[Block]:
    """The distances and their sum, per target, and the sum as a part of the residuals."""
    residuals, units = _residuals(manifest), _units(manifest)
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
        for target, budget in manifest.error_budget.items()
    ]
    unknown = [column.name for column in manifest.features if column.minimum is None]
    blocks: list[Block] = [
        f"Error budget: the most that a prediction {_within(manifest)} can be off by",
        Table(["target", "fit", "export", "inputs", "runtime", "sum", "sum/RMSE"], rows),
    ]
    if unknown:
        names = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        blocks.append(
            f"  The range of {names} is not known: 4 standard deviations around the mean are "
            "assumed, or 4 around it."
        )
    return blocks


def budget_sentence(manifest: Manifest) -> list[str]:
    """The sum in a line, of the target for which it is largest beside its residuals."""
    budgets, residuals = manifest.error_budget, _residuals(manifest)
    if not budgets:
        return []

    def beside(name: str) -> float:
        return budgets[name].total / (residuals.get(name) or 1)

    worst = max(budgets, key=beside)
    budget, unit = budgets[worst], _units(manifest)[worst]
    parts = {name: getattr(budget, name) or 0.0 for name in _SOURCES}
    most = _SOURCES[max(parts, key=lambda name: parts[name])]
    of = f" (and less of {len(budgets) - 1} others)" if len(budgets) > 1 else ""
    part = f" ({beside(worst):.1g} of the RMSE)" if residuals.get(worst) else ""
    exact = "the best fit" if manifest.record.rows else "what the model means"
    return [
        f"Error budget: {_within(manifest)}, predictions of '{worst}'{of} are off {exact} by at "
        f"most {with_unit(f'{budget.total:.2g}', unit)}{part}, most of it from {most}."
    ]


def _residuals(manifest: Manifest) -> dict[str, float]:
    training = manifest.record.metrics.get("training", {})
    return {name: metrics.rmse for name, metrics in training.items()}


def _units(manifest: Manifest) -> dict[str, str]:
    return {column.name: column.unit for column in manifest.targets}


def _within(manifest: Manifest) -> str:
    return "in the training range" if manifest.record.rows else "in the features' range"
