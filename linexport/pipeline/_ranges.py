"""The range of each feature, taken from a table that a model was not trained on here."""

from dataclasses import replace
from typing import Any

import numpy as np

from linexport import tables
from linexport.errors import DataError
from linexport.model import LinearModel


def with_ranges(model: LinearModel, source: Any) -> LinearModel:
    """Return the model with its features' ranges as a table has them; read in constant memory.

    Missing and non-finite values are left out.

    Raises:
        DataError: If the table cannot be read, lacks a feature, or has no value of one.
    """
    table = tables.open_table(source)
    lower, upper = (np.full(model.num_features, end) for end in (np.inf, -np.inf))
    for batch in table.batches(model.feature_names):
        values = batch.numbers()
        values = np.where(np.isfinite(values), values, np.nan)
        # fmin and fmax pass over NaN.
        lower = np.fmin(lower, np.fmin.reduce(values, axis=0, initial=np.inf))
        upper = np.fmax(upper, np.fmax.reduce(values, axis=0, initial=-np.inf))
    for name, low, high in zip(model.feature_names, lower, upper, strict=True):
        if low > high:
            raise DataError("there is no number, so no range.", source=table.source, column=name)
    features = tuple(
        replace(column, minimum=low, maximum=high)
        for column, low, high in zip(model.features, lower.tolist(), upper.tolist(), strict=True)
    )
    return model.with_columns(features, model.targets)
