"""From rows to a proven bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from linexport import bundle, data, training
from linexport.data.dataset import Dataset
from linexport.errors import ConfigError
from linexport.model import Column
from linexport.pipeline._export import ExportConfig, Exported, export
from linexport.training import OnEpoch, SGDConfig

__all__ = ["read_data", "train_and_export"]


def read_data(
    source: Any = None,
    *,
    targets: Sequence[str] = (),
    features: Sequence[str] = (),
    exclude: Sequence[str] = (),
    delimiter: str | None = None,
    missing: Literal["error", "drop"] = "error",
    units: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Dataset:
    """Read a table, or draw the textbook's synthetic data where there is none.

    Args:
        source: A CSV or Parquet file, or anything with the Arrow PyCapsule interface.
        targets: Columns to predict.
        features: Columns to predict from; all others if empty. A name that is no column is taken
            as several with commas between them.
        exclude: Columns to leave aside, likewise.
        delimiter: Of a CSV file; found from its header line if not given.
        missing: What to do with rows that have a missing or non-finite value.
        units: Of columns, by name.
        seed: Of the synthetic data.

    Raises:
        DataError: If the table cannot be used.
        ConfigError: If columns are named without a table, or a table without a target.
    """
    if source is None:
        if targets or features or exclude or delimiter:
            raise ConfigError("Columns are named, but no table: pass --data too.")
        return _with_units(data.synthesize(seed=seed), units or {})
    if not targets:
        raise ConfigError(f"{source}: name the column to predict with --target.")
    table = data.open_table(source, delimiter=delimiter)
    dataset = data.read_dataset(
        table,
        targets=list(targets),
        features=_split_names(features, table.names) or None,
        exclude=_split_names(exclude, table.names),
        missing=missing,
    )
    return _with_units(dataset, units or {})


def train_and_export(
    dataset: Dataset,
    output: str | Path,
    *,
    solver: SGDConfig | None = None,
    test_fraction: float = 0.0,
    config: ExportConfig | None = None,
    overwrite: bool = False,
    on_epoch: OnEpoch | None = None,
) -> Exported:
    """Fit, export and prove.

    Args:
        dataset: Rows to train on.
        output: The bundle's directory.
        solver: How to fit.
        test_fraction: Part of the rows kept out of training, for honest metrics.
        config: What to export.
        overwrite: Replace a bundle that is there.
        on_epoch: Called after each pass over the rows.

    Raises:
        LinexportError: As the steps do: `training.train`, `export`.
    """
    config, solver = config or ExportConfig(), solver or SGDConfig()
    bundle.check_destination(output, overwrite=overwrite)  # before training, which may take long
    test = None
    if test_fraction:
        dataset, test = data.split(dataset, test_fraction, solver.seed)
    result = training.train(
        dataset, solver=solver, dtype=config.dtype, test=test, on_epoch=on_epoch
    )
    return export(result, output, config=config, overwrite=overwrite)


def _split_names(values: Sequence[str], names: Sequence[str]) -> list[str]:
    """Take "a,b" as two names, unless there is a column of that name."""
    return [name for value in values for name in ([value] if value in names else value.split(","))]


def _with_units(dataset: Dataset, units: Mapping[str, str]) -> Dataset:
    known = {column.name for column in (*dataset.features, *dataset.targets)}
    for name in units:
        if name not in known:
            raise ConfigError(f"A unit is given for '{name}', which is neither feature nor target.")

    def measured(columns: tuple[Column, ...]) -> tuple[Column, ...]:
        return tuple(replace(column, unit=units.get(column.name, "")) for column in columns)

    return replace(dataset, features=measured(dataset.features), targets=measured(dataset.targets))
