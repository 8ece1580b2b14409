"""The steps of minibatch SGD as everyone writes them: batches, autograd, the update.

N rows, D features, K targets, B rows in a batch.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from linexport.rows import batch_tensors
from linexport.sgd._schedule import Pace
from linexport.sgd._threads import threads_for

__all__ = [
    "Autograd",
    "Batches",
    "EpochRunner",
    "LoaderBatches",
    "Scaler",
    "Update",
    "gradients",
    "new_module",
]

INITIAL_STANDARD_DEVIATION = 0.01
"""Of the weights that training starts from, as in the textbook."""


class Batches(Protocol):
    """One epoch's minibatches, every epoch anew."""

    def epoch(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield features (B, D) and targets (B, K), on the device and in the dtype of training."""
        ...


class EpochRunner(Protocol):
    """Takes one SGD step per minibatch."""

    def run(self, pace: Pace) -> None:
        """Step through one epoch."""
        ...

    def gradients(self) -> dict[str, Tensor]:
        """Return the last minibatch's, by parameter name."""
        ...


class LoaderBatches:
    """The batches of a DataLoader as they come; scaled where a scaler is given."""

    def __init__(
        self,
        loader: Iterable[Any],
        *,
        scaler: "Scaler | None",
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self._loader = loader
        self._scaler = scaler
        self._dtype = dtype
        self._device = device

    def epoch(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:  # noqa: ARG002
        """Yield the batches, whatever their size."""
        for batch in self._loader:
            features, targets = batch_tensors(batch)
            if self._scaler is not None:
                features, targets = self._scaler.apply(features, targets)
            yield features.to(self._device, self._dtype), targets.to(self._device, self._dtype)


@dataclass(frozen=True, slots=True, eq=False)
class Scaler:
    """Takes features and targets to mean 0 and variance 1, in float64 on the CPU."""

    mean: Tensor
    scale: Tensor
    target_mean: Tensor
    target_scale: Tensor

    def apply(self, features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Scale features (B, D) and targets (B, K)."""
        return (
            (features.double() - self.mean).mul_(self.scale),
            (targets.double() - self.target_mean).mul_(self.target_scale),
        )


def gradients(module: nn.Module) -> dict[str, Tensor]:
    """Return a copy of the last minibatch's gradients, by parameter name."""
    return {name: _gradient(parameter).clone() for name, parameter in module.named_parameters()}


def new_module(
    num_features: int,
    num_targets: int,
    *,
    dtype: torch.dtype,
    device: torch.device,
    generator: torch.Generator,
) -> nn.Linear:
    """Return the linear layer that training starts from: weight ~ N(0, 0.01**2), bias 0."""
    with torch.random.fork_rng(devices=()):  # nn.Linear draws a start of its own
        module = nn.Linear(num_features, num_targets, dtype=dtype)
    nn.init.normal_(module.weight, std=INITIAL_STANDARD_DEVIATION, generator=generator)
    nn.init.zeros_(module.bias)
    return module.to(device)


class Autograd:
    """The plain loop: forward, mean squared error, backward, update.

    It takes batches of any origin, and is what tests hold every faster way to.
    """

    def __init__(self, module: nn.Linear, batches: Batches, *, weight_decay: float) -> None:
        self._module = module
        self._batches = batches
        self._update = Update(module.parameters(), weight_decay=weight_decay)

    def run(self, pace: Pace) -> None:
        """Step through one epoch."""
        with threads_for(pace.batch_size * self._module.in_features):
            for features, targets in self._batches.epoch(pace.batch_size):
                self._update.zero_grad()
                torch.autograd.backward(functional.mse_loss(self._module(features), targets))
                self._update.step(pace.learning_rate, pace.momentum)

    def gradients(self) -> dict[str, Tensor]:
        """Return the last minibatch's, by parameter name."""
        return gradients(self._module)


class Update:
    """What torch.optim.SGD does (no dampening, no Nesterov), operation by operation.

    The first step of torch.optim imports torch._dynamo, which takes longer than the training.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, weight_decay: float) -> None:
        self._parameters = list(parameters)
        self._weight_decay = weight_decay
        self._buffers: list[Tensor] = []

    def zero_grad(self) -> None:
        """Forget the gradients: backward adds to what is there."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, learning_rate: float, momentum: float) -> None:
        """Move the parameters by their gradients."""
        directions = [_gradient(parameter) for parameter in self._parameters]
        if self._weight_decay:
            directions = [
                gradient.add(parameter, alpha=self._weight_decay)
                for gradient, parameter in zip(directions, self._parameters, strict=True)
            ]
        if momentum:
            directions = self._remembered(directions, momentum)
        for parameter, direction in zip(self._parameters, directions, strict=True):
            parameter.add_(direction, alpha=-learning_rate)

    def _remembered(self, directions: list[Tensor], momentum: float) -> list[Tensor]:
        if not self._buffers:
            self._buffers = [direction.clone() for direction in directions]
        else:
            for buffer, direction in zip(self._buffers, directions, strict=True):
                buffer.mul_(momentum).add_(direction)
        return self._buffers


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None, "a backward pass comes first"
    return parameter.grad
