"""From rows to a fit, and how well it predicts."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any, Never

import msgspec

from linexport._asked import asked
from linexport.errors import ConfigError
from linexport.fit import (
    Fit,
    Metrics,
    OnEpoch,
    OptimumDistance,
    Setting,
)
from linexport.least_squares import LeastSquaresConfig, optimum, optimum_distances
from linexport.numerics import coefficients_of
from linexport.rows import (
    ONE,
    Dataset,
    Ranks,
    Rows,
    check_test_rows,
    counting,
    in_memory,
    sentinels,
    split,
    totals,
    training_data,
)
from linexport.training._metrics import evaluate, known_metrics
from linexport.training._solvers import Solver, solver_of, where_to_say


def train(
    data: Any,
    target: Any = None,
    *,
    solver: str | Solver | None = None,
    test: Dataset | float | None = None,
    test_seed: int = 0,
    on_epoch: OnEpoch | None = None,
    ranks: Ranks = ONE,
    **unknown: Never,
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
        test: Rows to evaluate on besides those trained on; or a part of the rows, such as 0.2, to
            keep out of training for that.
        test_seed: Of the choice of that part.
        on_epoch: Called with an EpochEnd after each epoch of SGD.
        ranks: Who trains together. `data` is then this rank's share: a Dataset or TableRows.
        unknown: Nothing: settings of a solver are given in `solver`.

    Raises:
        ConfigError: If a setting cannot be.
        DataError: If the rows cannot be used.
        TrainingError: If training diverges, or the features are linearly dependent.
        UnavailableError: If the device is not there.
    """
    if unknown:
        raise where_to_say(unknown)
    rows = training_data(data, target)
    chosen = solver_of(solver, rows)
    if rows.weighting is not None and not chosen.streams:
        raise ConfigError(
            f"Weights of rows are for {asked(solver=LeastSquaresConfig.name)}; {chosen.name} heeds "
            "none."
        )
    if not chosen.streams:
        rows = in_memory(rows, ranks)
    kept_out: dict[str, Setting] = {}
    if isinstance(test, int | float):
        kept_out = {"test_fraction": test, "test_seed": test_seed}
        rows, test = _kept_out(rows, test, test_seed, ranks)
    elif test is not None:
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
        weights=rows.weighting,
        rows_dropped=rows.rows_dropped,
        settings=asdict(chosen) | record.settings | kept_out,  # type: ignore[call-overload]
        coefficients=record.coefficients or coefficients_of(fit.model),
        metrics=metrics,
        optimum=distances,
    )
    warnings = (*rows.notes, *_counting(rows, fit), *fit.warnings, *_far(distances, fit.remedy))
    return replace(fit, record=record, encoding=rows.encoding, warnings=warnings)


def _kept_out(rows: Rows, fraction: float, seed: int, ranks: Ranks) -> tuple[Dataset, Dataset]:
    """Return the rows to train on and those kept out, all of them in memory.

    Raises:
        ConfigError: If rows cannot be kept out.
    """
    if ranks.size > 1:
        raise ConfigError("Several ranks keep no test rows: leave the test fraction out.")
    dataset = in_memory(rows)
    if dataset.minibatches is not None:
        raise ConfigError(
            "A DataLoader is trained on as it comes, so no rows are kept out: leave some out of "
            "it, and give them as test=Dataset(...)."
        )
    return split(dataset, fraction, seed)


def _counting(rows: Rows, fit: Fit) -> Iterator[str]:
    """Warn of features that nobody named and that number the rows, of totals, and of -9999."""
    features, targets, num_rows = fit.model.features, fit.model.targets, fit.record.rows
    if not rows.features_named:
        yield from counting(features, num_rows, rows.encoding)
    yield from totals(features, targets, num_rows)
    yield from sentinels((*features, *targets))


def _metrics(
    fit: Fit, rows: Rows, test: Dataset | None, ranks: Ranks
) -> dict[str, dict[str, Metrics]]:
    """Return the metrics of each part; rows that are a stream are not read again if avoidable."""
    statistics = fit.record.statistics
    around_mean = statistics is None or statistics.around_mean
    if statistics is None or isinstance(rows, Dataset):
        metrics = {"training": evaluate(fit.model, rows, ranks, around_mean=around_mean)}
    else:
        metrics = {"training": known_metrics(fit.record, statistics)}
    if test is not None:
        metrics["test"] = evaluate(fit.model, test, ranks, around_mean=around_mean)
    return metrics


def _far(distances: dict[str, OptimumDistance], remedy: str) -> Iterator[str]:
    """Warn of each target whose fit leaves the data's own doubt behind."""
    name = LeastSquaresConfig.name
    for target, distance in distances.items():
        errors = distance.standard_errors
        if errors is not None and errors > 1:
            yield (
                f"The fit of '{target}' ended {errors:.2g} standard errors from the least-squares "
                f"optimum. {remedy + ', or' if remedy else 'To be there,'} use "
                f"{asked(solver=name)}."
            )
