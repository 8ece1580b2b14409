"""Minibatch stochastic gradient descent on rows in memory.

N rows, D features, K targets. docs/training.md says what a step is, and what is standardized.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from linexport._arrays import Float64Array
from linexport._asked import asked
from linexport.errors import ConfigError, TrainingError, UnavailableError
from linexport.fit import (
    RECORDED_LOSSES,
    EpochEnd,
    Fit,
    FitRecord,
    Gradients,
    OnEpoch,
    Setting,
)
from linexport.rows import ONE, Dataset, Ranks, Rows
from linexport.sgd._closed_form import ClosedForm, ShuffledRows, augment
from linexport.sgd._config import SGDConfig
from linexport.sgd._scaling import PRECISIONS, Scaler, hand_over, scaler_of, unscaled_model
from linexport.sgd._stepping import (
    Autograd,
    EpochRunner,
    LoaderBatches,
    Pace,
    SharedBatches,
    gradient_of,
    new_module,
    threads_for,
)

TEXTBOOK_BATCH = 10
DIVERGED = 100.0
"""At a stable step the loss settles around at most twice what the optimum leaves, and the optimum
leaves no more than training started with. Chance does not make it a hundred times that: of one
Gaussian coefficient it would be a deviation of ten."""

_SETTLED = 0.9
"""The loss falls as long as an epoch takes more than a tenth of it off; noise moves it by less."""
_STEADY = 6
"""Losses, each below the one before: the loss falls, however slowly. If it only scattered around
where it settled, each order of six would be as likely, and this one a chance of 1 in 6! = 720."""


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
    target_scale: Float64Array
    """Shape (K,): the targets trained on are those in their own units times this."""
    remedy: str
    """What to do where it diverges, besides lowering the learning rate."""
    ranks: Ranks = ONE
    """Who holds rows; each descends in the same way."""

    def num_rows(self) -> int:
        """Return how many rows all ranks hold."""
        return int(self.ranks.gather(np.array([float(len(self.features))])).sum())

    def loss(self) -> float:
        """Return the mean squared error over all rows and targets, in target units squared."""
        with torch.no_grad(), threads_for(self.features.numel()):
            prediction = self.module(self.features)
            squares = functional.mse_loss(prediction, self.targets, reduction="none").sum(dim=0)
        own = np.append(squares.cpu().double().numpy(), float(len(self.targets)))
        *totals, num_rows = self.ranks.gather(own).sum(axis=0)
        return float(np.mean(totals / num_rows / self.target_scale / self.target_scale))


def fit_sgd(config: SGDConfig, rows: Rows, *, ranks: Ranks, on_epoch: OnEpoch | None) -> Fit:
    """Train, as SGDConfig.fit says."""
    assert isinstance(rows, Dataset), "a solver that does not stream is given rows in memory"
    if config.batch_size is not None and rows.minibatches is not None:
        raise ConfigError("A DataLoader brings its own batches; leave batch_size out.")
    standardize = rows.tensor_dtype is None if config.standardize is None else config.standardize
    device = resolve_device(config.device, ranks)
    precision = _precision(config, rows, device)
    scaler = scaler_of(rows) if standardize else None
    descent = _start(config, rows, scaler, device, getattr(torch, precision), ranks)
    losses = descend(descent, config.epochs, on_epoch=on_epoch)
    settings: dict[str, Setting] = {
        "batch_size": descent.pace.batch_size,
        "standardize": standardize,
        "device": str(device),
        "precision": precision,
    }
    module = descent.module
    model = unscaled_model(rows, module, scaler)
    hand_over(module, model, descent.runner.gradients(), scaler, rows)
    minibatch, batch_rows = descent.runner.last_batch()
    return Fit(
        model=model,
        record=FitRecord(
            solver=config.name,
            rows=descent.num_rows(),
            settings=settings,
            losses=losses[-RECORDED_LOSSES:],
        ),
        module=module,
        gradients=Gradients(
            **{name: gradient_of(parameter) for name, parameter in module.named_parameters()},
            epoch=config.epochs,
            minibatch=minibatch,
            rows=batch_rows,
        ),
        losses=losses,
        remedy=_remedy(config, losses),
    )


def _remedy(config: SGDConfig, losses: Sequence[float]) -> str:
    """Say what would bring the fit nearer to the optimum."""
    if config.weight_decay:
        return "Weight decay keeps it there: leave it out"
    if len(losses) < 2 or losses[-1] < _SETTLED * losses[-2]:
        return "Take more epochs, as the loss still falls"
    if len(losses) >= _STEADY and all(new < old for old, new in pairwise(losses[-_STEADY:])):
        return "Take more epochs, as the loss still falls, or a larger learning rate"
    return "Take more epochs at a smaller learning rate"


def _precision(config: SGDConfig, rows: Dataset, device: torch.device) -> str:
    on_mps = device.type == "mps"
    if config.precision == "float64" and on_mps:
        raise UnavailableError(
            f"Device mps has no float64. Train in float32, or use {asked(device='cpu')}."
        )
    if config.precision is not None or on_mps:
        return config.precision or "float32"
    return PRECISIONS.get(rows.tensor_dtype or "", "float64")


def _start(
    config: SGDConfig,
    rows: Dataset,
    scaler: Scaler | None,
    device: torch.device,
    dtype: torch.dtype,
    ranks: Ranks,
) -> Descent:
    """Return where the descent starts, with features and targets scaled."""
    generator = torch.Generator().manual_seed(config.seed)
    features, targets = torch.tensor(rows.feature_values), torch.tensor(rows.target_values)
    if scaler is not None:
        features, targets = scaler.apply(features, targets)
    num_features, num_targets = features.shape[1], targets.shape[1]
    table = augment(features, targets, dtype=dtype, device=device)
    module = new_module(num_features, num_targets, dtype=dtype, device=device, generator=generator)
    pace = Pace(
        rows.minibatches.largest if rows.minibatches else config.batch_size or TEXTBOOK_BATCH,
        config.learning_rate,
        config.momentum,
        config.weight_decay,
    )
    runner: EpochRunner
    if rows.minibatches is not None:
        batches = LoaderBatches(
            minibatches=rows.minibatches, scaler=scaler, dtype=dtype, device=device
        )
        runner = Autograd(module, batches, pace)
    elif ranks.size > 1:
        runner = Autograd(module, _shared(table, num_features, generator, ranks), pace, ranks)
    else:
        runner = ClosedForm(module, ShuffledRows(table, generator), pace)
    return Descent(
        module=module,
        features=table[:, :num_features],
        targets=table[:, num_features + 1 :],
        runner=runner,
        pace=pace,
        target_scale=np.ones(num_targets) if scaler is None else scaler.target_scale.numpy(),
        remedy=f"standardize the features ({asked(standardize=True)})"
        if scaler is None
        else f"use least squares ({asked(solver='lstsq')})",
        ranks=ranks,
    )


def _shared(
    table: Tensor, num_features: int, generator: torch.Generator, ranks: Ranks
) -> SharedBatches:
    counts = ranks.gather(np.array([float(len(table))])).flatten()
    return SharedBatches(
        features=table[:, :num_features],
        targets=table[:, num_features + 1 :],
        generator=generator,
        first_row=int(counts[: ranks.rank].sum()),
        num_rows=int(counts.sum()),
    )


def descend(descent: Descent, epochs: int, *, on_epoch: OnEpoch | None) -> tuple[float, ...]:
    """Run so many epochs, and return the loss after each.

    Raises:
        TrainingError: If it diverges.
    """
    num_rows, start_loss = descent.num_rows(), descent.loss()
    losses = []
    for epoch in range(1, epochs + 1):
        began = time.perf_counter()
        descent.runner.run()
        loss = descent.loss()  # waits for the device
        seconds = time.perf_counter() - began
        if not loss <= DIVERGED * start_loss:  # written so that NaN fails too
            raise TrainingError(_divergence(descent, epoch, start_loss, loss))
        losses.append(loss)
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
    return tuple(losses)


def _divergence(descent: Descent, epoch: int, start_loss: float, loss: float) -> str:
    rose = f"rose from {start_loss:.6g} to {loss:.6g}" if np.isfinite(loss) else "overflowed"
    learning_rate = descent.pace.learning_rate
    # Never more than half of what failed, whatever order the rows came in.
    advised = float(f"{min(_stable_learning_rate(descent), learning_rate / 2):.1g}")
    return (
        f"SGD diverged in epoch {epoch}, at learning rate {learning_rate:.3g}: the loss {rose}. "
        f"Lower it, to about {asked(learning_rate=advised)}, or {descent.remedy}."
    )


def _stable_learning_rate(descent: Descent) -> float:
    """Return the learning rate that `half_stable_step` gives for the rows as they are.

    The loss, a mean over targets too and without a half, has 2 / K times the Hessian of half the
    squared error; momentum m repeats each gradient, and its noise, 1 / (1 - m) times.
    """
    pace, num_targets, num_rows = descent.pace, descent.targets.shape[1], descent.num_rows()
    features = descent.features.detach().cpu().double()
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


def resolve_device(name: str, ranks: Ranks) -> torch.device:
    """Return the device to train on, of a name that SGDConfig takes.

    `auto` is the first CUDA device, or else the CPU. It is never mps, which has no float64: mps is
    there for who asks for it. `auto` and `cuda` give each rank of a machine a device of its own;
    where there are fewer, `auto` is the CPU.

    Raises:
        UnavailableError: If this machine, or this build of PyTorch, has no such device.
    """
    if name == "auto":
        enough = torch.cuda.is_available() and torch.cuda.device_count() >= ranks.local_size
        return torch.device("cuda", ranks.local_rank) if enough else torch.device("cpu")
    if name.startswith("cuda"):
        return _cuda(int(name.partition(":")[2] or ranks.local_rank))
    if name == "mps" and not torch.backends.mps.is_available():
        raise UnavailableError(
            "Device mps is not available: it needs PyTorch on an Apple GPU. Use "
            f"{asked(device='cpu')}."
        )
    return torch.device(name)


def _cuda(index: int) -> torch.device:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index < count:
        return torch.device("cuda", index)
    seen = (
        f"only {count} CUDA device{'s are' if count > 1 else ' is'}"
        if count
        else "no CUDA device is"
    )
    raise UnavailableError(
        f"Device cuda:{index} is not available: {seen} visible to PyTorch {torch.__version__}. "
        f"Use {asked(device='cpu')}."
    )
