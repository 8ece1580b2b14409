"""A table in, predictions out, in constant memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from linexport.data._checks import check_missing
from linexport.data.tables import Table
from linexport.data.writing import check_output, write_table
from linexport.errors import DataError
from linexport.scoring.predictor import Predictor

__all__ = ["Scored", "score"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """What was written."""

    rows: int
    """Rows read, and as many written."""
    rows_without_prediction: int
    """Those among them that lack a value and are predicted as NaN, as asked."""


def score(
    table: Table,
    predictor: Predictor,
    output: str | Path,
    *,
    keep: Sequence[str] = (),
    missing: Literal["error", "nan"] = "error",
) -> Scored:
    """Write one row of predictions for each row of a table, in its order.

    Args:
        table: What `open_table` returns; features are found by name.
        predictor: The model.
        output: A file ending in .csv, .tsv or .parquet, or `-` for CSV on standard output. A file
            is replaced at the end, all or nothing.
        keep: Columns to hand on before the predictions, which are named after the targets. From
            CSV they are text, and stay as they are written there: 007 is 007.
        missing: Whether a missing or non-finite feature is an error, or makes its row be predicted
            as NaN.

    Raises:
        DataError: If a column is unknown, or kept under the name of a target; at the first row that
            is malformed or cannot be predicted; or if the output cannot be written.
        ConfigError: If the output's name or missing is none of these.
    """
    check_missing(missing, "nan")
    check_output(output)
    _check_keep(keep, predictor.target_names, table.source)
    num_rows = num_without = 0

    def scored() -> Iterator[pl.DataFrame]:
        nonlocal num_rows, num_without
        schema = None
        for batch in table.batches(predictor.feature_names, keep):
            prediction = predictor.predict_batch(batch, missing=missing)
            columns = [
                pl.Series(name, prediction[:, target])
                for target, name in enumerate(predictor.target_names)
            ]
            frame = pl.DataFrame([*batch.kept.iter_columns(), *columns])
            _check_schema(frame, schema or frame.schema, batch.source)
            schema = frame.schema
            num_rows += frame.height
            num_without += int(np.isnan(prediction).any(axis=1).sum())
            yield frame

    write_table(scored(), output)
    return Scored(rows=num_rows, rows_without_prediction=num_without)


def _check_keep(keep: Sequence[str], targets: Sequence[str], source: str) -> None:
    for position, name in enumerate(keep):
        if name in targets:
            raise DataError(
                "It cannot be kept, because the predictions have its name; rename it in the input.",
                source=source,
                column=name,
            )
        if name in keep[:position]:
            raise DataError("It is to be kept twice.", source=source, column=name)


def _check_schema(frame: pl.DataFrame, schema: pl.Schema, source: str) -> None:
    for name, kind in schema.items():
        if frame.schema[name] != kind:
            raise DataError(
                f"It holds {frame.schema[name]}, but {kind} in the files before; make them alike.",
                source=source,
                column=name,
            )
