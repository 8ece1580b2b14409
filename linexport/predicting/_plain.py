"""A small, plain CSV file in, predictions out, as `score` would write them, without polars."""

import sys
from collections.abc import Sequence
from pathlib import Path

from linexport.errors import DataError
from linexport.predicting._predictor import Predictor
from linexport.predicting._scored import Scored
from linexport.tables import (
    SEPARATORS,
    OnRead,
    PlainTable,
    ReadProgress,
    destination,
    is_plain_name,
    unwritable,
    write_file,
    write_plain,
)

__all__ = ["score_plain", "suits"]


def suits(
    table: PlainTable,
    features: Sequence[str],
    targets: Sequence[str],
    output: str | Path,
    keep: Sequence[str],
) -> bool:
    """Tell whether `score_plain` can do what is asked; if not, `score` does it, or says why not."""
    written = [*keep, *targets]
    if not (
        {*features, *keep} <= set(table.names)
        and len(set(written)) == len(written)
        and all(map(is_plain_name, written))
    ):
        return False
    if str(output) == "-":
        return sys.stdout is not None
    try:
        path = destination(output)
        is_input = path.exists() and path.samefile(table.path)
    except (DataError, OSError):
        return False
    return Path(output).suffix.lower() in SEPARATORS and not is_input


def score_plain(
    table: PlainTable,
    predictor: Predictor,
    output: str | Path,
    *,
    keep: Sequence[str] = (),
    on_read: OnRead | None = None,
) -> Scored | None:
    """Write one row of predictions for each row of a table, where that `suits`.

    The arguments are those of `score`.

    Returns:
        What was read and written; or None, and nothing is written, if a feature or a prediction is
        beyond the model's dtype, which `score` tells of.

    Raises:
        DataError: If the output cannot be written.
    """
    places = {name: place for place, name in enumerate(table.names)}
    features, kept = ([places[name] for name in names] for names in (predictor.feature_names, keep))
    blocks = []
    for block in table.blocks:
        try:
            prediction = predictor.predict(block.numbers(features))
        except DataError:
            return None
        blocks.append(([[row[place] for place in kept] for row in block.fields], prediction))
    content = write_plain(
        [*keep, *predictor.target_names],
        blocks,
        SEPARATORS.get(Path(output).suffix.lower(), ","),
    )
    _tell(table, on_read)
    _write(content, output)
    num_rows = sum(len(block.fields) for block in table.blocks)
    return Scored(
        rows_read=num_rows, rows_written=num_rows, rows_without_prediction=0, rows_outside_range=0
    )


def _tell(table: PlainTable, on_read: OnRead | None) -> None:
    if on_read is None:
        return
    rows, bytes_read = 0, 0.0
    for block in table.blocks:
        rows, bytes_read = rows + len(block.fields), bytes_read + block.num_bytes
        on_read(ReadProgress(rows=rows, bytes_read=bytes_read, num_bytes=table.num_bytes))


def _write(content: bytes, output: str | Path) -> None:
    if str(output) != "-":
        write_file(content, output)
        return
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise unwritable(error, "standard output") from error
