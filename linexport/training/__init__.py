"""From rows to a fit: train() and one module per solver."""

from typing import Any, Literal

from linexport.data.dataset import Dataset
from linexport.errors import ConfigError
from linexport.training.config import SGDConfig
from linexport.training.inputs import check_test_rows, read_rows
from linexport.training.progress import EpochEnd, OnEpoch
from linexport.training.record import fit_record
from linexport.training.result import TrainingResult
from linexport.training.sgd import fit_sgd

__all__ = ["EpochEnd", "OnEpoch", "SGDConfig", "TrainingResult", "train"]


def train(
    data: Any,
    target: Any = None,
    *,
    solver: Literal["sgd"] | SGDConfig = "sgd",
    dtype: Literal["float32", "float64"] = "float32",
    test: Dataset | None = None,
    on_epoch: OnEpoch | None = None,
) -> TrainingResult:
    """Fit a linear regression.

    N rows, D features, K targets. The same data and settings give the same bits on the same
    machine. No global random generator is used or moved, but for what a DataLoader does.

    Args:
        data: Features of shape (N, D), as an array or tensor; or a table, as open_table takes it.
            Or features and target in one: a Dataset, a TensorDataset, a tuple, a DataLoader. A
            DataLoader's batches are taken as they come.
        target: Shape (N,) or (N, K) beside features; the name of a column, or a list of names,
            beside a table.
        solver: "sgd" for minibatch SGD that chooses its settings, or an SGDConfig.
        dtype: Of the artifact to come. Synthetic data are trained on in it; the fit is float64.
        test: Rows to evaluate on besides those trained on.
        on_epoch: Called with an EpochEnd after each epoch.

    Raises:
        ConfigError: If a setting cannot be.
        DataError: If the rows cannot be used, or do not determine a fit.
        TrainingError: If training diverges, or the features are linearly dependent.
        UnavailableError: If the device is not there.
    """
    config = SGDConfig() if solver == "sgd" else solver
    if not isinstance(config, SGDConfig):
        raise ConfigError(f'solver must be "sgd" or an SGDConfig, got {solver!r}.')
    if dtype not in ("float32", "float64"):
        raise ConfigError(f"dtype must be float32 or float64, got {dtype!r}.")
    rows = read_rows(data, target)
    if config.batch_size is not None and rows.loader is not None:
        raise ConfigError("A DataLoader brings its own batches; leave batch_size out.")
    if test is not None:
        check_test_rows(test, rows.dataset)
    fit = fit_sgd(rows, config, dtype=dtype, on_epoch=on_epoch)
    return TrainingResult(
        model=fit.model,
        record=fit_record(
            fit.model,
            solver="sgd",
            settings=fit.settings,
            dataset=rows.dataset,
            test=test,
            optimum=fit.optimum,
        ),
        module=fit.module,
        gradients=fit.gradients,
        warnings=fit.warnings,
    )
