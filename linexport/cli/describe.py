"""linexport describe."""

import click
import msgspec

from linexport import pipeline, reporting
from linexport.cli._main import collector_patient
from linexport.cli._options import json_option
from linexport.cli._terminal import ReadDisplay, echo, echo_lines

__all__ = ["command"]


@click.command("describe")
@click.argument("tables", metavar="TABLE...", nargs=-1, required=True)
@click.option("--delimiter", help="Between the fields of CSV; found from the header if not given.")
@json_option
def command(*, tables: tuple[str, ...], delimiter: str | None, as_json: bool) -> None:
    """Say what each column of TABLE is: kind, range, missing values, levels.

    TABLE is a CSV or Parquet file, a directory or a quoted pattern of them, or - for CSV on stdin.
    Every value is looked at, in constant memory.
    """
    with collector_patient(), ReadDisplay() as reading:
        found = pipeline.describe(tables, delimiter=delimiter, on_read=reading)
    if as_json:
        echo(reporting.render(msgspec.to_builtins(found)))
    else:
        echo_lines(reporting.look_lines(found))
