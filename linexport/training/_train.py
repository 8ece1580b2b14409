"""From rows to a fit, and how well it predicts."""

import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.errors import DataError
from linexport.fit import (
    Coefficients,
    Fit,
    FitStatistics,
    Metrics,
    OnEpoch,
    OptimumDistance,
    coefficients_by_target,
)
from linexport.least_squares import LeastSquaresConfig, optimum, optimum_distances
from linexport.model import LinearModel
from linexport.numerics import affine_of, raw_coefficients
from linexport.rows import (
    ONE,
    Dataset,
    Ranks,
    Rows,
    check_test_rows,
    counting,
    in_memory,
    training_data,
)
from linexport.training._solvers import Solver, solver_of

CHUNK_ROWS = 65_536
"""Rows predicted at a time: keeps the standardized copy of a long batch small."""


def train(
    data: Any,
    target: Any = None,
    *,
    solver: str | Solver | None = None,
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
            batches SGD takes as they come, or TableRows, which for least squares need not fit into
            memory.
        target: Shape (N,) or (N, K) beside features; the name of a column, or a list of names,
            beside a table.
        solver: "lstsq" for least squares, "sgd" for minibatch SGD; or a LeastSquaresConfig or
            SGDConfig. If not given: SGD for a synthetic Dataset and a DataLoader, else least
            squares. SGD trains on tensors as they are, on tables and arrays standardized; the fit
            is in the columns' own units either way.
        test: Rows to evaluate on besides those trained on.
        on_epoch: Called with an EpochEnd after each epoch of SGD.
        ranks: Who trains together. `data` is then this rank's share: a Dataset or TableRows.

    Raises:
        ConfigError: If a setting cannot be.
        DataError: If the rows cannot be used.
        TrainingError: If training diverges, or the features are linearly dependent.
        UnavailableError: If the device is not there.
    """
    rows = training_data(data, target)
    chosen = solver_of(solver, rows)
    if not chosen.streams:
        rows = in_memory(rows, ranks)
    if test is not None:
        check_test_rows(test, rows)
    # Before training, which may take long: rows without an optimum are refused.
    best = None if chosen.exact else optimum(rows, ranks=ranks)
    fit = chosen.fit(rows, ranks=ranks, on_epoch=on_epoch)
    record = fit.record
    metrics = _metrics(fit, rows, test, ranks)
    distances = record.optimum
    if best is not None:
        distances = optimum_distances(fit.model, best, metrics["training"])
    record = msgspec.structs.replace(
        record,
        rows_dropped=rows.rows_dropped,
        settings=asdict(chosen) | record.settings,  # type: ignore[call-overload]
        coefficients=record.coefficients or _coefficients(fit.model),
        metrics=metrics,
        optimum=distances,
    )
    warnings = (*rows.notes, *_counting(rows, fit), *fit.warnings, *_far(distances, fit.remedy))
    return replace(fit, record=record, warnings=warnings)


def _counting(rows: Rows, fit: Fit) -> Iterator[str]:
    """Warn of features that nobody named and that number the rows."""
    return iter(()) if rows.features_named else counting(fit.model.features, fit.record.rows)


def _metrics(
    fit: Fit, rows: Rows, test: Dataset | None, ranks: Ranks
) -> dict[str, dict[str, Metrics]]:
    """Return the metrics of each part; rows that are a stream are not read again if avoidable."""
    statistics = fit.record.statistics
    if statistics is None or isinstance(rows, Dataset):
        metrics = {"training": evaluate(fit.model, rows, ranks)}
    else:
        metrics = {"training": _known_metrics(statistics)}
    if test is not None:
        metrics["test"] = evaluate(fit.model, test, ranks)
    return metrics


def evaluate(model: LinearModel, rows: Rows, ranks: Ranks = ONE) -> dict[str, Metrics]:
    """Return the metrics of a float64 fit on the rows of all ranks, by target name.

    R2 is 1 - SSE / SST, with SST around the mean of these rows' own target; None where the target
    does not vary. The rows are read twice: around the mean the squares lose no digits.

    Raises:
        DataError: If there are no rows.
    """
    affine = affine_of(model)
    count, mean, varies = _target_means(rows, ranks)
    squared, absolute, total = (np.zeros(model.num_targets) for _ in range(3))
    for features, targets in _chunks(rows):
        errors = affine.evaluate(features) - targets
        squared += (errors**2).sum(axis=0)
        absolute += np.abs(errors).sum(axis=0)
        total += ((targets - mean) ** 2).sum(axis=0)
    squared, absolute, total = ranks.gather(np.stack([squared, absolute, total])).sum(axis=0)
    return {
        name: Metrics(
            rows=count,
            rmse=float(np.sqrt(squared[k] / count)),
            mae=float(absolute[k] / count),
            r2=float(1 - squared[k] / total[k]) if varies[k] else None,
        )
        for k, name in enumerate(model.target_names)
    }


def _known_metrics(statistics: FitStatistics) -> dict[str, Metrics]:
    """Return what a least-squares fit tells of its training rows without reading them again."""
    return {
        name: Metrics(
            rows=statistics.rows,
            rmse=math.sqrt(target.residual_sum_of_squares / statistics.rows),
            mae=None,
            r2=target.r2,
        )
        for name, target in statistics.targets.items()
    }


def _target_means(rows: Rows, ranks: Ranks) -> tuple[int, Float64Array, NDArray[np.bool_]]:
    """Return the number of rows and, of shape (K,), the targets' means and whether they vary."""
    num_targets = len(rows.targets)
    count, total, varies = 0, np.zeros(num_targets), np.zeros(num_targets, dtype=bool)
    origin: Float64Array | None = None
    for _, targets in _chunks(rows):
        origin = targets[0] if origin is None else origin
        shifted = targets - origin
        count += len(targets)
        total += shifted.sum(axis=0)
        varies |= shifted.any(axis=0)
    own = [np.array([count]), np.zeros(num_targets) if origin is None else origin, total, varies]
    stacked = ranks.gather(np.concatenate(own))
    stacked = stacked[stacked[:, 0] > 0]
    if not len(stacked):
        raise DataError("There are no rows to evaluate on.", source=rows.source)
    counts = stacked[:, :1]
    origins, totals, varied = np.split(stacked[:, 1:], 3, axis=1)
    first = origins[0]
    all_rows = int(counts.sum())
    mean = first + (totals + counts * (origins - first)).sum(axis=0) / all_rows
    return all_rows, mean, np.asarray((varied != 0).any(axis=0) | (origins != first).any(axis=0))


def _chunks(rows: Rows) -> Iterator[tuple[Float64Array, Float64Array]]:
    for features, targets, *_ in rows.batches():
        for start in range(0, len(features), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            yield (
                features[part].astype(np.float64, copy=False),
                targets[part].astype(np.float64, copy=False),
            )


def _coefficients(model: LinearModel) -> dict[str, Coefficients]:
    weight, bias = raw_coefficients(model)
    return coefficients_by_target(
        model.feature_names, model.target_names, weight.tolist(), bias.tolist()
    )


def _far(distances: dict[str, OptimumDistance], remedy: str) -> Iterator[str]:
    """Warn of each target whose fit leaves the data's own doubt behind."""
    name = LeastSquaresConfig.name
    for target, distance in distances.items():
        errors = distance.standard_errors
        if errors is not None and errors > 1:
            yield (
                f"The fit of '{target}' ended {errors:.2g} standard errors from the least-squares "
                f"optimum. {remedy + ', or' if remedy else 'To be there,'} use --solver {name} "
                f'(solver="{name}").'
            )
