"""Rows in a new order each epoch, gathered for many batches at a time.

N rows, D features, K targets, B rows in a batch, T batches in a stack.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["ShuffledRows", "augment"]

STACK_BYTES = 1 << 22
"""Of rows gathered at once, at most, and half as much at least: what caches hold until it is used.
An epoch of 1M rows takes a tenth longer at half or twice as much, measured with 100 features."""
STACK_BYTES_ELSEWHERE = 1 << 26
"""On a GPU a call costs its launch, and memory is as fast as caches are here. Not measured."""


def augment(
    features: Tensor, targets: Tensor, *, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Return rows (x, 1, y), in which all that a step reads of a row lies together.

    Args:
        features: Shape (N, D).
        targets: Shape (N, K).
        dtype: Of the result.
        device: Where it is to lie.

    Returns:
        Shape (N, D + 1 + K).
    """
    (num_rows, num_features), num_targets = features.shape, targets.shape[1]
    rows = torch.empty(num_rows, num_features + 1 + num_targets, dtype=dtype, device=device)
    rows[:, :num_features] = features
    rows[:, num_features] = 1
    rows[:, num_features + 1 :] = targets
    return rows


class ShuffledRows:
    """All rows in a new order each epoch, in stacks of batches; the last batch may be short."""

    def __init__(self, rows: Tensor, generator: torch.Generator) -> None:
        """Take rows (N, C) on any device, and a generator of the CPU: the order is the same."""
        self.rows = rows
        self._generator = generator
        self._buffer = rows[:0]
        # index_select reads int32 as well as int64, at half the size.
        halved = len(rows) <= torch.iinfo(torch.int32).max
        self._index_dtype = torch.int32 if halved else torch.int64

    def num_batches(self, batch_size: int) -> int:
        """Return how many batches an epoch has."""
        return -(-len(self.rows) // batch_size)

    def batches_in_stack(self, batch_size: int) -> int:
        """Return T: a power of two, unless all batches but the last are fewer."""
        limit = STACK_BYTES if self.rows.device.type == "cpu" else STACK_BYTES_ELSEWHERE
        fitting = limit // (batch_size * self.rows.shape[1] * self.rows.itemsize)
        power = 1 << max(0, fitting.bit_length() - 1)
        return max(1, min(power, self.num_batches(batch_size) - 1))

    def values_in_stack(self, batch_size: int) -> int:
        """Return how many numbers a stack holds at most."""
        rows = min(self.batches_in_stack(batch_size) * batch_size, len(self.rows))
        return rows * self.rows.shape[1]

    def epoch(self, batch_size: int) -> Iterator[Tensor]:
        """Yield the batches in stacks (T, B, C), the last batch in a stack of its own.

        A stack is overwritten by the next one. All rows in one batch need no order.
        """
        num_rows, width = self.rows.shape
        if batch_size >= num_rows:
            yield self.rows[None]
            return
        order = torch.randperm(num_rows, generator=self._generator, dtype=self._index_dtype)
        order = order.to(self.rows.device)
        before_last = (self.num_batches(batch_size) - 1) * batch_size
        stacked = self.batches_in_stack(batch_size) * batch_size
        if self._buffer.shape != (stacked, width):
            self._buffer = self.rows.new_empty(stacked, width)
        for start in range(0, before_last, stacked):
            yield self._gathered(order[start : min(start + stacked, before_last)], batch_size)
        yield self._gathered(order[before_last:], num_rows - before_last)

    def _gathered(self, places: Tensor, batch_size: int) -> Tensor:
        rows = self._buffer[: len(places)]
        torch.index_select(self.rows, 0, places, out=rows)
        return rows.view(-1, batch_size, rows.shape[1])
