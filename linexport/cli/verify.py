"""linexport verify."""

from pathlib import Path
from typing import Any

import click

from linexport import pipeline, reporting
from linexport.cli._main import collector_patient
from linexport.cli._options import (
    MODEL,
    Section,
    SettingsCommand,
    given,
    graph_output_option,
    json_option,
    option_under,
    quiet_option,
    verbose_option,
)
from linexport.cli._printing import echo_blocks, echo_verdict, exit_by_verdict
from linexport.cli._terminal import echo
from linexport.formats import ExternalConfig
from linexport.parity import ProbeConfig

__all__ = ["command"]


def _sections() -> list[Section]:
    return [
        Section("Parity check", ProbeConfig),
        Section("Other runtimes", ExternalConfig),
    ]


@click.command(
    "verify",
    cls=SettingsCommand,
    sections=_sections,
    example="linexport verify models/flats",
    negative="a runtime disagrees, or rounding is too coarse",
)
@click.argument("path", type=click.Path(path_type=Path))
@option_under(MODEL)(
    "--reference",
    type=click.Path(path_type=Path),
    help="The model that PATH, a single artifact, should be: whatever `linexport export` takes.",
)
@option_under(MODEL)(
    "--trust", is_flag=True, help="Load TorchScript and .pt2 files even if they could run code."
)
@graph_output_option
@json_option
@quiet_option
@verbose_option
def command(
    *,
    path: Path,
    reference: Path | None,
    trust: bool,
    graph_output: str | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **values: Any,
) -> None:
    """Check every artifact of the bundle PATH, or one artifact, against its reference model."""
    with collector_patient():
        certificate = pipeline.verify(
            path,
            reference=reference,
            trust=trust,
            graph_output=graph_output,
            **given(ProbeConfig, values),
            **given(ExternalConfig, values),
        )
    if as_json:
        echo(reporting.render(reporting.certificate_document(certificate)))
    else:
        shown = reporting.certificate_blocks if verbose else reporting.runtime_blocks
        echo_blocks(certificate.failures if quiet else shown(certificate))
        echo_verdict(certificate)
    exit_by_verdict(certificate)
