"""Minibatches of torch tensors."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset

from linexport._arrays import has_masked
from linexport.errors import ConfigError, DataError

__all__ = ["load_array"]


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
    if not batch_size >= 1:
        raise ConfigError(f"batch_size must be at least 1, got {batch_size}.")
    if any(map(has_masked, data_arrays)):
        raise DataError("The arrays have masked values; fill them, as with .filled(np.nan).")
    tensors = [torch.as_tensor(array) for array in data_arrays]
    lengths = [len(tensor) for tensor in tensors]
    if len(set(lengths)) != 1:
        raise DataError(f"The arrays must have equally many rows, got {lengths}.")
    return DataLoader(TensorDataset(*tensors), batch_size, shuffle=is_train)
