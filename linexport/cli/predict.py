"""linexport predict."""

import os
from pathlib import Path
from typing import Literal

import click

from linexport import pipeline
from linexport.cli._options import delimiter_option, names_option, quiet_option

__all__ = ["command"]


@click.command("predict")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("table", metavar="INPUT")
@click.option(
    "-o", "--output", default="-", help="CSV or Parquet file; CSV on stdout if not given."
)
@names_option("--keep", "Columns of INPUT to pass through.")
@delimiter_option
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Of onnxruntime; all cores by default, and at most.",
)
@click.option(
    "--missing",
    type=click.Choice(["error", "nan"]),
    default="error",
    show_default=True,
    help="What to do with a row that lacks a value: stop, or predict it as NaN.",
)
@quiet_option
def command(
    *,
    model: Path,
    table: str,
    output: str,
    keep: tuple[str, ...],
    delimiter: str | None,
    threads: int | None,
    missing: Literal["error", "nan"],
    quiet: bool,
) -> None:
    """Predict every row of INPUT, CSV or Parquet or - for CSV on stdin, with MODEL.

    MODEL is a bundle or an ONNX file that linexport wrote. Features are taken by name.
    """
    scored = pipeline.predict(
        model,
        table,
        output,
        keep=keep,
        delimiter=delimiter,
        missing=missing,
        num_threads=threads and min(threads, os.cpu_count() or threads),
    )
    if not quiet and output != "-":
        lacking = scored.rows_without_prediction
        rest = f", {lacking} of them as NaN" if lacking else ""
        click.echo(f"{scored.rows} rows predicted{rest} into {output}", err=True)
