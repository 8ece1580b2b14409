"""The record of a fit: coefficients, metrics, distance from the optimum."""

from linexport.data.dataset import Dataset
from linexport.forms import raw_coefficients
from linexport.manifest import Coefficients, FitRecord, Setting
from linexport.model import LinearModel
from linexport.training.distance import optimum_distances
from linexport.training.least_squares import Optimum
from linexport.training.metrics import evaluate

__all__ = ["fit_record"]


def fit_record(
    model: LinearModel,
    *,
    solver: str,
    settings: dict[str, Setting],
    dataset: Dataset,
    test: Dataset | None,
    optimum: Optimum,
) -> FitRecord:
    """Describe a float64 fit of the dataset; `optimum` is the dataset's."""
    metrics = {"training": evaluate(model, dataset)}
    if test is not None:
        metrics["test"] = evaluate(model, test)
    return FitRecord(
        solver=solver,
        rows=dataset.num_rows,
        rows_dropped=dataset.rows_dropped,
        settings=settings,
        coefficients=_coefficients(model),
        metrics=metrics,
        optimum=optimum_distances(model, dataset, optimum, metrics["training"]),
    )


def _coefficients(model: LinearModel) -> dict[str, Coefficients]:
    weight, bias = raw_coefficients(model)
    return {
        target: Coefficients(
            intercept=intercept, features=dict(zip(model.feature_names, row, strict=True))
        )
        for target, intercept, row in zip(
            model.target_names, bias.tolist(), weight.tolist(), strict=True
        )
    }
