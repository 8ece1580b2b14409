"""A table in, predictions out, in constant memory."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np

from linexport._documented import documented
from linexport.errors import ConfigError
from linexport.predicting._outputs import Outputs
from linexport.predicting._policy import OutsideRange, warn_once
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
    outputs: Outputs,
    path: str | Path,
    *,
    batches: Generator[Batch, None, None] | None = None,
) -> Predicted:
    """Write one row of predictions for each row of a table, in its order.

    Reading, predicting and writing overlap, in a thread each. Rows outside the training range are
    dealt with as the predictor's `check_range` says, with one warning at the end.

    Args:
        table: What `open_table` returns; features are found by name.
        outputs: What is written of each row.
        path: A file ending in .csv, .tsv or .parquet, or `-` for CSV on standard output. A file is
            replaced at the end, all or nothing.
        batches: What `table.batches` returned for the features and kept columns, if reading has
            begun already.

    Raises:
        DataError: If a column is unknown; at the first row that is malformed or cannot be
            predicted; or if the output cannot be written.
        ConfigError: If the output's name is none of these, or the output is a file of the table.
    """
    check_output(path)
    if str(path) != "-":
        require_no_input([Path(path)], table.files)
    with closing(batches or table.batches(outputs.predictor.inputs, outputs.keep)) as rows:
        return write_batches(rows, outputs, path)


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


def write_batches(batches: Iterable[Batch], outputs: Outputs, path: str | Path) -> Predicted:
    """Write one row of predictions for each row of some batches; see `write_predictions`."""
    num_rows = num_without = 0
    outside: list[OutsideRange] = []

    def predicted() -> Iterator[WrittenRows]:
        nonlocal num_rows, num_without
        for batch in batches:
            values = outputs.of_batch(batch, outside.append)
            num_rows += batch.num_rows
            if outputs.missing == "nan":
                num_without += int(np.isnan(values).any(axis=1).sum())
            yield batch.kept_and(outputs.columns, values)

    num_written = write_table(predicted(), path)
    warn_once(outside)
    return Predicted(
        rows_read=num_rows,
        rows_written=num_written,
        rows_without_prediction=num_without,
        rows_outside_range=sum(rows.num_rows for rows in outside),
    )
