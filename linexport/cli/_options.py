"""Options and output that several commands share."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linexport.cli._main import DISAGREES
from linexport.cli._settings import Command, Section, option_under
from linexport.cli._text import echo_lines

if TYPE_CHECKING:
    from linexport.fit import Coefficients
    from linexport.parity import ParityReport, Verdict
    from linexport.pipeline import Exported

WRITTEN = "What is written"
COLORS: "dict[Verdict, str]" = {"proven": "green", "consistent": "yellow", "disagrees": "red"}

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print the result alone.")
overwrite_option = option_under(WRITTEN)(
    "--overwrite", is_flag=True, help="Replace a bundle that is there."
)


def output_option(**settings: Any) -> Callable[[Command], Command]:
    """Add where the bundle goes, with click's settings of whether that must be given."""
    return option_under(WRITTEN)(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        help="Directory of the bundle.",
        **settings,
    )


def export_sections() -> list[Section]:
    """What shapes a bundle and its proof."""
    from linexport.parity import ProbeConfig
    from linexport.pipeline import ExportConfig

    return [Section("Parity check", ProbeConfig), Section(WRITTEN, ExportConfig)]


def names_option(
    flag: str,
    help_text: str,
    option: Callable[..., Any] = click.option,
) -> Callable[[Command], Command]:
    """Add an option that takes column names, one each time or several with commas."""
    made: Callable[[Command], Command] = option(
        flag, multiple=True, metavar="NAME[,NAME...]", help=f"{help_text} Repeatable."
    )
    return made


def echo_verdict(report: "ParityReport", line: str) -> None:
    """Print the last line, its verdict in colour where the terminal has any."""
    verdict, rest = line.split(":", 1)
    click.echo(click.style(verdict, fg=COLORS[report.verdict], bold=True) + ":" + rest)


def echo_exported(
    ctx: click.Context,
    exported: "Exported",
    *,
    as_json: bool,
    quiet: bool,
    before: Sequence[str] = (),
    truth: "Mapping[str, Coefficients] | None" = None,
) -> None:
    """Print what was exported, and exit with the status that says so if a runtime disagrees.

    Args:
        ctx: Of the command.
        exported: The bundle and its proof.
        as_json: Print one document.
        quiet: Print the result alone.
        before: Lines that come first, where all is printed.
        truth: The true coefficients, where they are known.
    """
    from linexport import reporting

    for warning in exported.warnings:
        click.echo(f"warning: {warning}", err=True)
    bundle = None if exported.path is None else str(exported.path)
    outcome = (bundle, exported.fit, exported.error_budget, exported.report)
    if as_json:
        click.echo(reporting.render(reporting.training_document(*outcome, exported.warnings)))
    else:
        if quiet:
            echo_lines(exported.report.failures)
        else:
            echo_lines(before)
            echo_lines(reporting.training_lines(*outcome, exported.model, truth=truth))
        echo_verdict(exported.report, reporting.conclusion(exported.report))
    if not exported.report.passed:
        ctx.exit(DISAGREES)
