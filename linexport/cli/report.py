"""linexport report."""

import webbrowser
from pathlib import Path
from typing import Any

import click

from linexport import pipeline
from linexport.cli._main import collector_patient
from linexport.cli._options import (
    DATA,
    WRITTEN,
    SettingsCommand,
    dialect_given,
    option_under,
    quiet_option,
    table_sections,
)
from linexport.cli._terminal import echo

__all__ = ["command"]


@click.command(
    "report",
    cls=SettingsCommand,
    sections=table_sections,
    example="linexport report models/flats --data flats.csv -o flats.html",
)
@click.argument("bundle", type=click.Path(path_type=Path))
@option_under(DATA)(
    "--data",
    type=click.Path(),
    metavar="TABLE",
    help="A table with the features and the targets, such as the training data: the page "
    "then shows predictions against the truth, test rows apart.",
)
@option_under(WRITTEN)(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="The page.",
)
@option_under(WRITTEN)("--open", "opens", is_flag=True, help="Show it in the browser.")
@quiet_option
def command(
    *, bundle: Path, data: str | None, output: Path, opens: bool, quiet: bool, **values: Any
) -> None:
    """Write a page about BUNDLE: the equation, the fit, the proof, and a panel to try values in.

    It is one HTML file that needs no network, for a browser, a phone or paper.
    """
    with collector_patient():
        written = pipeline.report(bundle, output, data=data, dialect=dialect_given(values))
    if not quiet:
        echo(f"Report: {written}")
    if opens:
        webbrowser.open(written.resolve().as_uri())
