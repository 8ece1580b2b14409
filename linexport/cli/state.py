"""linexport state."""

from pathlib import Path
from typing import Any

import click

from linexport import pipeline
from linexport.cli._main import collector_patient
from linexport.cli._options import (
    DATA,
    WRITTEN,
    Section,
    SettingsCommand,
    dialect_given,
    json_option,
    made,
    option_under,
    quiet_option,
    rows_options,
    table_sections,
)
from linexport.cli._ranks import joined_ranks
from linexport.cli._terminal import ReadDisplay, echo
from linexport.rows import DataConfig

__all__ = ["command"]


@click.command(
    "state",
    cls=SettingsCommand,
    sections=lambda: [Section(DATA, DataConfig), *table_sections()],
    example="linexport state day-1.parquet --target price --part 1/30 -o day-1.state",
)
@click.argument("tables", nargs=-1, required=True, metavar="TABLE...", type=click.Path())
@rows_options("tables", "Column that weights the rows; see --weights-kind.")
@option_under(DATA)(
    "--part",
    metavar="NAME",
    help="What these rows are called; two of one name do not merge, and 3/8 says that there are "
    "eight. If not given, their own digest.",
)
@option_under(WRITTEN)(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="The file to write; one that is there is replaced.",
)
@json_option
@quiet_option
def command(
    *,
    tables: tuple[str, ...],
    target: tuple[str, ...],
    features: tuple[str, ...],
    exclude: tuple[str, ...],
    weights: str | None,
    part: str | None,
    output: Path,
    as_json: bool,
    quiet: bool,
    **values: Any,
) -> None:
    """Add up the rows of TABLE..., exactly, into a small file that `linexport fit` merges.

    A part can be added up anywhere, and in any order: the fit of all parts is the same to the last
    bit. Started by torchrun, each rank reads its share.
    """
    with collector_patient(), joined_ranks() as ranks, ReadDisplay(tables) as reading:
        with ranks.together():
            state = pipeline.add_up(
                list(tables),
                targets=target,
                features=features,
                exclude=exclude,
                weights=weights,
                part=part,
                config=made(DataConfig, values),
                dialect=dialect_given(values),
                on_read=None if ranks.rank else reading,
                ranks=ranks,
            )
        if ranks.rank:  # rank 0 alone writes and prints
            return
        pipeline.write_state(state, output)
    if as_json:
        from linexport import reporting

        echo(reporting.render(reporting.state_document(str(output), state)))
    elif not quiet:
        dropped = f", {state.rows_dropped} left out" if state.rows_dropped else ""
        echo(f"{output}: {state.num_rows} rows{dropped}, part {', '.join(state.parts) or 'none'}")
