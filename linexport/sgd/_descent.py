"""The descent: epoch after epoch, until it arrives, ends or diverges."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from linexport._arrays import Float64Array
from linexport.errors import TrainingError
from linexport.rows import ONE, Ranks
from linexport.sgd._progress import EpochEnd, OnEpoch
from linexport.sgd._schedule import Curvature, Pace, half_stable_step, mean_batch_size
from linexport.sgd._stepping import EpochRunner
from linexport.sgd._threads import threads_for

__all__ = ["Descent", "descend"]

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
    weight_decay: float
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
        total, count = self.ranks.gather(
            np.array([float(squares), float(self.targets.numel())])
        ).sum(axis=0)
        return float(total / count)


def descend(
    descent: Descent,
    paces: Iterable[Pace],
    *,
    expected_epochs: int | None,
    arrived: Callable[[], bool],
    on_epoch: OnEpoch | None,
) -> list[Pace]:
    """Run one epoch per pace until `arrived`.

    Returns:
        The paces that were run.

    Raises:
        TrainingError: If it diverges.
    """
    num_rows = descent.num_rows()
    start_loss = descent.loss()
    run: list[Pace] = []
    for pace in paces:
        began = time.perf_counter()
        descent.runner.run(pace)
        loss = descent.loss()  # waits for the device
        seconds = time.perf_counter() - began
        run.append(pace)
        if not loss <= DIVERGED * start_loss:  # written so that NaN fails too
            raise TrainingError(_divergence(descent, len(run), pace, start_loss, loss))
        if on_epoch is not None:
            on_epoch(_epoch_end(len(run), expected_epochs, loss, num_rows, seconds))
        # Rank 0 decides: kinds of processors may differ, and with them the last bit of the module.
        if descent.ranks.gather(np.array([float(arrived())]))[0]:
            break
    return run


def _epoch_end(
    epoch: int, expected_epochs: int | None, loss: float, num_rows: int, seconds: float
) -> EpochEnd:
    epochs = None if expected_epochs is None else max(expected_epochs, epoch)
    return EpochEnd(
        epoch=epoch,
        epochs=epochs,
        loss=loss,
        rows_per_second=num_rows / seconds,
        seconds_left=None if epochs is None else (epochs - epoch) * seconds,
    )


def _divergence(descent: Descent, epoch: int, pace: Pace, start_loss: float, loss: float) -> str:
    rose = f"rose from {start_loss:.6g} to {loss:.6g}" if np.isfinite(loss) else "overflowed"
    # Never more than half of what failed, whatever order the rows came in.
    advised = min(_half_stable_learning_rate(descent, pace), pace.learning_rate / 2)
    return (
        f"SGD diverged in epoch {epoch}, at learning rate {pace.learning_rate:.3g}: the loss "
        f"{rose}. Lower --learning-rate to about {advised:.1g}, or {descent.remedy}."
    )


def _half_stable_learning_rate(descent: Descent, pace: Pace) -> float:
    """Return the learning rate that `half_stable_step` gives for the rows as they are."""
    features = descent.features.detach().to("cpu", torch.float64)
    ridge = descent.targets.shape[1] * descent.weight_decay / 2
    with_ones = torch.cat([features, torch.ones(len(features), 1, dtype=torch.float64)], dim=1)
    gram = descent.ranks.gather((with_ones.T @ with_ones).numpy()).sum(axis=0)
    num_rows = descent.num_rows()
    largest = float(np.linalg.eigvalsh(gram / num_rows)[-1])
    squares = (with_ones**2).sum(dim=1).numpy()
    curvature = Curvature(
        smallest=ridge,
        largest=largest + ridge,
        row=_largest(squares, descent.ranks) + ridge,
    )
    step = half_stable_step(curvature, mean_batch_size(num_rows, pace.batch_size))
    return step * (1 - pace.momentum) * descent.targets.shape[1] / 2


def _largest(squares: Float64Array, ranks: Ranks) -> float:
    """Return the largest of all ranks' numbers, none of which is negative."""
    return float(ranks.gather(squares.max(initial=0.0, keepdims=True)).max())
