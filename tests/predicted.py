"""Tables predicted into files, as the pipeline has it done."""

from linexport.predicting import Outputs, Predicted, write_parts, write_predictions


def predict_into(table, predictor, path, *, keep=(), **settings) -> Predicted:
    """Write the predictions of a table into one file."""
    return write_predictions(table, _outputs(table, predictor, keep, **settings), path)


def predict_into_parts(
    table, predictor, directory, *, keep=(), names=(), interval=None, missing="error", **settings
) -> Predicted:
    """Write a part for each file of a table."""
    asked = {"names": tuple(names), "interval": interval, "missing": missing}
    return write_parts(table, _outputs(table, predictor, keep, **asked), directory, **settings)


def _outputs(table, predictor, keep, **settings) -> Outputs:
    return Outputs(predictor=predictor, source=table.source, keep=tuple(keep), **settings)
