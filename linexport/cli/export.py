"""linexport export."""

from pathlib import Path
from typing import Any

import click

from linexport import pipeline
from linexport.cli._main import collector_patient
from linexport.cli._options import (
    MODEL,
    SettingsCommand,
    bundle_options,
    export_sections,
    graph_output_option,
    made,
    names_option,
    option_under,
)
from linexport.cli._printing import echo_exported
from linexport.cli._terminal import warnings_said_later
from linexport.columns import split_names
from linexport.sources import source_files

__all__ = ["command"]

_model = option_under(MODEL)


@click.command(
    "export",
    cls=SettingsCommand,
    sections=export_sections,
    example="linexport export fit.json --ranges training.csv -o models/fit",
    negative="a runtime disagrees, or rounding is too coarse",
)
@click.argument("source", type=click.Path(path_type=Path))
@names_option(
    "--features",
    "Names of the columns, in their order, where SOURCE has none.",
    _model,
    table="ranges",
)
@names_option("--target", "Names of what is predicted, likewise.", _model, table="ranges")
@_model(
    "--ranges",
    type=click.Path(),
    metavar="TABLE",
    help="A table with the features, such as the training data; over its range the error budget "
    "holds.",
)
@graph_output_option
@bundle_options(must_be_named=True)
def command(
    *,
    source: Path,
    features: tuple[str, ...],
    target: tuple[str, ...],
    ranges: str | None,
    graph_output: str | None,
    output: Path,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **values: Any,
) -> None:
    """Export SOURCE, a linear model from elsewhere, and prove that every runtime predicts the same.

    SOURCE is a bundle, or a file: {files}. Pickled models are exported from Python.
    """
    config = made(pipeline.ExportConfig, values)
    with collector_patient(), warnings_said_later():
        exported = pipeline.export(
            source,
            output,
            config=config,
            features=split_names(features, ()),
            targets=split_names(target, ()),
            ranges=ranges,
            overwrite=overwrite,
            graph_output=graph_output,
        )
    echo_exported(exported, as_json=as_json, quiet=quiet, verbose=verbose)


command.help = (command.help or "").format(files=source_files())
