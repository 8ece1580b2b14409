"""linexport evaluate."""

from pathlib import Path
from typing import Any

import click

from linexport import pipeline, reporting
from linexport.cli._failing import DISAGREES
from linexport.cli._main import collector_patient
from linexport.cli._options import (
    Section,
    SettingsCommand,
    dialect_given,
    given,
    json_option,
    option_under,
    table_sections,
)
from linexport.cli._printing import echo_blocks
from linexport.cli._terminal import ReadDisplay, echo, echo_error
from linexport.predicting import EvaluateConfig

__all__ = ["command"]


def _sections() -> list[Section]:
    return [Section("Rows", EvaluateConfig), *table_sections()]


@click.command(
    "evaluate",
    cls=SettingsCommand,
    sections=_sections,
    example="linexport evaluate models/flats test.csv --max-rmse 2.5",
    negative="an RMSE is above --max-rmse",
)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("tables", metavar="TABLE...", nargs=-1, required=True, type=click.Path())
@option_under("Rows")(
    "--max-rmse",
    type=click.FloatRange(min=0),
    help="The most that the RMSE of a target may be, target units; above it the exit status is 1.",
)
@json_option
def command(
    *,
    model: Path,
    tables: tuple[str, ...],
    max_rmse: float | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Compare the predictions of MODEL with the truth in TABLE, in constant memory.

    MODEL is a bundle or an ONNX file that linexport wrote. TABLE has the features and the targets;
    rows without a truth are left out.
    """
    with collector_patient(), ReadDisplay(tables) as reading:
        found = pipeline.evaluate(
            model,
            tables,
            dialect=dialect_given(values),
            on_read=reading,
            **given(EvaluateConfig, values),
        )
    if as_json:
        echo(reporting.render(found))
    else:
        echo_blocks(reporting.evaluation_blocks(found))
    above = [
        f"the RMSE of '{name}' is {target.rmse.value:.6g}, above {max_rmse:.6g}"
        for name, target in found.targets.items()
        if max_rmse is not None and target.rmse.value > max_rmse
    ]
    if above:
        echo_error(f"{'; '.join(above)}.")
        click.get_current_context().exit(DISAGREES)
