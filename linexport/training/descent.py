"""The descent: epoch after epoch, until it arrives, ends or diverges."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from linexport.errors import TrainingError
from linexport.training.progress import EpochEnd, OnEpoch
from linexport.training.schedule import Curvature, Pace, half_stable_step, mean_batch_size
from linexport.training.stepping import Autograd, Batches, EpochRunner
from linexport.training.threads import threads_for

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
    """Shape (N, D)."""
    targets: Tensor
    """Shape (N, K)."""
    batches: Batches
    weight_decay: float
    remedy: str
    """What to do where it diverges, besides lowering the learning rate."""

    def loss(self) -> float:
        """Return the mean squared error over all rows and targets."""
        with torch.no_grad(), threads_for(self.features.numel()):
            return float(functional.mse_loss(self.module(self.features), self.targets))


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
    runner: EpochRunner = Autograd(descent.module, weight_decay=descent.weight_decay)
    num_rows, num_features = descent.features.shape
    start_loss = descent.loss()
    run: list[Pace] = []
    for pace in paces:
        began = time.perf_counter()
        with threads_for(min(pace.batch_size, num_rows) * num_features):
            runner.run(descent.batches.epoch(pace.batch_size), pace)
        loss = descent.loss()  # waits for the device
        seconds = time.perf_counter() - began
        run.append(pace)
        if not loss <= DIVERGED * start_loss:  # written so that NaN fails too
            raise TrainingError(_divergence(descent, len(run), pace, start_loss, loss))
        if on_epoch is not None:
            on_epoch(_epoch_end(len(run), expected_epochs, loss, num_rows, seconds))
        if arrived():
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
    largest = float(torch.linalg.eigvalsh(with_ones.T @ with_ones / len(features))[-1])
    curvature = Curvature(
        smallest=ridge,
        largest=largest + ridge,
        row=float(torch.linalg.vector_norm(with_ones, dim=1).max()) ** 2 + ridge,
    )
    step = half_stable_step(curvature, mean_batch_size(len(features), pace.batch_size))
    return step * (1 - pace.momentum) * descent.targets.shape[1] / 2
