"""Minibatch stochastic gradient descent on rows in memory.

N rows, D features, K targets. docs/training.md says what a step is, and what is standardized.
"""

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from linexport.errors import ConfigError, DataError, TrainingError, UnavailableError
from linexport.fit import EpochEnd, Fit, FitRecord, OnEpoch, Setting
from linexport.model import LinearModel
from linexport.numerics import rescaled
from linexport.rows import ONE, Dataset, Ranks, Rows
from linexport.sgd._closed_form import ClosedForm, ShuffledRows, augment
from linexport.sgd._config import SGDConfig
from linexport.sgd._stepping import (
    Autograd,
    EpochRunner,
    LoaderBatches,
    Pace,
    Scaler,
    SharedBatches,
    new_module,
    threads_for,
)

TEXTBOOK_BATCH = 10
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


def fit_sgd(config: SGDConfig, rows: Rows, *, ranks: Ranks, on_epoch: OnEpoch | None) -> Fit:
    """Train, as SGDConfig.fit says."""
    assert isinstance(rows, Dataset), "a solver that does not stream is given rows in memory"
    if config.batch_size is not None and rows.minibatches is not None:
        raise ConfigError("A DataLoader brings its own batches; leave batch_size out.")
    as_they_are = rows.true_weight is not None or rows.minibatches is not None
    standardize = not as_they_are if config.standardize is None else config.standardize
    device = resolve_device(config.device, ranks)
    precision = _precision(config, rows, device)
    scaler = _scaler(rows) if standardize else None
    descent = _start(config, rows, scaler, device, getattr(torch, precision), ranks)
    descend(descent, config.epochs, on_epoch=on_epoch)
    settings: dict[str, Setting] = {
        "batch_size": descent.pace.batch_size,
        "standardize": standardize,
        "device": str(device),
        "precision": precision,
    }
    return Fit(
        model=_model(rows, descent.module, scaler),
        record=FitRecord(solver=config.name, rows=descent.num_rows(), settings=settings),
        module=descent.module,
        gradients=descent.runner.gradients(),
        remedy=(
            "Weight decay keeps it there: leave it out"
            if config.weight_decay
            else "Take more epochs at a smaller learning rate"
        ),
    )


def _precision(config: SGDConfig, rows: Dataset, device: torch.device) -> str:
    on_mps = device.type == "mps"
    if config.precision == "float64" and on_mps:
        raise UnavailableError("Device mps has no float64. Train in float32, or use --device cpu.")
    if config.precision is not None or on_mps:
        return config.precision or "float32"
    if rows.minibatches is not None:
        return rows.minibatches.precision
    return "float32" if rows.true_weight is not None else "float64"


def _scaler(rows: Dataset) -> Scaler:
    """Return what takes the columns to mean 0 and variance 1; a constant one is only shifted."""
    columns = (*rows.features, *rows.targets)
    deviations = np.array([column.standard_deviation for column in columns], dtype=np.float64)
    means = np.array([column.mean for column in columns], dtype=np.float64)
    with np.errstate(divide="ignore", over="ignore"):
        scales = np.where(deviations > 0, 1 / deviations, 1.0)
    for column, scale in zip(columns, scales, strict=True):
        if not np.isfinite(scale):
            raise DataError(
                "It varies by less than float64 can divide by; give it in another unit.",
                source=rows.source,
                column=column.name,
            )
    (mean, target_mean), (scale, target_scale) = (
        np.split(numbers, [len(rows.features)]) for numbers in (means, scales)
    )
    return Scaler(*map(torch.tensor, (mean, scale, target_mean, target_scale)))


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
        remedy="standardize the features (--standardize)"
        if scaler is None
        else "use least squares (--solver lstsq)",
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


def _model(rows: Dataset, module: nn.Linear, scaler: Scaler | None) -> LinearModel:
    """Return what was trained, for features and targets in their own units."""
    weight, bias = (
        parameter.detach().to("cpu", torch.float64).numpy() for parameter in module.parameters()
    )
    if scaler is None:
        return LinearModel(weight=weight, bias=bias, features=rows.features, targets=rows.targets)
    mean, scale, target_mean, target_scale = (
        part.numpy()
        for part in (scaler.mean, scaler.scale, scaler.target_mean, scaler.target_scale)
    )
    return LinearModel(
        weight=rescaled(rescaled(weight, scale), 1 / target_scale[:, None]),
        bias=bias / target_scale + target_mean,
        mean=mean,
        features=rows.features,
        targets=rows.targets,
    )


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
            "Device mps is not available: it needs PyTorch on an Apple GPU. Use --device cpu."
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
        "Use --device cpu."
    )
