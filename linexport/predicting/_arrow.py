"""Predictions from Arrow record batch to Arrow record batch, as Spark, Ray and DuckDB hand them.

pyarrow comes with those engines: no other module imports it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa

from linexport._documented import documented
from linexport.columns import require_known
from linexport.errors import ConfigError, DataError
from linexport.predicting._config import Missing
from linexport.predicting._outputs import Outputs
from linexport.predicting._predictor import Predictor

Rows = TypeVar("Rows", pa.RecordBatch, pa.Table)


@documented
@dataclass(frozen=True, slots=True)
class RecordBatchPredictor:
    """A function from record batch to record batch; see `record_batch_predictor`."""

    outputs: Outputs

    def __call__(self, rows: Rows) -> Rows:
        """Return the kept columns and a prediction of every target, for every row in its order.

        Raises:
            DataError: As `Predictor.predict`, rows being counted from 1 in these; if a kept column
                is not there or one of two of that name; or if the rows are no pyarrow ones.
        """
        inputs = self.outputs.predictor.column_names
        _require_once(inputs + self.outputs.keep, rows)
        values = self.outputs.of_table(rows.select(inputs))
        columns = [rows.column(name) for name in self.outputs.keep]
        columns += [pa.array(column) for column in values.T]
        return type(rows).from_arrays(columns, names=[*self.outputs.keep, *self.outputs.columns])


def _require_once(wanted: Sequence[str], rows: Any) -> None:
    """Raise DataError unless rows are pyarrow's and have one column of each name."""
    if not isinstance(rows, pa.RecordBatch | pa.Table):
        raise DataError(
            f"{type(rows).__name__} is no record batch: give a pyarrow.RecordBatch or Table."
        )
    source, counts = f"pyarrow.{type(rows).__name__}", Counter(rows.schema.names)
    require_known(wanted, list(counts), source)
    for name in wanted:
        if counts[name] > 1:
            raise DataError("Two columns have this name; rename one.", source=source, column=name)


def record_batch_predictor(
    predictor: Predictor,
    *,
    keep: str | Sequence[str] = (),
    names: str | Sequence[str] = (),
    interval: float | None = None,
    missing: Missing = "error",
) -> RecordBatchPredictor:
    """Return a function that predicts for the rows of a pyarrow.RecordBatch, or of a Table.

    It can be sent to other processes, each of which opens a session of its own. Features are found
    by name. What it returns has the columns of `keep`, with their types, and then a column of the
    model's dtype for every target.

    Args:
        predictor: What `linexport.load` returns.
        keep: Columns, or the one, to hand on before the predictions.
        names: Of the predictions. If not given those of the targets, or predicted_NAME beside a
            column that is kept.
        interval: The probability with which the truth lies between two columns more, after each.
        missing: Whether a missing feature is an error, or makes its row be predicted as NaN.

    Raises:
        DataError: If a column is kept twice, or has the name of another.
        ConfigError: If predictor is none, missing is neither, or names or interval cannot be.
        ModelError: If the fit does not know its uncertainty.
    """
    if not isinstance(predictor, Predictor):
        given = type(predictor).__name__
        raise ConfigError(f"predictor must be what linexport.load(...) returns, got {given}.")
    return RecordBatchPredictor(
        Outputs(
            predictor=predictor,
            source="keep",
            keep=(keep,) if isinstance(keep, str) else tuple(keep),
            names=(names,) if isinstance(names, str) else tuple(names),
            interval=interval,
            missing=missing,
        )
    )
