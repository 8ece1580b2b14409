"""linexport describe."""

from typing import Any

import click

from linexport import pipeline, reporting
from linexport.cli._main import collector_patient
from linexport.cli._options import SettingsCommand, dialect_given, json_option, table_sections
from linexport.cli._printing import echo_blocks
from linexport.cli._terminal import ReadDisplay, echo

__all__ = ["command"]


@click.command(
    "describe",
    cls=SettingsCommand,
    sections=table_sections,
    example="linexport describe flats.csv",
)
@click.argument("tables", metavar="TABLE...", nargs=-1, required=True, type=click.Path())
@json_option
def command(*, tables: tuple[str, ...], as_json: bool, **values: Any) -> None:
    """Say what each column of TABLE is: kind, range, missing values, levels.

    TABLE is a CSV, Parquet, Arrow IPC, JSON lines or Excel file, compressed or not, a directory or
    a quoted pattern of them, or - for CSV on stdin. Every value is looked at, in constant memory.
    """
    with collector_patient(), ReadDisplay(tables) as reading:
        found = pipeline.describe(tables, dialect=dialect_given(values), on_read=reading)
    if as_json:
        echo(reporting.render(found))
    else:
        echo_blocks(reporting.look_blocks(found))
