"""The descent: epoch after epoch, until it has ended or diverges.

N rows, D features, K targets.
"""

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from linexport.errors import TrainingError
from linexport.fit import EpochEnd, OnEpoch
from linexport.rows import ONE, Ranks
from linexport.sgd._stepping import EpochRunner, Pace, threads_for

__all__ = ["Descent", "descend", "half_stable_step", "mean_batch_size"]

DIVERGED = 100.0
"""At a stable step the loss settles around at most twice what the optimum leaves, and the optimum
leaves no more than training started with. Chance does not make it a hundred times that: of one
Gaussian coefficient it would be a deviation of ten."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Descent:
    """What is descended: the rows as they are trained on, and the module."""

    module: nn.Linear
    features: Tensor
    """Shape (N, D); with several ranks, this one's rows."""
    targets: Tensor
    """Shape (N, K); likewise."""
    runner: EpochRunner
    """Takes the module's steps."""
    pace: Pace
    """Theirs."""
    remedy: str
    """What to do where it diverges, besides lowering the learning rate."""
    ranks: Ranks = ONE
    """Who holds rows; each descends in the same way."""

    def num_rows(self) -> int:
        """Return how many rows all ranks hold."""
        return int(self.ranks.gather(np.array([float(len(self.features))])).sum())

    def loss(self) -> float:
        """Return the mean squared error over all rows and targets."""
        with torch.no_grad(), threads_for(self.features.numel()):
            prediction = self.module(self.features)
            if self.ranks.size == 1:
                return float(functional.mse_loss(prediction, self.targets))
            squares = functional.mse_loss(prediction, self.targets, reduction="sum")
        own = np.array([float(squares), float(self.targets.numel())])
        total, count = self.ranks.gather(own).sum(axis=0)
        return float(total / count)


def descend(descent: Descent, epochs: int, *, on_epoch: OnEpoch | None) -> None:
    """Run so many epochs.

    Raises:
        TrainingError: If it diverges.
    """
    num_rows, start_loss = descent.num_rows(), descent.loss()
    for epoch in range(1, epochs + 1):
        began = time.perf_counter()
        descent.runner.run()
        loss = descent.loss()  # waits for the device
        seconds = time.perf_counter() - began
        if not loss <= DIVERGED * start_loss:  # written so that NaN fails too
            raise TrainingError(_divergence(descent, epoch, start_loss, loss))
        if on_epoch is not None:
            on_epoch(
                EpochEnd(
                    epoch=epoch,
                    epochs=epochs,
                    loss=loss,
                    rows_per_second=num_rows / seconds,
                    seconds_left=(epochs - epoch) * seconds,
                )
            )


def _divergence(descent: Descent, epoch: int, start_loss: float, loss: float) -> str:
    rose = f"rose from {start_loss:.6g} to {loss:.6g}" if np.isfinite(loss) else "overflowed"
    learning_rate = descent.pace.learning_rate
    # Never more than half of what failed, whatever order the rows came in.
    advised = min(_stable_learning_rate(descent), learning_rate / 2)
    return (
        f"SGD diverged in epoch {epoch}, at learning rate {learning_rate:.3g}: the loss {rose}. "
        f"Lower --learning-rate to about {advised:.1g}, or {descent.remedy}."
    )


def _stable_learning_rate(descent: Descent) -> float:
    """Return the learning rate that `half_stable_step` gives for the rows as they are.

    The loss, a mean over targets too and without a half, has 2 / K times the Hessian of half the
    squared error; momentum m repeats each gradient, and its noise, 1 / (1 - m) times.
    """
    pace, num_targets, num_rows = descent.pace, descent.targets.shape[1], descent.num_rows()
    features = descent.features.detach().to("cpu", torch.float64)
    rows = torch.cat([features, torch.ones(len(features), 1, dtype=torch.float64)], dim=1).numpy()
    gram = descent.ranks.gather(rows.T @ rows).sum(axis=0) / num_rows
    longest = (rows**2).sum(axis=1).max(initial=0.0, keepdims=True)
    ridge = num_targets * pace.weight_decay / 2
    step = half_stable_step(
        mean_batch_size(num_rows, pace.batch_size),
        row=float(descent.ranks.gather(longest).max()) + ridge,
        largest=float(np.linalg.eigvalsh(gram)[-1]) + ridge,
    )
    return step * (1 - pace.momentum) * num_targets / 2


def half_stable_step(batch_size: float, *, row: float, largest: float) -> float:
    """Return half the largest step at which the mean square distance from the optimum shrinks.

    B / (row + (B - 1) * largest): Ma, Bassily, Belkin, The Power of Interpolation, ICML 2018.

    Args:
        batch_size: B; where batches differ in size, their harmonic mean.
        row: The largest squared norm of a row, with its 1 for the bias.
        largest: The largest eigenvalue of the Hessian.
    """
    return batch_size / (row + (batch_size - 1) * largest)


def mean_batch_size(num_rows: int, batch_size: int) -> float:
    """Return the harmonic mean of an epoch's batch sizes: the last batch may be a short one."""
    whole, rest = divmod(num_rows, batch_size)
    short = 1 / rest if rest else 0.0
    return -(-num_rows // batch_size) / (whole / batch_size + short)
