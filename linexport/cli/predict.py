"""linexport predict."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linexport import pipeline
from linexport.cli._main import collector_patient
from linexport.cli._options import (
    WRITTEN,
    Section,
    SettingsCommand,
    dialect_given,
    given,
    json_option,
    names_option,
    option_under,
    quiet_option,
    table_sections,
)
from linexport.cli._terminal import ReadDisplay, echo, warnings_as_lines
from linexport.predicting import PredictConfig

if TYPE_CHECKING:
    from linexport.predicting import Predicted

__all__ = ["command"]


@click.command(
    "predict",
    cls=SettingsCommand,
    sections=lambda: [Section("Rows", PredictConfig), *table_sections()],
    example="linexport predict models/flats new.csv --keep id -o predicted.csv",
)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("tables", metavar="INPUT...", nargs=-1, required=True, type=click.Path())
@option_under(WRITTEN)(
    "-o",
    "--output",
    type=click.Path(),
    default="-",
    show_default=True,
    help="CSV or Parquet file, DIRECTORY/ for a part for each input, or - for CSV on stdout.",
)
@names_option("--keep", "Columns of INPUT to pass through.", option_under(WRITTEN), table="tables")
@json_option
@quiet_option
def command(
    *,
    model: Path,
    tables: tuple[str, ...],
    output: str,
    keep: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    **values: Any,
) -> None:
    """Predict every row of INPUT with MODEL, in constant memory.

    MODEL is a bundle or an ONNX file that linexport wrote. INPUT is a CSV, Parquet, Arrow IPC, JSON
    lines or Excel file, compressed or not, a directory or a quoted pattern of them, or - for CSV on
    stdin. Features are taken by name.
    """
    if as_json and output == "-":
        raise click.UsageError("--json would be mixed with the predictions; name an --output.")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # nothing needs them: they spin for 30 ms
    with (
        collector_patient(),
        warnings_as_lines(quiet=quiet),
        ReadDisplay(() if quiet else tables) as reading,
    ):
        predicted = pipeline.predict_table(
            model,
            tables,
            output,
            keep=keep,
            on_read=None if quiet else reading,
            dialect=dialect_given(values),
            **given(PredictConfig, values),
        )
    if as_json:
        import json  # takes milliseconds that most calls do not need

        echo(json.dumps(_document(predicted, output), indent=2))
    elif not quiet and output != "-":
        click.echo(_sentence(predicted, output), err=True)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _sentence(predicted: "Predicted", output: str) -> str:
    read = _counted(predicted.rows_read, "row")
    sentence = f"{read} read, {predicted.rows_written} predicted into {output}"
    if predicted.rows_without_prediction:
        sentence += f", {predicted.rows_without_prediction} of them as NaN"
    if predicted.parts:
        sentence += f"; {_counted(len(predicted.parts), 'part')}"
        done = sum(part.done_before for part in predicted.parts)
        sentence += f", {done} of them done before" if done else ""
    return sentence


def _document(predicted: "Predicted", output: str) -> dict[str, Any]:
    document: dict[str, Any] = {"output": output, **_counts(predicted)}
    if predicted.parts:
        document["parts"] = [
            {"path": str(part.path), **_counts(part), "done_before": part.done_before}
            for part in predicted.parts
        ]
    return document


def _counts(predicted: "Predicted") -> dict[str, int]:
    names = (name for name in predicted.__struct_fields__ if name.startswith("rows_"))
    return {name: getattr(predicted, name) for name in names}
