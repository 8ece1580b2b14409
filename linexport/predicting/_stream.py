"""A table in, predictions out, in constant memory."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import reduce
from operator import add
from pathlib import Path

import msgspec
import numpy as np

from linexport._documented import documented
from linexport.errors import ConfigError
from linexport.predicting._config import Missing
from linexport.predicting._outputs import Outputs, outputs_of
from linexport.predicting._policy import OutsideRange, warn
from linexport.predicting._predictor import Predictor
from linexport.tables import (
    Batch,
    File,
    Table,
    WrittenRows,
    check_output,
    write_table,
)


@documented
class Predicted(msgspec.Struct, frozen=True, kw_only=True):
    """What was read and written."""

    rows_read: int
    """Rows of the table."""
    rows_written: int
    """As many, or nothing would have been written."""
    rows_without_prediction: int
    """Those among them that lack a value and are predicted as NaN, as asked."""
    rows_outside_range: int
    """Those with a value outside the training range, if the predictor looks."""
    parts: "tuple[PredictedPart, ...]" = ()
    """Of a directory, in the order of the table's files; the counts are of all together."""


@documented
class PredictedPart(Predicted, frozen=True, kw_only=True):
    """One file of a directory."""

    path: Path
    done_before: bool
    """Whether an earlier run wrote it, whose counts these are."""


def write_predictions(
    table: Table,
    predictor: Predictor,
    output: str | Path,
    *,
    keep: Sequence[str] = (),
    names: Sequence[str] = (),
    interval: float | None = None,
    missing: Missing = "error",
    batches: Generator[Batch, None, None] | None = None,
) -> Predicted:
    """Write one row of predictions for each row of a table, in its order.

    Reading, predicting and writing overlap, in a thread each. Rows outside the training range are
    dealt with as the predictor's `check_range` says, with one warning at the end.

    Args:
        table: What `open_table` returns; features are found by name.
        predictor: The model.
        output: A file ending in .csv, .tsv or .parquet, or `-` for CSV on standard output. A file
            is replaced at the end, all or nothing.
        keep: Columns to hand on before the predictions. From CSV they are text, and stay as they
            are written there: 007 is 007.
        names: Of the predictions' columns; as in `outputs_of` if not given.
        interval: The probability with which the truth lies between two columns more, after each.
        missing: Whether a missing feature is an error, or makes its row be predicted as NaN.
        batches: What `table.batches` returned for the features and kept columns, if reading has
            begun already.

    Raises:
        DataError: If a column is unknown, or has the name of another that is written; at the first
            row that is malformed or cannot be predicted; or if the output cannot be written.
        ModelError: If there are no intervals.
        ConfigError: If the output's name is none of these, or the output is a file of the table.
    """
    outputs = outputs_of(predictor, keep, names=names, interval=interval, source=table.source)
    check_output(output)
    if str(output) != "-":
        require_no_input([Path(output)], table.files)
    with closing(batches or table.batches(predictor.inputs, keep)) as rows:
        return write_batches(rows, predictor, output, outputs, missing=missing)


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


def write_batches(
    batches: Iterable[Batch],
    predictor: Predictor,
    output: str | Path,
    outputs: Outputs,
    *,
    missing: Missing,
) -> Predicted:
    """Write one row of predictions for each row of some batches; see `write_predictions`."""
    num_rows = num_without = 0
    outside: list[OutsideRange] = []

    def predicted() -> Iterator[WrittenRows]:
        nonlocal num_rows, num_without
        for batch in batches:
            values = outputs.of_batch(predictor, batch, missing=missing, report=outside.append)
            num_rows += batch.num_rows
            if missing == "nan":
                num_without += int(np.isnan(values).any(axis=1).sum())
            yield batch.kept_and(outputs.columns, values)

    num_written = write_table(predicted(), output)
    if outside:
        warn(reduce(add, outside))
    return Predicted(
        rows_read=num_rows,
        rows_written=num_written,
        rows_without_prediction=num_without,
        rows_outside_range=sum(rows.num_rows for rows in outside),
    )
