"""Predictions with the interval that the truth of such new rows lies in."""

from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np

from linexport.predicting._config import Missing
from linexport.predicting._named import is_table
from linexport.predicting._policy import OutsideRange, Report, warn
from linexport.predicting._spread import Interval, Spread, unknown

if TYPE_CHECKING:
    from linexport.predicting._predictor import Predictor
    from linexport.tables import Batch


def interval_of(predictor: "Predictor", features: Any, level: float, missing: Missing) -> Interval:
    """Predict for whatever `Predictor.predict` takes; see `Predictor.predict_interval`."""
    spread = spread_of(predictor, level)
    if not (isinstance(features, Mapping) or is_table(features)):
        from linexport.rows import as_array

        given = as_array(features, "features")
        prediction = predictor.predict_array(given, missing=missing)
        return spread.around(prediction, given.astype(np.float64), level)
    from linexport.tables import open_table

    outside: list[OutsideRange] = []
    found = [
        batch_interval(predictor, batch, level, missing=missing, report=outside.append)
        for batch in open_table(features).batches(predictor.inputs)
    ]
    if outside:
        warn(reduce(add, outside))
    return Interval(*(np.concatenate(part) for part in zip(*found, strict=True)))


def batch_interval(
    predictor: "Predictor", batch: "Batch", level: float, *, missing: Missing, report: Report
) -> Interval:
    """Predict for n rows of a table, as `Predictor.predict_batch` does."""
    prediction = predictor.predict_batch(batch, missing=missing, report=report)
    numbers = batch.numbers().astype(np.float64, copy=False)
    return spread_of(predictor, level).around(prediction, numbers, level)


def spread_of(predictor: "Predictor", level: float) -> Spread:
    """Return what the fit knows of intervals.

    Raises:
        ConfigError: If the level is not between 0 and 1.
        ModelError: If the fit does not know its uncertainty.
    """
    if predictor.spread is None:
        raise unknown("the fit is in a bundle's manifest, and this is a single file")
    predictor.spread.require(level)
    return predictor.spread
