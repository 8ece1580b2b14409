"""Minibatch SGD, training alone: permutation, gathering and steps, against the loops people write.

    python benchmarks/sgd.py [rounds [row ...]]

Rows are those of the table, from 1 on; without any, all are measured. Each size in float32: all
ways in alternation on the same rows, medians, and the median over the rounds of each way's time as
a multiple of ours. Loops that would take minutes are stopped after PATIENCE seconds, and their time
is scaled by the number of steps; what comes before their second step is left out. Before anything
is timed, our parameters are compared with the readable loop's on the same batches, in float64 and
float32. The limit is gathering alone: the same permutation, the same rows in the same buffer, and
no arithmetic.

Lightning is left out: it drives the textbook's loop, with its own costs on top. Threads of PyTorch
that wait, ours and the peers', leave their core to others: else, on a machine that does something
beside, whatever two of them share takes ten times as long and the ratios tell about the rest.
"""

import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported

import numpy as np
import torch
from _timing import rounds_asked
from sklearn.linear_model import SGDRegressor
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from linexport.sgd._closed_form import ClosedForm, ShuffledRows, augment
from linexport.sgd._stepping import Autograd, Pace

LEARNING_RATE = 0.01
PATIENCE = 1.0
OF_GATHERING = 2.5
"""The most that we may take, as a multiple of the limit, with ten features or fewer and rows enough
that arithmetic takes longer than calls: docs/training.md says what a thousand rows take."""
CALLS_SHOW = 100_000
"""Rows up to which calls take longer."""
SAME = {torch.float64: 1e-14, torch.float32: 1e-6}
"""Relative to the length of the parameters; tests derive what is allowed."""
OURS, LIMIT, REGRESSOR, TEXTBOOK = "linexport", "gathering alone", "SGDRegressor", "textbook loop"


@dataclass(frozen=True, kw_only=True)
class Size:
    """A row of the table."""

    num_rows: int
    num_features: int
    batch_size: int
    epochs: int = 1
    times_textbook: float
    """How many times as long the textbook's loop is to take."""

    @property
    def num_steps(self) -> int:
        """Over all epochs."""
        return self.epochs * -(-self.num_rows // self.batch_size)

    def __str__(self) -> str:
        return (
            f"{self.num_rows:,} x {self.num_features}, batches of {self.batch_size:,}, "
            f"epochs: {self.epochs}"
        )


SIZES = (
    Size(num_rows=1000, num_features=2, batch_size=10, epochs=3, times_textbook=60),
    Size(num_rows=1_000_000, num_features=2, batch_size=10, times_textbook=500),
    Size(num_rows=1_000_000, num_features=10, batch_size=100, times_textbook=100),
    Size(num_rows=1_000_000, num_features=100, batch_size=1000, times_textbook=12),
    Size(num_rows=10_000_000, num_features=10, batch_size=10_000, times_textbook=100),
)


def problem(size: Size, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(size.num_rows, size.num_features, generator=generator)
    weight = torch.randn(size.num_features, 1, generator=generator)
    noise = torch.randn(size.num_rows, 1, generator=generator)
    return features.to(dtype), (features @ weight + 4.2 + 0.1 * noise).to(dtype)


def shuffled(features: Tensor, targets: Tensor) -> ShuffledRows:
    rows = augment(features, targets, dtype=features.dtype, device=features.device)
    return ShuffledRows(rows, torch.Generator().manual_seed(0))


def new_linear(features: Tensor) -> nn.Linear:
    module = nn.Linear(features.shape[1], 1, dtype=features.dtype)
    nn.init.zeros_(module.weight)
    nn.init.zeros_(module.bias)
    return module


def ours(rows: ShuffledRows, module: nn.Linear, size: Size) -> None:
    runner = ClosedForm(module, rows, Pace(size.batch_size, LEARNING_RATE))
    for _ in range(size.epochs):
        runner.run()


def gathering(rows: ShuffledRows, size: Size) -> None:
    for _ in range(size.epochs):
        for _ in rows.epoch(size.batch_size):
            pass


def scikit_learn(features: np.ndarray, target: np.ndarray, size: Size) -> None:
    SGDRegressor(
        penalty=None, learning_rate="constant", eta0=1e-4, max_iter=size.epochs, tol=None
    ).fit(features, target)


class Indexed:
    """Batches by an index into the tensors, as a loop without a DataLoader takes them."""

    def __init__(self, features: Tensor, targets: Tensor) -> None:
        self._features = features
        self._targets = targets
        self._generator = torch.Generator().manual_seed(0)

    def epoch(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches, each indexed anew."""
        order = torch.randperm(len(self._features), generator=self._generator)
        for places in torch.split(order, batch_size):
            yield self._features[places], self._targets[places]


def optimizer_steps(module: nn.Linear, batches: Iterator[tuple[Tensor, Tensor]]) -> Iterator[None]:
    loss = nn.MSELoss()
    optimizer = torch.optim.SGD(module.parameters(), lr=LEARNING_RATE)
    for features, targets in batches:
        optimizer.zero_grad()
        loss(module(features), targets).backward()
        optimizer.step()
        yield


def textbook(features: Tensor, targets: Tensor, size: Size) -> Iterator[None]:
    loader = DataLoader(TensorDataset(features, targets), size.batch_size, shuffle=True)
    epochs = (iter(loader) for _ in range(size.epochs))
    return optimizer_steps(new_linear(features), itertools.chain.from_iterable(epochs))


def tensor_loop(features: Tensor, targets: Tensor, size: Size) -> Iterator[None]:
    batches = Indexed(features, targets)
    epochs = (batches.epoch(size.batch_size) for _ in range(size.epochs))
    return optimizer_steps(new_linear(features), itertools.chain.from_iterable(epochs))


def numpy_loop(features: np.ndarray, target: np.ndarray, size: Size) -> Iterator[None]:
    random = np.random.default_rng(0)
    weight, bias = np.zeros(features.shape[1], np.float32), np.float32(0)
    for _ in range(size.epochs):
        order = random.permutation(len(features))
        for start in range(0, len(features), size.batch_size):
            places = order[start : start + size.batch_size]
            batch = features[places]
            residuals = batch @ weight + bias - target[places]
            factor = np.float32(2 * LEARNING_RATE / len(places))
            weight -= factor * (residuals @ batch)
            bias -= factor * residuals.sum()
            yield


def seconds_of(run: Callable[[], Iterator[None] | None], num_steps: int) -> float:
    """Time a call; or so many steps of an iterator as PATIENCE allows, scaled to all of them."""
    start = time.perf_counter()
    steps = run()
    if steps is None:
        return time.perf_counter() - start
    next(steps)
    start, taken = time.perf_counter(), 0
    for _ in steps:
        taken += 1
        if time.perf_counter() - start > PATIENCE:
            break
    return (time.perf_counter() - start) * num_steps / taken


def apart(size: Size, dtype: torch.dtype) -> float:
    """Return how far ours and the readable loop are apart on a thousand batches at most."""
    num_rows = min(size.num_rows, 1000 * size.batch_size, 1_000_000)
    features, targets = (part[:num_rows] for part in problem(size, dtype))
    theirs, module = new_linear(features), new_linear(features)
    pace = Pace(size.batch_size, LEARNING_RATE)
    Autograd(theirs, Indexed(features, targets), pace).run()
    ClosedForm(module, shuffled(features, targets), pace).run()
    found, expected = (
        torch.cat([part.detach().flatten() for part in linear.parameters()])
        for linear in (module, theirs)
    )
    return float((found - expected).norm() / expected.norm())


def run(size: Size, rounds: int) -> list[str]:
    missed = []
    print(size)
    for dtype, most in SAME.items():
        distance = apart(size, dtype)
        print(f"  from the readable loop, {dtype}: {distance:.1e} of the parameters")
        if not distance <= most:
            missed.append(f"{size}: {distance:.1e} from the readable loop in {dtype}")
    features, targets = problem(size)
    arrays = features.numpy(), targets.numpy()[:, 0]
    rows, module = shuffled(features, targets), new_linear(features)
    ways: dict[str, Callable[[], Iterator[None] | None]] = {
        LIMIT: lambda: gathering(rows, size),
        OURS: lambda: ours(rows, module, size),
        REGRESSOR: lambda: scikit_learn(*arrays, size),
        "NumPy loop": lambda: numpy_loop(*arrays, size),
        "tensor loop, autograd": lambda: tensor_loop(features, targets, size),
        TEXTBOOK: lambda: textbook(features, targets, size),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(rounds + 1):
        for name, way in ways.items():
            measured = seconds_of(way, size.num_steps)
            if round_number:  # the first is a warm-up
                seconds[name].append(measured)
    ratios = {}
    for name, times in seconds.items():
        ratios[name] = float(np.median(np.array(times) / np.array(seconds[OURS])))
        print(f"  {name:<24}{np.median(times):>11.5f} s{ratios[name]:>10.2f} x")
    return missed + [f"{size}: {text}" for text in judge(size, ratios)]


def judge(size: Size, ratios: dict[str, float]) -> Iterator[str]:
    if ratios[TEXTBOOK] < size.times_textbook:
        yield f"textbook loop {ratios[TEXTBOOK]:.0f} times, not {size.times_textbook}"
    if ratios[REGRESSOR] < 1:
        yield f"SGDRegressor is faster, {ratios[REGRESSOR]:.2f} times"
    limited = size.num_features <= 10 and size.num_rows > CALLS_SHOW
    if limited and ratios[LIMIT] < 1 / OF_GATHERING:
        yield f"{1 / ratios[LIMIT]:.1f} times gathering alone, not {OF_GATHERING}"


def main() -> None:
    rounds = rounds_asked(3)
    rows = [int(row) for row in sys.argv[2:]] or range(1, len(SIZES) + 1)
    missed = []
    for size in (SIZES[row - 1] for row in rows):
        missed += run(size, 10 * rounds if size.num_rows < 10_000 else rounds)
    if missed:
        sys.exit("missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
