"""linexport fit."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from linexport import pipeline
from linexport._asked import asking_for_options
from linexport.cli._main import collector_patient
from linexport.cli._options import (
    Section,
    SettingsCommand,
    bundle_options,
    export_sections,
    made,
    option_under,
    units_option,
)
from linexport.cli._printing import echo_exported
from linexport.cli._terminal import warnings_said_later
from linexport.least_squares import LeastSquaresConfig

__all__ = ["command"]

_fit = option_under("Fit")


def _sections() -> Iterator[Section]:
    yield Section("Fit", LeastSquaresConfig)
    yield from export_sections()


@click.command(
    "fit",
    cls=SettingsCommand,
    sections=_sections,
    example="linexport fit part-1.state part-2.state -o models/flats",
    negative="a runtime disagrees, or rounding is too coarse",
)
@click.argument(
    "states", nargs=-1, required=True, metavar="STATE...", type=click.Path(path_type=Path)
)
@_fit(
    "--exclude",
    multiple=True,
    metavar="NAME[,NAME...]",
    help="Columns to leave aside. Repeatable.",
)
@_fit(
    "--reference",
    multiple=True,
    metavar="NAME=LEVEL|none",
    help="The level that the others are compared with; the most frequent of all rows if not given, "
    "none for a feature of each level, which takes a ridge. Repeatable.",
)
@_fit(
    "--unknown",
    type=click.Choice(["error", "reference"]),
    default="error",
    show_default=True,
    help="What becomes of a level that occurs only when predicting.",
)
@units_option(_fit)
@bundle_options()
def command(
    *,
    states: tuple[Path, ...],
    exclude: tuple[str, ...],
    reference: tuple[str, ...],
    unknown: Any,
    units: dict[str, str],
    output: Path,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **values: Any,
) -> None:
    """Fit the rows of all STATE... by least squares, export, and prove that runtimes agree.

    The states are what `linexport state` wrote, or State.to_bytes on any engine. In whatever order
    they come, the fit is the same to the last bit.
    """
    solver, config = made(LeastSquaresConfig, values), made(pipeline.ExportConfig, values)
    with collector_patient(), warnings_said_later(), asking_for_options(but_for={"solver"}):
        exported = pipeline.fit_states(
            states,
            output,
            solver=solver,
            exclude=exclude,
            reference=reference,
            unknown=unknown,
            units=units,
            config=config,
            overwrite=overwrite,
        )
    echo_exported(exported, as_json=as_json, quiet=quiet, verbose=verbose)
