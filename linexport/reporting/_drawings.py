"""Which drawings a fit and its proof have; and all of them side by side, in matplotlib."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from linexport.bundle import ErrorBudget
from linexport.columns import Column
from linexport.errors import UnavailableError
from linexport.fit import FitRecord
from linexport.parity import Certificate
from linexport.reporting._figures import (
    Figure,
    Sampled,
    budget_figure,
    certificate_figure,
    coefficient_figure,
    fit_figures,
    loss_figure,
)

__all__ = ["MOST_TARGETS", "ReportData", "draw_all", "figures_of_fit", "figures_of_proof"]

MOST_TARGETS = 3
_MOST_ACROSS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportData:
    """What was seen of a table: rows of each target, drawn at random where there are many."""

    source: str
    """The table's name."""
    num_rows: int
    """Of the table, with all their values."""
    num_sampled: int
    """Of them on the page."""
    by_target: Mapping[str, Sequence[Sampled]]
    rmse: Mapping[str, Mapping[str, float]]
    """By target and part, over all rows, in target units."""


def figures_of_fit(
    record: FitRecord,
    features: Iterable[Column],
    targets: Sequence[Column],
    data: ReportData | None,
) -> Iterator[Figure]:
    """Draw the losses, and of each target its coefficients and its predictions."""
    statistics = record.statistics
    several = len(targets) > 1
    deviations = {c.name: c.standard_deviation or 0.0 for c in features}
    if record.losses:
        first = int(record.settings.get("epochs") or len(record.losses)) - len(record.losses) + 1
        least = [distance.loss_at_optimum for distance in record.optimum.values()]
        yield loss_figure(record.losses, first, sum(least) / len(least) if least else None)
    for column in targets[:MOST_TARGETS]:
        of = f", {column.name}" if several else ""
        tested = None if statistics is None else statistics.targets.get(column.name)
        if statistics is not None and tested is not None and any(deviations.values()):
            yield coefficient_figure(tested, deviations, statistics.confidence, column.unit, of)
        if data is not None:
            yield from fit_figures(data.by_target[column.name], column.unit, of)


def figures_of_proof(
    certificate: Certificate | None, budgets: Mapping[str, ErrorBudget]
) -> Iterator[Figure]:
    """Draw the runtimes' distances from the exact answers, and the error budget."""
    if certificate is not None and certificate.runtimes:
        yield certificate_figure(certificate)
    if budgets:
        yield budget_figure(dict(list(budgets.items())[:MOST_TARGETS]))


def draw_all(figures: Iterable[Figure]) -> list[Any]:
    """Draw figures side by side in one of pyplot's, in whatever style matplotlib has.

    Raises:
        UnavailableError: If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise UnavailableError(
            "plot() draws with matplotlib; install it with: pip install 'linexport[report]'"
        ) from error
    chosen = list(figures)
    if not chosen:
        return []
    across = min(_MOST_ACROSS, len(chosen))
    down = -(-len(chosen) // across)
    whole = plt.figure(figsize=(6.4 * across, 3.8 * down), layout="constrained")
    parts = whole.subfigures(down, across, squeeze=False).ravel()
    axes = []
    for figure, part in zip(chosen, parts, strict=False):
        axes.append(part.add_subplot())
        axes[-1].set_title(figure.title)
        figure.draw(axes[-1])
    return axes
