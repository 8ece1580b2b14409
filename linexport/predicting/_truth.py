"""Predictions beside the truth: a table that has the targets too, in constant memory."""

from collections.abc import Generator
from contextlib import closing
from typing import NamedTuple

import numpy as np

from linexport._arrays import Float64Array
from linexport.encoding import Encoding, NumberColumn
from linexport.predicting._config import Missing
from linexport.predicting._policy import check_missing
from linexport.predicting._predictor import Predictor
from linexport.tables import Table


class WithTruth(NamedTuple):
    """Some rows: what they were predicted from, the truth and the prediction, float64."""

    features: Float64Array
    """Shape (n, D)."""
    truth: Float64Array
    """Shape (n, K), target units; NaN where the table has none."""
    prediction: Float64Array
    """Shape (n, K), target units; NaN where the row lacks a feature, if that was allowed."""


def predicted_with_truth(
    table: Table, predictor: Predictor, *, missing: Missing = "error"
) -> Generator[WithTruth, None, None]:
    """Predict for every row of a table, and yield what its targets really are beside that.

    Args:
        table: What `open_table` returns; features and targets are found by name.
        predictor: The model.
        missing: Whether a missing feature is an error, or makes its row be predicted as NaN.

    Raises:
        DataError: If a column is unknown or not numeric, or a row cannot be predicted.
        ConfigError: If missing is neither.
    """
    check_missing(missing)
    encoding = predictor.encoding
    columns = (
        tuple(NumberColumn(name=name) for name in predictor.feature_names)
        if encoding is None
        else encoding.columns
    )
    targets = tuple(NumberColumn(name=name) for name in predictor.target_names)
    num_features = len(predictor.feature_names)
    with closing(table.batches(Encoding(columns=(*columns, *targets)))) as batches:
        for batch in batches:
            numbers = np.asarray(batch.numbers(), np.float64)
            features = numbers[:, :num_features]
            prediction = predictor.predict_array(
                features, missing=missing, source=batch.source, first_row=batch.first_row
            )
            yield WithTruth(features, numbers[:, num_features:], prediction.astype(np.float64))
