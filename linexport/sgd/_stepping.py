"""The steps of minibatch SGD as everyone writes them: batches, autograd, the update.

N rows, D features, K targets, B rows in a batch.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from linexport.errors import DataError
from linexport.rows import ONE, Minibatches, Ranks
from linexport.sgd._scaling import Scaler

INITIAL_STANDARD_DEVIATION = 0.01
"""Of the weights that training starts from, as in the textbook."""
SINGLE_THREAD_VALUES = 32_768
"""PyTorch's own grain: its kernels share out no less. BLAS does, which gains nothing (measured with
2 threads: 84 us against 81 at 32,000 values) and on a machine whose cores are busy with something
else makes each step wait for a core (at 4,420 values 23 ms against 66 us)."""


class Pace(NamedTuple):
    """What every step has in common."""

    batch_size: int
    """B; an epoch's last batch may be a short one."""
    learning_rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0


class Batches(Protocol):
    """One epoch's minibatches, every epoch anew."""

    def epoch(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield features (B, D) and targets (B, K), on the device and in the dtype of training."""
        ...


class EpochRunner(Protocol):
    """Takes one SGD step per minibatch."""

    def run(self) -> None:
        """Step through one epoch."""
        ...

    def gradients(self) -> dict[str, Tensor]:
        """Return the last minibatch's, by parameter name."""
        ...

    def last_batch(self) -> tuple[int, int]:
        """Return the last minibatch's place in its epoch, counted from 1, and its rows."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LoaderBatches:
    """The batches of a DataLoader as they come; scaled where a scaler is given."""

    minibatches: Minibatches
    scaler: Scaler | None
    dtype: torch.dtype
    device: torch.device

    def epoch(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:  # noqa: ARG002
        """Yield the batches, whatever their size.

        Raises:
            DataError: If there are none any more.
        """
        empty = True
        for features, targets in self.minibatches:
            empty = False
            if self.scaler is not None:
                features, targets = self.scaler.apply(features.cpu(), targets.cpu())
            yield features.to(self.device, self.dtype), targets.to(self.device, self.dtype)
        if empty:
            raise DataError(
                "It brought its batches once, and none when asked again; each epoch asks for them.",
                source="the DataLoader",
            )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SharedBatches:
    """A rank's part of batches drawn from the rows of all ranks, in a new order each epoch.

    All draw the same order from the same seed.
    """

    features: Tensor
    """This rank's rows."""
    targets: Tensor
    generator: torch.Generator
    first_row: int
    """The place of this rank's first row among all rows, counted from 0."""
    num_rows: int
    """N, of all ranks."""

    def epoch(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield as many batches on every rank; all rows in one need no order."""
        if batch_size >= self.num_rows:
            yield self.features, self.targets
            return
        row = torch.randperm(self.num_rows, generator=self.generator) - self.first_row
        held = (row >= 0) & (row < len(self.features))
        place = held.nonzero().flatten()
        num_batches = -(-self.num_rows // batch_size)
        counts = torch.bincount(place // batch_size, minlength=num_batches).tolist()
        for rows in torch.split(row[place].to(self.features.device), counts):
            yield self.features.index_select(0, rows), self.targets.index_select(0, rows)


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

    It takes batches of any origin, and is what tests hold every faster way to. Where several ranks
    hold parts of each batch, be they of no rows, the sum of their squared errors' gradients,
    divided by the batch's rows, is the gradient of the whole batch: so the trajectory is that of
    one process with all rows, but for the order of the sums.
    """

    def __init__(self, module: nn.Linear, batches: Batches, pace: Pace, ranks: Ranks = ONE) -> None:
        self._module = module
        self._batches = batches
        self._pace = pace
        self._ranks = ranks
        self._update = Update(module.parameters(), pace)
        self._last_batch = 0, 0

    def run(self) -> None:
        with threads_for(self._pace.batch_size * self._module.in_features):
            batches = self._batches.epoch(self._pace.batch_size)
            for number, (features, targets) in enumerate(batches, start=1):
                num_rows = len(features)
                self._update.zero_grad()
                prediction = self._module(features)
                if self._ranks.size == 1:
                    torch.autograd.backward(functional.mse_loss(prediction, targets))
                else:
                    squares = functional.mse_loss(prediction, targets, reduction="sum")
                    torch.autograd.backward(squares / targets.shape[1])
                    num_rows = self._average(num_rows)
                self._update.step()
                self._last_batch = number, num_rows

    def gradients(self) -> dict[str, Tensor]:
        named = self._module.named_parameters()
        return {name: gradient_of(parameter).clone() for name, parameter in named}

    def last_batch(self) -> tuple[int, int]:
        return self._last_batch

    def _average(self, num_rows: int) -> int:
        """Replace the gradients of this rank's sum by those of the mean over the batch's rows."""
        found = [gradient_of(parameter) for parameter in self._module.parameters()]
        own = [gradient.flatten() for gradient in found]
        flat = torch.cat([*own, own[0].new_tensor([float(num_rows)])])
        total = torch.from_numpy(self._ranks.sum(flat.cpu().numpy())).to(flat.device)
        means = torch.split(total[:-1] / total[-1], [len(part) for part in own])
        for gradient, mean in zip(found, means, strict=True):
            gradient.copy_(mean.view_as(gradient))
        return int(total[-1])


class Update:
    """What torch.optim.SGD does (no dampening, no Nesterov), operation by operation.

    The first step of torch.optim imports torch._dynamo, which takes longer than the training.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], pace: Pace) -> None:
        self._parameters = list(parameters)
        self._pace = pace
        self._buffers: list[Tensor] = []

    def zero_grad(self) -> None:
        """Forget the gradients: backward adds to what is there."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters by their gradients."""
        directions = [gradient_of(parameter) for parameter in self._parameters]
        if self._pace.weight_decay:
            directions = [
                gradient.add(parameter, alpha=self._pace.weight_decay)
                for gradient, parameter in zip(directions, self._parameters, strict=True)
            ]
        if self._pace.momentum:
            directions = self._remembered(directions)
        for parameter, direction in zip(self._parameters, directions, strict=True):
            parameter.add_(direction, alpha=-self._pace.learning_rate)

    def _remembered(self, directions: list[Tensor]) -> list[Tensor]:
        if not self._buffers:
            self._buffers = [direction.clone() for direction in directions]
        else:
            for buffer, direction in zip(self._buffers, directions, strict=True):
                buffer.mul_(self._pace.momentum).add_(direction)
        return self._buffers


def gradient_of(parameter: nn.Parameter) -> Tensor:
    """Return what a backward pass has left."""
    assert parameter.grad is not None, "a backward pass comes first"
    return parameter.grad


@contextmanager
def threads_for(num_values: int, *, alone: int = SINGLE_THREAD_VALUES) -> Iterator[None]:
    """Compute with one thread where operations take so few values that more are not faster.

    Args:
        num_values: How many an operation takes.
        alone: Up to how many one thread does them alone.
    """
    num_threads = torch.get_num_threads()
    if num_threads == 1 or num_values > alone:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)
