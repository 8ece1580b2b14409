"""linexport train-and-export."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linexport import pipeline
from linexport.cli._export_options import EXPORT_SETTINGS, echo_exported
from linexport.cli._progress import EpochDisplay, ReadDisplay
from linexport.cli._ranks import joined_ranks
from linexport.cli._startup import collector_paused
from linexport.cli._training_options import solver_of, training_options

__all__ = ["command"]

if TYPE_CHECKING:
    from linexport.fit import Coefficients, Fit
    from linexport.rows import Dataset, TableRows

MOST_GRADIENTS = 50
"""Numbers printed of each parameter's last gradient."""


@click.command("train-and-export")
@training_options
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
        from linexport.pipeline import train_together

    with joined_ranks() as ranks, ReadDisplay() as reading:
        with ranks.together():
            solver = solver_of(values)
            config = pipeline.ExportConfig(**{name: values[name] for name in EXPORT_SETTINGS})
            rows = pipeline.read_data(
                values["data"],
                targets=values["target"],
                features=values["features"],
                exclude=values["exclude"],
                weights=values["weights"],
                delimiter=values["delimiter"],
                missing=values["missing"],
                units=values["units"],
                seed=values["seed"],
                ranks=ranks,
                stream=values["solver"] == "lstsq" and not test_fraction,
                on_read=None if ranks.rank else reading,
            )
        is_table = values["data"] is not None
        standardized = is_table if values["standardize"] is None else values["standardize"]
        epochs = EpochDisplay(
            as_text=not (as_json or quiet),
            every=not is_table or values["epochs"] is not None,
            standardized=standardized,
        )
        with epochs:
            exported = train_together(
                rows,
                output,
                ranks=ranks,
                solver=solver,
                test_fraction=test_fraction,
                config=config,
                overwrite=overwrite,
                seed=values["seed"],
                on_epoch=None if ranks.rank else epochs,
            )
    if exported is None:  # rank 0 alone writes and prints
        return
    trained = exported.training
    assert trained is not None
    echo_exported(
        ctx,
        exported,
        as_json=as_json,
        quiet=quiet,
        before=_module_lines(trained),
        truth=_truth(rows),
    )


def _module_lines(trained: "Fit") -> list[str]:
    """The module that was trained and its last gradients, as the textbook prints them."""
    lines = [f"Module: {trained.module}"] if trained.module is not None else []
    for name, gradient in (trained.gradients or {}).items():
        numbers = ", ".join(f"{g:.6g}" for g in gradient.flatten().tolist()[:MOST_GRADIENTS])
        lines.append(f"Last gradient of {name}, shape {tuple(gradient.shape)}: {numbers}")
    return lines


def _truth(rows: "Dataset | TableRows") -> "dict[str, Coefficients] | None":
    """The coefficients that synthetic data were drawn with."""
    true_weight, true_bias = (getattr(rows, name, None) for name in ("true_weight", "true_bias"))
    if true_weight is None or true_bias is None:
        return None
    from linexport.fit import coefficients_by_target

    names, targets = ([column.name for column in part] for part in (rows.features, rows.targets))
    return coefficients_by_target(names, targets, true_weight.tolist(), true_bias.tolist())
