"""From rows to a proven bundle."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from linexport import bundle, training
from linexport._asked import asked
from linexport.columns import split_names
from linexport.errors import ConfigError
from linexport.fit import Fit, OnEpoch
from linexport.pipeline._config import ExportConfig, FitConfig
from linexport.pipeline._export import Exported, export
from linexport.pipeline._opening import open_table
from linexport.rows import (
    ONE,
    DataConfig,
    Dataset,
    Ranks,
    in_memory,
    said_of_columns,
    share_dataset,
    synthesize,
    training_rows,
    with_units,
)

if TYPE_CHECKING:
    from linexport.fit import WeightsKind
    from linexport.rows import TableRows
    from linexport.tables import Dialect, OnRead
    from linexport.training import Solver

__all__ = ["read_data", "train_and_export", "train_together"]


def read_data(
    source: Any = None,
    *,
    targets: str | Sequence[str] = (),
    features: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    weights: str | None = None,
    weights_kind: "WeightsKind" = "precision",
    dialect: "Dialect | None" = None,
    categorical: str | Sequence[str] | None = None,
    reference: str | Sequence[str] | Mapping[str, str] | None = None,
    missing: str | Sequence[str] | Mapping[str, str] = ("error",),
    missing_indicator: bool = False,
    unknown: Literal["error", "reference"] = "error",
    date: str | Sequence[str] | Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    seed: int = 0,
    stream: bool = False,
    on_read: "OnRead | None" = None,
    ranks: Ranks = ONE,
) -> "Dataset | TableRows":
    """Read a table, or draw the textbook's synthetic data where there is none.

    Args:
        source: A table, as `predict_table` takes it.
        targets: Columns to predict. A name that is no column is taken as several with commas
            between them.
        features: Columns to predict from, likewise; all others if empty.
        exclude: Columns to leave aside, likewise.
        weights: The column that weights the rows; least squares heeds it.
        weights_kind: What the weights are: "precision", one over the variance of a row's error, up
            to a common factor, as in statsmodels' WLS and R's lm; or "frequency", how often a row
            occurred, which is a whole number.
        dialect: How a CSV file is written, if not as most are.
        categorical: Columns whose values are levels, named as features are; "auto" for those of
            text and truth values with at most 50 levels.
        reference: The level that others are compared with, by column: {"kind": "flat"} or
            "kind=flat". If not given, the most frequent; "none" for a feature of each level.
        missing: What becomes of a missing value, in all columns or by column: "error" or "drop",
            which leaves out rows with infinite values too; "mean", "median" or "zero" of numbers;
            "level" or "reference" of categories.
        missing_indicator: Whether each column that is filled gets a feature of 0 and 1 beside it.
        unknown: What becomes of a level that occurs only when predicting.
        date: Columns of dates: {"listed": "days-since:2020-01-01"}, or "listed=days-since:...".
        units: Of columns, by name.
        seed: Of the synthetic data.
        stream: Leave a table where it is, to be read as it is needed; least squares does so in
            constant memory.
        on_read: Called as a table is read, here or while least squares trains on a stream.
        ranks: Who trains together; each reads its share.

    Raises:
        DataError: If the table cannot be used.
        ConfigError: If columns are named without a table, or a table without a target.
    """
    config = DataConfig(
        categorical=said_of_columns(categorical),
        reference=said_of_columns(reference),
        missing=said_of_columns(missing) or (),
        missing_indicator=missing_indicator,
        unknown=unknown,
        date=said_of_columns(date),
        weights_kind=weights_kind,
    )
    config.require_weights(weights)
    if source is None:
        if targets or features or exclude or weights or dialect or config.encodes:
            raise ConfigError(f"Columns are named, but no table: pass {asked(source=...)} too.")
        rows = share_dataset(synthesize(seed=seed), ranks.rank, ranks.size)
        return with_units(rows, units or {})
    if not targets:
        name = source if isinstance(source, str | Path) else type(source).__name__
        raise ConfigError(f"{name}: name the column to predict with {asked(targets=...)}.")
    table = open_table(source, dialect, on_read)
    table_rows = training_rows(
        table,
        targets=split_names(targets, table.names),
        features=split_names(features, table.names) or None,
        exclude=split_names(exclude, table.names),
        weights=weights,
        config=config,
    )
    if ranks.size > 1:
        table_rows = table_rows.share(ranks.rank, ranks.size, ranks.gather)
    return with_units(table_rows if stream else in_memory(table_rows, ranks), units or {})


def train_and_export(
    rows: "Dataset | TableRows",
    output: str | Path,
    *,
    solver: "str | Solver | None" = None,
    test_fraction: float = 0.0,
    config: ExportConfig | None = None,
    overwrite: bool = False,
    seed: int = 0,
    on_epoch: OnEpoch | None = None,
) -> Exported:
    """Fit, export and prove.

    Args:
        rows: To train on; what `read_data` returns.
        output: The bundle's directory.
        solver: How to fit, as train takes it.
        test_fraction: Part of the rows kept out of training, for honest metrics; all are read into
            memory for that.
        config: What to export.
        overwrite: Replace a bundle that is there.
        seed: Of the choice of the rows that are kept out.
        on_epoch: Called after each epoch of SGD.

    Raises:
        ConfigError: If a setting is outside what it may be.
        LinexportError: As the steps do: `train`, `export`.
    """
    fit = train_together(
        rows,
        output,
        ranks=ONE,
        solver=solver,
        test_fraction=test_fraction,
        overwrite=overwrite,
        seed=seed,
        on_epoch=on_epoch,
    )
    return export(fit, output, config=config, overwrite=overwrite)


def train_together(
    rows: "Dataset | TableRows",
    output: str | Path,
    *,
    ranks: Ranks,
    solver: "str | Solver | None",
    test_fraction: float,
    overwrite: bool,
    seed: int,
    on_epoch: OnEpoch | None,
) -> Fit:
    """Fit as `train_and_export`, on every rank with its share of the rows; rank 0 may export it."""
    FitConfig(test_fraction=test_fraction, seed=seed)
    with ranks.together():
        if ranks.rank == 0:  # before training, which may take long
            bundle.check_destination(output, overwrite=overwrite)
        return training.train(
            rows,
            solver=solver,
            test=test_fraction or None,
            test_seed=seed,
            on_epoch=on_epoch,
            ranks=ranks,
        )
