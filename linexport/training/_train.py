"""From rows to a fit."""

from dataclasses import replace
from typing import Any, Literal

import msgspec

from linexport.errors import ConfigError
from linexport.fit import Fit
from linexport.least_squares import LeastSquaresConfig, fit_least_squares, merge_all
from linexport.rows import (
    ONE,
    Dataset,
    Ranks,
    TrainingRows,
    check_test_rows,
    describe_all,
    training_data,
)
from linexport.sgd import OnEpoch, SGDConfig, fit_sgd
from linexport.training._metrics import evaluate, metrics_of
from linexport.training._record import fit_record

__all__ = ["train"]

_SOLVERS: dict[str, type[SGDConfig] | type[LeastSquaresConfig]] = {
    "sgd": SGDConfig,
    "lstsq": LeastSquaresConfig,
}


def train(
    data: Any,
    target: Any = None,
    *,
    solver: Literal["sgd", "lstsq"] | SGDConfig | LeastSquaresConfig = "sgd",
    dtype: Literal["float32", "float64"] = "float32",
    test: Dataset | None = None,
    on_epoch: OnEpoch | None = None,
    ranks: Ranks = ONE,
) -> Fit:
    """Fit a linear regression.

    N rows, D features, K targets. The same data and settings give the same bits on the same
    machine. No global random generator is used or moved, but for what a DataLoader does.

    Args:
        data: Features of shape (N, D), as an array or tensor; or a table, as open_table takes it.
            Or features and target in one: a Dataset, a TensorDataset, a tuple, a DataLoader, whose
            batches are taken as they come, or for least squares TableRows, whose rows need not fit
            into memory.
        target: Shape (N,) or (N, K) beside features; the name of a column, or a list of names,
            beside a table.
        solver: "sgd" for minibatch SGD that chooses its settings, "lstsq" for least squares; or
            an SGDConfig or LeastSquaresConfig.
        dtype: Of the artifact to come. Synthetic data are trained on in it; the fit is float64.
        test: Rows to evaluate on besides those trained on.
        on_epoch: Called with an EpochEnd after each epoch of SGD.
        ranks: Who trains together. `data` is then this rank's share: a Dataset or TableRows.

    Raises:
        ConfigError: If a setting cannot be.
        DataError: If the rows cannot be used, or do not determine a fit.
        TrainingError: If training diverges, or the features are linearly dependent.
        UnavailableError: If the device is not there.
    """
    config = _config(solver)
    if dtype not in ("float32", "float64"):
        raise ConfigError(f"dtype must be float32 or float64, got {dtype!r}.")
    if isinstance(config, LeastSquaresConfig):
        return _by_least_squares(data, target, config, test=test, ranks=ranks)
    if ranks.size > 1:
        data = describe_all(data, ranks.gather)
    rows = replace(training_data(data, target), ranks=ranks)
    return _by_sgd(rows, config, dtype=dtype, test=test, on_epoch=on_epoch)


def _config(solver: object) -> SGDConfig | LeastSquaresConfig:
    if isinstance(solver, str) and solver in _SOLVERS:
        return _SOLVERS[solver]()
    if isinstance(solver, SGDConfig | LeastSquaresConfig):
        return solver
    raise ConfigError(
        f"solver must be {' or '.join(map(repr, _SOLVERS))}, or its settings, got {solver!r}."
    )


def _by_sgd(
    rows: TrainingRows,
    config: SGDConfig,
    *,
    dtype: Literal["float32", "float64"],
    test: Dataset | None,
    on_epoch: OnEpoch | None,
) -> Fit:
    if config.batch_size is not None and rows.loader is not None:
        raise ConfigError("A DataLoader brings its own batches; leave batch_size out.")
    if test is not None:
        check_test_rows(test, rows.dataset)
    fit = fit_sgd(rows, config, dtype=dtype, on_epoch=on_epoch)
    return Fit(
        model=fit.model,
        record=fit_record(
            fit.model,
            solver="sgd",
            settings=fit.settings,
            dataset=rows.dataset,
            test=test,
            optimum=fit.optimum,
            gather=rows.ranks.gather,
        ),
        module=fit.module,
        gradients=fit.gradients,
        warnings=fit.warnings,
    )


def _by_least_squares(
    data: Any,
    target: Any,
    config: LeastSquaresConfig,
    *,
    test: Dataset | None,
    ranks: Ranks,
) -> Fit:
    """Fit rows in memory or, where they are a stream, as they come."""
    rows = data if _is_stream(data) else training_data(data, target).dataset
    combine = None if ranks.size == 1 else merge_all(ranks.gather)
    result = fit_least_squares(rows, config, combine=combine)
    if isinstance(rows, Dataset):
        metrics = {"training": evaluate(result.model, rows, ranks.gather)}
    else:
        metrics = {"training": metrics_of(result.record.statistics)}
    if test is not None:
        metrics["test"] = evaluate(result.model, test, ranks.gather)
    record = msgspec.structs.replace(result.record, metrics=metrics, rows_dropped=rows.rows_dropped)
    return replace(result, record=record)


def _is_stream(data: Any) -> bool:
    """Tell TableRows and the like without importing polars, which they are read with."""
    return not isinstance(data, Dataset) and hasattr(data, "batches") and hasattr(data, "targets")
