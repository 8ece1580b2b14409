"""linexport synthesize."""

from typing import Any

import click

from linexport import rows
from linexport.cli._options import WRITTEN, Section, SettingsCommand, given, option_under

__all__ = ["command"]


def _numbers(
    ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[tuple[float, ...], ...]:
    try:
        return tuple(tuple(float(part) for part in text.split(",")) for text in texts)
    except ValueError as error:
        raise click.BadParameter(f"{texts[-1]!r} is not a list of numbers like 2,-3.4.") from error


@click.command(
    "synthesize",
    cls=SettingsCommand,
    sections=lambda: [Section("Rows", rows.SyntheticConfig)],
    example="linexport synthesize --weight 3,-0.8 --bias 40 --noise-std 2 -o rows.csv",
)
@option_under("Rows")(
    "--weight",
    multiple=True,
    default=("2,-3.4",),
    show_default=True,
    metavar="NUMBER[,NUMBER...]",
    callback=_numbers,
    help="One weight per feature; once per target.",
)
@option_under("Rows")(
    "--bias",
    "biases",
    type=float,
    multiple=True,
    default=(4.2,),
    show_default=True,
    help="What is added to the target: once for all, or once per target.",
)
@option_under(WRITTEN)(
    "-o",
    "--output",
    type=click.Path(),
    default="-",
    show_default=True,
    help="CSV or Parquet file, or - for CSV on stdout.",
)
def command(
    *,
    weight: tuple[tuple[float, ...], ...],
    biases: tuple[float, ...],
    output: str,
    **values: Any,
) -> None:
    """Write rows of x1, x2, ... ~ N(0, 1) and y = x.w + b + noise; y1, y2, ... for several."""
    bias = biases[0] if len(biases) == 1 else biases
    dataset = rows.synthesize(weight, bias, **given(rows.SyntheticConfig, values))
    rows.write_dataset(dataset, output)
