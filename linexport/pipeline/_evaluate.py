"""A model's predictions beside the truth."""

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from linexport import predicting
from linexport._asked import asked_of_command
from linexport.pipeline._opening import open_table
from linexport.pipeline._predict import load

if TYPE_CHECKING:
    from linexport.predicting import Evaluation, Missing
    from linexport.tables import Dialect, OnRead

__all__ = ["evaluate"]


def evaluate(
    given: Any,
    table: Any,
    *,
    dialect: "Dialect | None" = None,
    missing: "Missing" = "error",
    on_read: "OnRead | None" = None,
) -> "Evaluation":
    """Predict every row of a table, and say how far that is from the truth, in constant memory.

    Args:
        given: As `load`: a bundle, or an ONNX file that linexport wrote.
        table: With the features and the targets, as `predict_table` takes it. Rows without a truth
            are left out.
        dialect: How a CSV file is written, if not as most are.
        missing: Whether a missing feature is an error, or leaves its row out ("nan").
        on_read: Called as the table is read.

    Returns:
        RMSE, MAE, bias and R2 of each target, with their standard errors; what a constant guess
        would be off by; and what the residuals are like.

    Raises:
        DataError: If the table cannot be used.
        ArtifactError: As `load`.
    """
    predicting.EvaluateConfig(missing=missing)
    in_order = partial(asked_of_command, "evaluate")
    rows = open_table(table, dialect, on_read, model=given, in_order=in_order)
    predictor = load(given)
    with closing(predicting.predicted_with_truth(rows, predictor, missing=missing)) as parts:
        return predicting.evaluated(parts, predictor.target_names, source=rows.source)
