"""Minibatch SGD on a linear layer with the gradient written out.

With rows (x, 1, y) in a batch Z and the parameters theta = (W', b), the residuals are
Z (theta, -I), and the gradient of their mean square is

    2 / (B * K) * X' (Z (theta, -I)) = 2 / (B * K) * (X' Z) (theta, -I),    X = Z without y.

On the left is the step as everyone takes it. On the right X' Z knows nothing of theta: it is
computed for many batches at once, and the steps are composed. A step takes a state, of shape
(S, K), to state - H (state, -I). Steps H1 and then H2 are one step, H1 + H2 - H2[:, :S] H1: so
pairs of steps become one each, all pairs at once, then pairs of those, until one is left. That a
step is the difference from the identity keeps the digits of short ones. It is more arithmetic in
fewer calls, and pays for small batches of few features. docs/training.md derives it and says when.

N rows, D features, K targets, B rows in a batch, T batches in a stack, P = D + 1.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from linexport.sgd._stepping import Pace, threads_for

FEWEST_COMPOSED = 8
"""Steps: composing them, and its calls, cost as much as some six taken one by one."""
ARITHMETIC_OF_CALLS = 200_000
"""Multiplications in X'Z and in composing that take as long as the calls of a step: some 16 us.
Measured on 2 cores over 2 to 50 features, with and without momentum. With batches of 1 to 10,000
the ways break even between 200,000 and 500,000, in float64 between 130,000 and 250,000."""
ARITHMETIC_OF_CALLS_ELSEWHERE = 1 << 24
"""A GPU launches no faster than a CPU calls, and multiplies 100 times as fast. Not measured."""
ALONE = 1 << 20
"""Values of a batch, or of steps to compose, up to which one thread is to work alone. A second one
takes a third off 40 us at 100,000 values of a batch, and nothing off the products of small
matrices; but where a core is busy with something else, every operation waits for it."""
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


class ClosedForm:
    """Takes the steps of an epoch: one by one, or composed where that is faster."""

    def __init__(
        self, module: nn.Linear, rows: ShuffledRows, pace: Pace, *, composes: bool | None = None
    ) -> None:
        """Take rows (x, 1, y); `composes` says which way to go, whichever is faster."""
        self._rows = rows
        self._pace = pace
        self._num_targets, num_features = module.weight.shape
        self._size = num_features + 1
        self._state = rows.rows.new_zeros(self._size + self._num_targets, self._num_targets)
        self._state[self._size :].fill_diagonal_(-1)
        self._theta = self._state[: self._size]
        self._velocity = torch.zeros_like(self._theta)
        self._gradient = torch.zeros_like(self._theta)
        self._weight, self._bias = module.weight.detach(), module.bias.detach()
        self.composes = self._composing_pays() if composes is None else composes
        """Whether steps are composed."""

    def run(self) -> None:
        self._theta[:-1], self._theta[-1] = self._weight.T, self._bias
        with threads_for(self._rows.values_in_stack(self._pace.batch_size)):
            for stack in self._rows.epoch(self._pace.batch_size):
                if self.composes and len(stack) > 1:  # not the last batch, whose gradient is kept
                    self._step_at_once(stack)
                else:
                    self._step_through(stack)
        self._weight[:], self._bias[:] = self._theta[:-1].T, self._theta[-1]

    def gradients(self) -> dict[str, Tensor]:
        return {"weight": self._gradient[:-1].T.contiguous(), "bias": self._gradient[-1]}

    def last_batch(self) -> tuple[int, int]:
        number = self._rows.num_batches(self._pace.batch_size)
        return number, len(self._rows.rows) - (number - 1) * self._pace.batch_size

    def _step_through(self, stack: Tensor) -> None:
        """Take the steps one by one, and keep the last gradient."""
        factor = 2 / (stack.shape[1] * self._num_targets)
        with threads_for(stack.shape[1] * stack.shape[2], alone=ALONE):
            for batch in stack:
                gradient = batch[:, : self._size].T @ (batch @ self._state)
                gradient *= factor
                self._move(gradient)
        self._gradient = gradient

    def _move(self, gradient: Tensor) -> None:
        """Do what torch.optim.SGD does: no dampening, no Nesterov."""
        direction = gradient
        if self._pace.weight_decay:
            direction = gradient + self._pace.weight_decay * self._theta
        if self._pace.momentum:
            self._velocity *= self._pace.momentum
            self._velocity += direction
            direction = self._velocity
        self._theta -= self._pace.learning_rate * direction

    def _step_at_once(self, stack: Tensor) -> None:
        pulls = self._pulls(stack)
        if not self._pace.momentum:
            self._theta -= self._taken(pulls, self._theta)
            return
        state = torch.cat([self._theta, self._velocity * self._pace.learning_rate])
        state -= self._taken(_with_momentum(pulls, self._pace.momentum), state)
        self._theta[:] = state[: self._size]
        self._velocity[:] = state[self._size :] / self._pace.learning_rate

    def _pulls(self, stack: Tensor) -> Tensor:
        """Return the learning rate times the gradients' maps, shape (T, P, P + K)."""
        num_steps, batch_size, width = stack.shape
        factor = 2 * self._pace.learning_rate / (batch_size * self._num_targets)
        pulls = stack.new_empty(num_steps, self._size, width)
        # beta=0 overwrites.
        pulls.baddbmm_(stack[:, :, : self._size].mT, stack, beta=0, alpha=factor)
        if self._pace.weight_decay:
            added = self._pace.learning_rate * self._pace.weight_decay
            pulls.diagonal(dim1=1, dim2=2).add_(added)
        return pulls

    def _taken(self, steps: Tensor, state: Tensor) -> Tensor:
        """Return what steps (T, S, S + K), one after the other, take off a state (S, K)."""
        with threads_for(steps.numel(), alone=ALONE):
            step, size = composed(steps), len(state)
            return step[:, :size] @ state - step[:, size:]

    def _composing_pays(self) -> bool:
        size = 2 * self._size if self._pace.momentum else self._size  # with the velocity
        of_gram = self._pace.batch_size * self._size * len(self._state)
        of_composing = size**2 * (size + self._num_targets)
        on_cpu = self._state.device.type == "cpu"
        limit = ARITHMETIC_OF_CALLS if on_cpu else ARITHMETIC_OF_CALLS_ELSEWHERE
        enough = self._rows.num_batches(self._pace.batch_size) > FEWEST_COMPOSED
        return enough and of_gram + of_composing <= limit


def composed(steps: Tensor) -> Tensor:
    """Return the one step (S, S + K) that steps (T, S, S + K) are, one after the other."""
    size = steps.shape[1]
    while len(steps) > 1:
        first, second = steps[:-1:2], steps[1::2]
        pairs = (first + second).baddbmm_(second[:, :, :size], first, alpha=-1)
        steps = torch.cat([pairs, steps[-1:]]) if len(steps) % 2 else pairs
    return steps[0]


def _with_momentum(pulls: Tensor, momentum: float) -> Tensor:
    """Return steps of the parameters and, below them, the learning rate times the velocity.

    velocity' = momentum * velocity + pull and theta' = theta - velocity'.
    """
    num_steps, size, width = pulls.shape
    steps = pulls.new_zeros(num_steps, 2 * size, size + width)
    of_theta, of_velocity = steps[:, :size], steps[:, size:]
    of_theta[:, :, :size] = pulls[:, :, :size]
    of_theta[:, :, 2 * size :] = pulls[:, :, size:]
    of_velocity[:] = -of_theta
    of_theta[:, :, size : 2 * size].diagonal(dim1=1, dim2=2).fill_(momentum)
    of_velocity[:, :, size : 2 * size].diagonal(dim1=1, dim2=2).fill_(1 - momentum)
    return steps
