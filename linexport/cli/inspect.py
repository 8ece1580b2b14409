"""linexport inspect."""

from pathlib import Path

import click

from linexport import pipeline, reporting
from linexport.cli._options import SettingsCommand, json_option
from linexport.cli._printing import echo_blocks
from linexport.cli._terminal import echo

__all__ = ["command"]


@click.command("inspect", cls=SettingsCommand, example="linexport inspect models/flats")
@click.argument("path", type=click.Path(path_type=Path))
@json_option
def command(*, path: Path, as_json: bool) -> None:
    """Say what PATH, a bundle or an ONNX file, is: names, ranges, versions, verdict, digests."""
    found = pipeline.inspect(path)
    if isinstance(found, pipeline.BundleInspection):
        document = reporting.bundle_document(found.path, found.manifest, found.certificate)
        blocks = reporting.bundle_blocks(found.manifest, found.certificate)
    else:
        document = reporting.onnx_document(str(path), found)
        blocks = reporting.onnx_blocks(found)
    if as_json:
        echo(reporting.render(document))
    else:
        echo_blocks(blocks)
