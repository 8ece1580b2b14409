"""Minibatches of torch tensors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from linexport._arrays import has_masked, pair
from linexport.errors import ConfigError, DataError


def load_array(
    data_arrays: Sequence[Any], batch_size: int, is_train: bool = True
) -> DataLoader[tuple[torch.Tensor, ...]]:
    """Return a loader over (features, target) in minibatches, as "Dive into Deep Learning" has it.

    Args:
        data_arrays: Tensors or arrays with equally many rows.
        batch_size: Rows of a minibatch; the last may be smaller.
        is_train: Whether to shuffle the rows anew in each epoch.

    Raises:
        ConfigError: If batch_size is not positive.
        DataError: If the arrays differ in their number of rows, or one is masked.
    """
    if not (isinstance(batch_size, int) and batch_size >= 1):
        got = (
            batch_size if isinstance(batch_size, int | float) else f"a {type(batch_size).__name__}"
        )
        raise ConfigError(
            f"batch_size must be a whole number of at least 1, got {got}: "
            "load_array((features, target), 10)."
        )
    if any(map(has_masked, data_arrays)):
        raise DataError("The arrays have masked values; fill them, as with .filled(np.nan).")
    tensors = [torch.as_tensor(array) for array in data_arrays]
    lengths = [len(tensor) for tensor in tensors]
    if len(set(lengths)) != 1:
        raise DataError(f"The arrays must have equally many rows, got {lengths}.")
    return DataLoader(TensorDataset(*tensors), batch_size, shuffle=is_train)


class Minibatches:
    """The batches of a DataLoader: features (B, D) and targets (B, K), in each epoch as it says."""

    def __init__(self, loader: DataLoader[Any], *, largest: int) -> None:
        """Take a loader and, of one of its epochs, the largest B."""
        self.largest = largest
        """Rows of the largest batch."""
        self._loader = loader

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return map(_tensors, self._loader)


def read_loader(loader: DataLoader[Any]) -> tuple[Tensor, Tensor, Minibatches]:
    """Read a loader through once: all its features and targets, and its batches anew.

    Its random generator and that of PyTorch are left as they were.

    The first epoch of training then comes in the order that it would have had without.

    Raises:
        DataError: If it brings no batch, or one that is not features and targets.
    """
    with _generators_kept(loader):
        batches = [_tensors(batch) for batch in loader]
    if not batches:
        raise DataError("It brings no batch.", source="DataLoader")
    features, targets = (torch.cat(part) for part in zip(*batches, strict=True))
    largest = max(len(batch[0]) for batch in batches)
    return features, targets, Minibatches(loader, largest=largest)


def _tensors(batch: object) -> tuple[Tensor, Tensor]:
    """Return the features (B, D) and targets (B, K) of a batch."""
    features, targets = pair(batch)
    if not (isinstance(features, Tensor) and isinstance(targets, Tensor)):
        raise DataError("A DataLoader's batch must be a pair of tensors: features and target.")
    if targets.ndim == 1:
        targets = targets[:, None]
    if features.ndim != 2 or targets.ndim != 2:
        hint = (
            "; one feature is features[:, None], one row features[None]"
            if features.ndim == 1
            else ""
        )
        raise DataError(
            "A DataLoader's batch must have features of shape (rows, features) and a target of "
            f"shape (rows,) or (rows, targets), got {tuple(features.shape)} and "
            f"{tuple(targets.shape)}{hint}."
        )
    return features.detach(), targets.detach()


@contextmanager
def _generators_kept(loader: DataLoader[Any]) -> Iterator[None]:
    state = None if loader.generator is None else loader.generator.get_state()
    with torch.random.fork_rng(devices=()):
        yield
    if state is not None:
        loader.generator.set_state(state)
