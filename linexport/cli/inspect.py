"""linexport inspect."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from linexport import pipeline, reporting
from linexport.cli._options import json_option

if TYPE_CHECKING:
    from linexport.onnx_graph import OnnxSummary


@click.command("inspect")
@click.argument("path", type=click.Path(path_type=Path))
@json_option
def command(*, path: Path, as_json: bool) -> None:
    """Say what PATH, a bundle or an ONNX file, is: names, ranges, versions, verdict, digests."""
    inspection = pipeline.inspect(path)
    if as_json:
        click.echo(reporting.render(inspection))
    else:
        click.echo("\n".join(_lines(inspection)))


def _lines(inspection: "pipeline.BundleInspection | OnnxSummary") -> list[str]:
    if isinstance(inspection, pipeline.BundleInspection):
        return reporting.bundle_lines(inspection.manifest, inspection.certificate)
    return reporting.onnx_lines(inspection)
