"""linexport train-and-export."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linexport import pipeline, reporting
from linexport.cli._main import DISAGREES
from linexport.cli._options import (
    delimiter_option,
    echo_verdict,
    json_option,
    names_option,
    probe_options,
    quiet_option,
)
from linexport.cli._progress import EpochDisplay
from linexport.cli._startup import collector_paused

if TYPE_CHECKING:
    from linexport.data import Dataset
    from linexport.manifest import Coefficients
    from linexport.training import TrainingResult


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
    click.option("--target", "targets", multiple=True, help="Column to predict; repeatable."),
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
    click.option("--epochs", type=click.IntRange(min=1), help="Passes over the rows."),
    click.option("--batch-size", type=click.IntRange(min=1), help="Rows per step."),
    click.option("--learning-rate", type=float, help="Step size."),
    click.option("--momentum", type=float, help="Part of the last step that is taken again."),
    click.option(
        "--weight-decay", type=float, default=0.0, help="L2 penalty, as torch.optim.SGD has it."
    ),
    click.option(
        "--standardize/--no-standardize",
        default=None,
        help="Scale the features for training; done for tables, not for the textbook's data.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Of every random choice.",
    ),
    click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:N or mps."),
    click.option(
        "--dtype",
        type=click.Choice(["float32", "float64"]),
        default="float32",
        show_default=True,
        help="Of the artifacts.",
    ),
    click.option(
        "--format",
        "formats",
        type=click.Choice(["torchscript", "onnx", "pt2"]),
        multiple=True,
        default=("torchscript", "onnx"),
        show_default=True,
        help="Artifacts to write; repeatable.",
    ),
    click.option(
        "--form",
        type=click.Choice(["auto", "folded", "standardized"]),
        default="auto",
        show_default=True,
        help="Fold the scaler into the weights, or keep it as nodes; auto takes the more exact.",
    ),
    click.option("--opset", "opset_version", type=int, help="Of the ONNX file.  [default: 13]"),
    click.option("--ir-version", type=int, help="Of the ONNX file.  [default: 7]"),
    click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        default=Path("models/linear-regression"),
        show_default=True,
        help="Directory of the bundle.",
    ),
    click.option("--overwrite", is_flag=True, help="Replace a bundle that is there."),
    probe_options,
    json_option,
    quiet_option,
]


def _with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_SOLVER_SETTINGS = (
    "epochs",
    "batch_size",
    "learning_rate",
    "momentum",
    "weight_decay",
    "standardize",
    "seed",
    "device",
)
_EXPORT_SETTINGS = (
    "formats",
    "dtype",
    "form",
    "opset_version",
    "ir_version",
    "probe_rows",
    "probe_seed",
)


@click.command("train-and-export")
@_with_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    output: Path,
    overwrite: bool,
    test_fraction: float,
    as_json: bool,
    quiet: bool,
    **values: Any,
) -> None:
    """Fit a linear regression, export it, and prove that every runtime predicts the same.

    Without --data it does so for the textbook's example: 1000 rows of y = 2 x1 - 3.4 x2 + 4.2 with
    noise of 0.01, minibatch SGD.

    Exit status: 0 proven, 1 a runtime disagrees, 2 misuse, 3 could not be done.
    """
    with collector_paused():  # after the arguments are known to be right: this loads torch
        from linexport import training
        from linexport.pipeline import train_and_export

    solver = training.SGDConfig(**{name: values[name] for name in _SOLVER_SETTINGS})
    config = pipeline.ExportConfig(**{name: values[name] for name in _EXPORT_SETTINGS})
    fixed_epochs = values["data"] is None or solver.epochs is not None
    dataset = pipeline.read_data(
        values["data"],
        targets=values["targets"],
        features=values["features"],
        exclude=values["exclude"],
        delimiter=values["delimiter"],
        missing=values["missing"],
        units=values["units"],
        seed=solver.seed,
    )
    with EpochDisplay(as_text=not (as_json or quiet), every=fixed_epochs) as display:
        exported = train_and_export(
            dataset,
            output,
            solver=solver,
            test_fraction=test_fraction,
            config=config,
            overwrite=overwrite,
            on_epoch=display,
        )
    trained = exported.training
    assert trained is not None
    for warning in exported.warnings:
        click.echo(f"warning: {warning}", err=True)
    bundle = None if exported.path is None else str(exported.path)
    outcome = (bundle, exported.fit, exported.error_budget, exported.report)
    if as_json:
        click.echo(reporting.render(reporting.training_document(*outcome, exported.warnings)))
    else:
        if not quiet:
            click.echo("\n".join(_module_lines(trained)))
            lines = reporting.training_lines(*outcome, dataset.targets, truth=_truth(dataset))
            click.echo("\n".join(lines))
        echo_verdict(exported.report, reporting.conclusion(exported.report))
    if not exported.report.passed:
        ctx.exit(DISAGREES)


def _module_lines(trained: "TrainingResult") -> list[str]:
    """The module that was trained and its last gradients, as the textbook prints them."""
    lines = [f"Module: {trained.module}"] if trained.module is not None else []
    for name, gradient in (trained.gradients or {}).items():
        numbers = ", ".join(f"{value:.6g}" for value in gradient.flatten().tolist())
        lines.append(f"Last gradient of {name}, shape {tuple(gradient.shape)}: {numbers}")
    return lines


def _truth(dataset: "Dataset") -> "dict[str, Coefficients] | None":
    """The coefficients that synthetic data were drawn with."""
    if dataset.true_weight is None or dataset.true_bias is None:
        return None
    from linexport.manifest import Coefficients

    names = [column.name for column in dataset.features]
    return {
        target.name: Coefficients(intercept=bias, features=dict(zip(names, row, strict=True)))
        for target, bias, row in zip(
            dataset.targets, dataset.true_bias.tolist(), dataset.true_weight.tolist(), strict=True
        )
    }
