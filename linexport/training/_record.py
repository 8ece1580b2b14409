"""The record of a fit: coefficients, metrics, distance from the optimum."""

from linexport.fit import Coefficients, FitRecord, Setting, coefficients_by_target
from linexport.least_squares import Optimum, optimum_distances
from linexport.model import LinearModel
from linexport.numerics import raw_coefficients
from linexport.rows import Dataset
from linexport.tables import Gather, alone
from linexport.training._metrics import evaluate

__all__ = ["fit_record"]


def fit_record(
    model: LinearModel,
    *,
    solver: str,
    settings: dict[str, Setting],
    dataset: Dataset,
    test: Dataset | None,
    optimum: Optimum,
    gather: Gather = alone,
) -> FitRecord:
    """Describe a float64 fit of the datasets that all ranks hold; `optimum` is that of them all."""
    metrics = {"training": evaluate(model, dataset, gather)}
    if test is not None:
        metrics["test"] = evaluate(model, test, gather)
    return FitRecord(
        solver=solver,
        rows=optimum.num_rows,
        rows_dropped=dataset.rows_dropped,
        settings=settings,
        coefficients=_coefficients(model),
        metrics=metrics,
        optimum=optimum_distances(model, optimum, metrics["training"]),
    )


def _coefficients(model: LinearModel) -> dict[str, Coefficients]:
    weight, bias = raw_coefficients(model)
    return coefficients_by_target(
        model.feature_names, model.target_names, weight.tolist(), bias.tolist()
    )
