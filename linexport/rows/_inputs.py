"""What train() takes, as a Dataset: tables, arrays, tensors, a TensorDataset, a DataLoader.

N rows, D features, K targets.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from linexport.errors import DataError
from linexport.rows._arrays import as_dataset
from linexport.rows._dataset import Dataset
from linexport.rows._ranks import ONE, Ranks

__all__ = ["TrainingRows", "batch_tensors", "check_test_rows", "training_data"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainingRows:
    """The rows, and the loader that brings them where there is one."""

    dataset: Dataset
    """Its columns with their ranges."""
    loader: "DataLoader[Any] | None" = None
    batch_sizes: tuple[int, ...] = ()
    """The loader's, in one epoch."""
    ranks: Ranks = ONE
    """Who holds rows; the dataset is this rank's share, its columns described by all rows."""


def training_data(data: Any, target: Any = None) -> TrainingRows:
    """Return the rows of whatever train() takes.

    Raises:
        DataError: If they are not finite numbers, features and target do not belong together, or
            the rows do not determine a fit.
    """
    if isinstance(data, Dataset | TensorDataset | DataLoader | tuple):
        if target is not None:
            kind = type(data).__name__
            raise DataError(f"A {kind} brings its own target; leave the other one out.")
        if isinstance(data, Dataset):
            return TrainingRows(dataset=_described(data))
        if isinstance(data, DataLoader):
            return _read_loader(data)
        data, target = _pair(data.tensors if isinstance(data, TensorDataset) else data)
    elif target is None:
        raise DataError(
            "The target is missing: train(features, target), or train(table, 'column to predict')."
        )
    elif _are_names(target):
        return TrainingRows(dataset=_read_table(data, target))
    return TrainingRows(dataset=as_dataset(data, target))


def check_test_rows(test: Dataset, training: Dataset) -> None:
    """Check that rows to evaluate on have the columns of those trained on.

    Raises:
        DataError: If a name or the order differs.
    """
    ours, theirs = (
        [column.name for column in (*part.features, *part.targets)] for part in (test, training)
    )
    if ours != theirs:
        raise DataError(
            f"The test rows have the columns {', '.join(ours)}, those trained on "
            f"{', '.join(theirs)}.",
            source=test.source,
        )


def batch_tensors(batch: object) -> tuple[Tensor, Tensor]:
    """Return the features (B, D) and targets (B, K) of a DataLoader's batch.

    Raises:
        DataError: If it is not a pair of tensors, or one has another number of dimensions.
    """
    features, targets = _pair(batch)
    if not (isinstance(features, Tensor) and isinstance(targets, Tensor)):
        raise DataError("A DataLoader's batch must be a pair of tensors: features and target.")
    if targets.ndim == 1:
        targets = targets[:, None]
    if features.ndim != 2 or targets.ndim != 2:
        raise DataError(
            "A DataLoader's batch must have features of shape (rows, features) and a target of "
            f"shape (rows,) or (rows, targets), got {tuple(features.shape)} and "
            f"{tuple(targets.shape)}."
        )
    return features.detach(), targets.detach()


def _described(dataset: Dataset) -> Dataset:
    columns = (*dataset.features, *dataset.targets)
    return dataset.described() if any(c.minimum is None for c in columns) else dataset


def _are_names(target: Any) -> bool:
    names = [target] if isinstance(target, str) else target
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def _read_table(source: Any, targets: Any) -> Dataset:
    from linexport.rows._table_rows import read_dataset  # they import polars
    from linexport.tables import open_table

    return read_dataset(open_table(source), targets=targets)


def _read_loader(loader: "DataLoader[Any]") -> TrainingRows:
    """Read a loader through once, and leave its random generator and PyTorch's as they were.

    The first epoch of training then comes in the order that it would have had without.
    """
    with _generators_kept(loader):
        batches = [batch_tensors(batch) for batch in loader]
    if not batches:
        raise DataError("It brings no batch.", source="DataLoader")
    features, targets = (torch.cat(part) for part in zip(*batches, strict=True))
    return TrainingRows(
        dataset=as_dataset(features, targets, source="the DataLoader"),
        loader=loader,
        batch_sizes=tuple(len(batch[0]) for batch in batches),
    )


@contextmanager
def _generators_kept(loader: "DataLoader[Any]") -> Iterator[None]:
    state = None if loader.generator is None else loader.generator.get_state()
    with torch.random.fork_rng(devices=()):
        yield
    if state is not None:
        loader.generator.set_state(state)


def _pair(values: object) -> tuple[Any, Any]:
    if not (isinstance(values, tuple | list) and len(values) == 2):
        size = f" of {len(values)}" if isinstance(values, tuple | list) else ""
        raise DataError(
            f"Expected a pair, features and target, got a {type(values).__name__}{size}."
        )
    return values[0], values[1]
