"""The options of the commands that train, and the settings they make."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linexport.cli._export_options import export_options, output_option
from linexport.cli._options import Command, delimiter_option, names_option

if TYPE_CHECKING:
    from linexport.least_squares import LeastSquaresConfig
    from linexport.sgd import SGDConfig


def _units(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    units = {}
    for value in values:
        name, separator, unit = value.partition("=")
        if not separator:
            raise click.BadParameter(f"{value!r} is not NAME=UNIT.")
        units[name] = unit
    return units


_OPTIONS = [
    click.option("--data", type=str, help="CSV or Parquet file; the textbook's data if not given."),
    names_option("--target", "Columns to predict."),
    names_option("--features", "Columns to predict from; all others but the targets if not given."),
    names_option("--exclude", "Columns to leave aside."),
    delimiter_option,
    click.option(
        "--missing",
        type=click.Choice(["error", "drop"]),
        default="error",
        show_default=True,
        help="What to do with rows that have a missing or non-finite value.",
    ),
    click.option(
        "--test-fraction",
        type=click.FloatRange(0, 1, max_open=True),
        default=0.0,
        show_default=True,
        help="Part of the rows kept out of training, for honest metrics.",
    ),
    click.option(
        "--unit",
        "units",
        multiple=True,
        metavar="NAME=UNIT",
        callback=_units,
        help="Unit of a column; repeatable.",
    ),
    click.option(
        "--solver",
        type=click.Choice(["sgd", "lstsq"]),
        default="sgd",
        show_default=True,
        help="Minibatch gradient descent, or least squares: the optimum, with its uncertainty.",
    ),
    click.option("--epochs", type=click.IntRange(min=1), help="sgd: passes over the rows."),
    click.option("--batch-size", type=click.IntRange(min=1), help="sgd: rows per step."),
    click.option("--learning-rate", type=float, help="sgd: step size."),
    click.option("--momentum", type=float, help="sgd: part of the last step that is taken again."),
    click.option("--weight-decay", type=float, help="sgd: L2 penalty, as torch.optim.SGD has it."),
    click.option(
        "--standardize/--no-standardize",
        default=None,
        help="sgd: scale the features for training; done for tables, not for the textbook's data.",
    ),
    click.option("--weights", help="lstsq: column that says how often each row counts."),
    click.option("--l2", type=float, help="lstsq: ridge penalty on the raw weights, as in Ridge."),
    click.option(
        "--intercept/--no-intercept", default=None, help="lstsq: with a bias (default), or without."
    ),
    click.option(
        "--rank-deficient",
        type=click.Choice(["error", "minimum-norm"]),
        help="lstsq: what to do with linearly dependent features; an error by default.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Of every random choice.",
    ),
    click.option("--device", help="sgd: auto (default), cpu, cuda, cuda:N or mps."),
    output_option(default=Path("models/linear-regression"), show_default=True),
    export_options,
]


def training_options(command: Command) -> Command:
    """Add what train-and-export takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_SOLVER_SETTINGS = {
    "sgd": (
        "epochs", "batch_size", "learning_rate", "momentum", "weight_decay", "standardize",
        "device",
    ),
    "lstsq": ("l2", "intercept", "rank_deficient"),
}  # fmt: skip


def solver_of(values: dict[str, Any]) -> "SGDConfig | LeastSquaresConfig":
    """Return the solver's settings; what was not given is left for it to choose.

    Raises:
        click.UsageError: If a setting of the other solver was given.
    """
    from linexport.least_squares import LeastSquaresConfig
    from linexport.sgd import SGDConfig

    solver = values["solver"]
    for other, names in _SOLVER_SETTINGS.items():
        for name in names:
            if other != solver and values[name] is not None:
                flag = "--" + name.replace("_", "-")
                raise click.UsageError(f"{flag} is for --solver {other}, not {solver}.")
    given = {name: values[name] for name in _SOLVER_SETTINGS[solver] if values[name] is not None}
    if solver == "lstsq":
        return LeastSquaresConfig(**given)
    return SGDConfig(seed=values["seed"], **given)
