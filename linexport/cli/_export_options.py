"""The options of the commands that write a bundle, and what they print of it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linexport import reporting
from linexport.cli._main import DISAGREES
from linexport.cli._options import Command, echo_verdict, json_option, probe_options, quiet_option
from linexport.cli._text import echo_lines

if TYPE_CHECKING:
    from linexport.fit import Coefficients
    from linexport.pipeline import Exported

_OPTIONS = [
    click.option(
        "--dtype",
        type=click.Choice(["float32", "float64"]),
        default="float32",
        show_default=True,
        help="Of the artifacts.",
    ),
    click.option(
        "--format",
        "formats",
        type=click.Choice(["torchscript", "onnx", "pt2"]),
        multiple=True,
        default=("torchscript", "onnx"),
        show_default=True,
        help="Artifacts to write; repeatable.",
    ),
    click.option(
        "--form",
        type=click.Choice(["auto", "folded", "standardized"]),
        default="auto",
        show_default=True,
        help="Fold the scaler into the weights, or keep it as nodes; auto takes the more exact.",
    ),
    click.option("--opset", "opset_version", type=int, help="Of the ONNX file.  [default: 13]"),
    click.option("--ir-version", type=int, help="Of the ONNX file.  [default: 7]"),
    click.option("--overwrite", is_flag=True, help="Replace a bundle that is there."),
    probe_options,
    json_option,
    quiet_option,
]


def export_options(command: Command) -> Command:
    """Add what shapes a bundle and what is printed of it."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def output_option(**settings: Any) -> Callable[[Command], Command]:
    """Add where the bundle goes, with click's settings of whether that must be given."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        help="Directory of the bundle.",
        **settings,
    )


EXPORT_SETTINGS = (
    "formats", "dtype", "form", "opset_version", "ir_version", "probe_rows", "probe_seed",
)  # fmt: skip


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
