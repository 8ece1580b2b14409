"""A table in, predictions out, in constant memory."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import reduce
from operator import add
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from linexport.errors import ConfigError, DataError
from linexport.predicting._predictor import Predictor
from linexport.predicting._ranges import OutsideRange, warn
from linexport.predicting._scored import Scored
from linexport.tables import Batch, File, Table, check_missing, check_output, write_table

__all__ = [
    "check_kept",
    "require_no_input",
    "score",
    "write_predictions",
]


def score(
    table: Table,
    predictor: Predictor,
    output: str | Path,
    *,
    keep: Sequence[str] = (),
    missing: Literal["error", "nan"] = "error",
    batches: Generator[Batch, None, None] | None = None,
) -> Scored:
    """Write one row of predictions for each row of a table, in its order.

    Reading, predicting and writing overlap, in a thread each. Rows outside the training range are
    dealt with as the predictor's `check_range` says, with one warning at the end.

    Args:
        table: What `open_table` returns; features are found by name.
        predictor: The model.
        output: A file ending in .csv, .tsv or .parquet, or `-` for CSV on standard output. A file
            is replaced at the end, all or nothing.
        keep: Columns to hand on before the predictions, which are named after the targets. From
            CSV they are text, and stay as they are written there: 007 is 007.
        missing: Whether a missing or non-finite feature is an error, or makes its row be predicted
            as NaN.
        batches: What `table.batches` returned for the features and kept columns, if reading has
            begun already.

    Raises:
        DataError: If a column is unknown, or kept under the name of a target; at the first row that
            is malformed or cannot be predicted; or if the output cannot be written.
        ConfigError: If the output's name or missing is none of these, or the output is a file of
            the table.
    """
    check_missing(missing, "nan")
    check_kept(keep, predictor.target_names, table.source)
    check_output(output)
    if str(output) != "-":
        require_no_input([Path(output)], table.files)
    with closing(batches or table.batches(predictor.feature_names, keep)) as rows:
        return write_predictions(rows, predictor, output, missing=missing)


def check_kept(keep: Sequence[str], targets: Sequence[str], source: str) -> None:
    """Refuse columns that cannot be handed on, before a row is read.

    Raises:
        DataError: If one is kept twice, or under the name of a target.
    """
    for position, name in enumerate(keep):
        if name in targets:
            raise DataError(
                "It cannot be kept, because the predictions have its name; rename it in the input.",
                source=source,
                column=name,
            )
        if name in keep[:position]:
            raise DataError("It is to be kept twice.", source=source, column=name)


def require_no_input(outputs: Iterable[Path], files: Sequence[File]) -> None:
    """Keep users from losing the table that they predict from.

    Raises:
        ConfigError: If an output is a file of the table, by whatever name.
    """
    for output in outputs:
        if output.is_file() and any(
            file.path.exists() and output.samefile(file.path) for file in files
        ):
            raise ConfigError(f"{output}: the output would replace the input; name another file.")


def write_predictions(
    batches: Iterable[Batch],
    predictor: Predictor,
    output: str | Path,
    *,
    missing: Literal["error", "nan"],
) -> Scored:
    """Write one row of predictions for each row of some batches; see `score`."""
    num_rows = num_without = 0
    outside: list[OutsideRange] = []

    def predicted() -> Iterator[pl.DataFrame]:
        nonlocal num_rows, num_without
        schema = None
        for batch in batches:
            prediction = predictor.predict_batch(batch, missing=missing, report=outside.append)
            columns = [
                pl.Series(name, prediction[:, target])
                for target, name in enumerate(predictor.target_names)
            ]
            frame = pl.DataFrame([*batch.kept.iter_columns(), *columns])
            _check_schema(frame, schema or frame.schema, batch.source)
            schema = frame.schema
            num_rows += batch.numbers.height
            lacking = np.isnan(prediction)
            if lacking.any():
                num_without += int(lacking.any(axis=1).sum())
            yield frame

    num_written = write_table(predicted(), output)
    if outside:
        warn(reduce(add, outside))
    return Scored(
        rows_read=num_rows,
        rows_written=num_written,
        rows_without_prediction=num_without,
        rows_outside_range=sum(rows.num_rows for rows in outside),
    )


def _check_schema(frame: pl.DataFrame, schema: pl.Schema, source: str) -> None:
    for name, kind in schema.items():
        if frame.schema[name] != kind:
            raise DataError(
                f"It holds {frame.schema[name]}, but {kind} in the files before; make them alike.",
                source=source,
                column=name,
            )
