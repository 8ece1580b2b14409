"""linexport train-and-export."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linexport import pipeline, reporting
from linexport._settings import stated
from linexport.cli._main import collector_patient
from linexport.cli._options import (
    DATA,
    WRITTEN,
    Section,
    SettingsCommand,
    bundle_options,
    dialect_given,
    export_sections,
    given,
    made,
    option_under,
    rows_options,
    table_sections,
    units_option,
)
from linexport.cli._printing import echo_exported
from linexport.cli._ranks import joined_ranks
from linexport.cli._terminal import EpochDisplay, ReadDisplay, echo, warnings_said_later
from linexport.rows import DataConfig
from linexport.training import SOLVERS, default_solver

if TYPE_CHECKING:
    from linexport.fit import Coefficients, Fit
    from linexport.rows import Dataset, TableRows

__all__ = ["command"]

MOST_GRADIENTS = 50
"""Numbers printed of each parameter's last gradient."""

_data = option_under(DATA)


def _sections() -> list[Section]:
    data = [Section(DATA, DataConfig), *table_sections()]
    solvers = [Section(f"With --solver {name}", cls) for name, cls in SOLVERS.items()]
    return [*data, Section("Fit", pipeline.FitConfig), *solvers, *export_sections()]


@click.command(
    "train-and-export",
    cls=SettingsCommand,
    sections=_sections,
    example="linexport train-and-export --data flats.csv --target price -o models/flats",
    negative="a runtime disagrees, or rounding is too coarse",
)
@_data(
    "--data",
    type=click.Path(),
    help="Table: CSV, Parquet, Arrow IPC, JSON lines, Excel; the textbook's if not given.",
)
@rows_options("data", "Column that weights the rows, with --solver lstsq; see --weights-kind.")
@units_option(_data)
@bundle_options()
@option_under(WRITTEN)(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a page about the bundle and the table too, as `linexport report` does.",
)
def command(
    *,
    data: str | None,
    target: tuple[str, ...],
    features: tuple[str, ...],
    exclude: tuple[str, ...],
    weights: str | None,
    units: dict[str, str],
    output: Path,
    overwrite: bool,
    report: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **values: Any,
) -> None:
    """Fit a linear regression, export it, and prove that every runtime predicts the same.

    With --data by least squares. Without it does so for the textbook's example: 1000 rows of
    y = 2 x1 - 3.4 x2 + 4.2 with noise of 0.01, minibatch SGD.
    """
    if report is not None:  # before training, which may take long
        reporting.require_report_tools()
    settings = made(pipeline.FitConfig, values)
    name = settings.solver or default_solver(textbook=data is None)
    solver, config = _solver(name, values), made(pipeline.ExportConfig, values)
    with collector_patient(), joined_ranks() as ranks, ReadDisplay([data or ""]) as reading:
        with ranks.together():
            rows = pipeline.read_data(
                data,
                targets=target,
                features=features,
                exclude=exclude,
                weights=weights,
                dialect=dialect_given(values),
                **given(DataConfig, values),
                units=units,
                seed=settings.seed,
                ranks=ranks,
                stream=True,
                on_read=None if ranks.rank else reading,
            )
        with EpochDisplay(
            as_text=not (as_json or quiet), verbose=verbose, targets=rows.targets
        ) as epochs:
            fit = pipeline.train_together(
                rows,
                output,
                ranks=ranks,
                solver=solver,
                test_fraction=settings.test_fraction,
                overwrite=overwrite,
                seed=settings.seed,
                on_epoch=None if ranks.rank else epochs,
            )
        if ranks.rank:  # rank 0 alone writes and prints
            return
        with warnings_said_later():
            exported = pipeline.export(fit, output, config=config, overwrite=overwrite)
        if report is not None and exported.path is not None:
            table = None if data == "-" else data  # a pipe is read but once
            pipeline.report(exported, report, data=table, dialect=dialect_given(values))
    echo_exported(
        exported,
        as_json=as_json,
        quiet=quiet,
        verbose=verbose,
        before=_module_lines(fit),
        truth=_truth(rows),
    )
    if report is not None and not (as_json or quiet):
        echo(f"Report: {report}")


def _solver(name: str, values: dict[str, Any]) -> Any:
    """Return the solver's settings; what was not given is left for it to choose.

    Raises:
        click.UsageError: If they cannot be, or a setting of another solver was given.
    """
    cls = SOLVERS[name]
    ours = given(cls, values) | given(pipeline.FitConfig, values)
    for other, settings in SOLVERS.items():
        for theirs in stated(settings):
            if theirs.name in given(settings, values) and theirs.name not in ours:
                raise click.UsageError(f"{theirs.flag} is for --solver {other}, not {name}.")
    return made(cls, values)


def _module_lines(fit: "Fit") -> list[str]:
    """The module that was trained and its last gradients, as the textbook prints them."""
    found = fit.gradients
    if found is None:
        return []
    lines = [
        f"Module: {fit.module}",
        f"Gradients of minibatch {found.minibatch} of epoch {found.epoch}, {found.rows} rows",
    ]
    units = {"weight": "target times feature units", "bias": "target units"}
    for name, unit in units.items():
        gradient = getattr(found, name)
        numbers = ", ".join(f"{g:.6g}" for g in gradient.flatten().tolist()[:MOST_GRADIENTS])
        lines.append(f"  {name}, shape {tuple(gradient.shape)}, in {unit}: {numbers}")
    return lines


def _truth(rows: "Dataset | TableRows") -> "dict[str, Coefficients] | None":
    """The coefficients that synthetic data were drawn with."""
    true_weight, true_bias = (getattr(rows, name, None) for name in ("true_weight", "true_bias"))
    if true_weight is None or true_bias is None:
        return None
    from linexport.fit import coefficients_by_target

    names, targets = ([column.name for column in part] for part in (rows.features, rows.targets))
    return coefficients_by_target(names, targets, true_weight.tolist(), true_bias.tolist())
