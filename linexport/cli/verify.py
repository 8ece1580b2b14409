"""linexport verify."""

from pathlib import Path

import click

from linexport import reporting
from linexport.cli._main import DISAGREES
from linexport.cli._options import echo_verdict, json_option, probe_options, quiet_option
from linexport.cli._startup import collector_paused
from linexport.cli._text import echo_lines

__all__ = ["command"]


@click.command("verify")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    help="Bundle or safetensors file with the model that PATH, a single artifact, should be.",
)
@click.option(
    "--trust", is_flag=True, help="Load TorchScript and .pt2 files even if they could run code."
)
@probe_options
@json_option
@quiet_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    path: Path,
    reference: Path | None,
    trust: bool,
    probe_rows: int,
    probe_seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Check every artifact of the bundle PATH, or one artifact, against its reference model.

    Exit status: 0 all agree, 1 one disagrees, 2 misuse, 3 could not be checked.
    """
    with collector_paused():
        from linexport.pipeline import verify  # loads torch
    report = verify(path, reference=reference, trust=trust, probe_rows=probe_rows, seed=probe_seed)
    if as_json:
        click.echo(reporting.render(reporting.parity_document(report)))
    else:
        echo_lines(report.failures if quiet else reporting.parity_lines(report))
        echo_verdict(report, reporting.conclusion(report))
    if not report.passed:
        ctx.exit(DISAGREES)
