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

import torch
from torch import Tensor, nn

from linexport.sgd._shuffling import ShuffledRows
from linexport.sgd._stepping import Pace, threads_for

__all__ = ["ClosedForm", "Composition"]

FEWEST_COMPOSED = 8
"""Steps: room for composing them, and its calls, cost as much as some six taken one by one."""
ARITHMETIC_OF_CALLS = 200_000
"""Multiplications in X'Z and in composing that take as long as the calls of a step: some 16 us.
Measured on 2 cores over 2 to 50 features, with and without momentum. With batches of 1 to 10,000
the ways break even between 200,000 and 500,000, in float64 between 130,000 and 250,000."""
ARITHMETIC_OF_CALLS_ELSEWHERE = 1 << 24
"""A GPU launches no faster than a CPU calls, and multiplies 100 times as fast. Not measured."""
COMPOSED_BYTES = 1 << 19
"""Of steps that are composed at once, at most: what one core's cache holds."""
COMPOSED_BYTES_ELSEWHERE = 1 << 26
"""Likewise what a GPU's cache holds, give or take. Not measured."""
ALONE = 1 << 20
"""Values of a batch, or of steps to compose, up to which one thread is to work alone. A second one
takes a third off 40 us at 100,000 values of a batch, and nothing off the products of small
matrices; but where a core is busy with something else, every operation waits for it."""


class ClosedForm:
    """Takes the steps of an epoch: one by one, or composed where that is faster."""

    def __init__(
        self, module: nn.Linear, rows: ShuffledRows, pace: Pace, *, composed: bool | None = None
    ) -> None:
        """Take rows (x, 1, y); `composed` says which way to go, whichever is faster."""
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
        pays = self._composing_pays() if composed is None else composed
        self.composition = self._new_composition() if pays else None
        """Where steps are composed; None where it is faster to take them one by one."""

    def run(self) -> None:
        """Step through one epoch."""
        self._theta[:-1], self._theta[-1] = self._weight.T, self._bias
        with threads_for(self._rows.values_in_stack(self._pace.batch_size)):
            for stack in self._rows.epoch(self._pace.batch_size):
                if self.composition is not None and len(stack) > 1:
                    self._collect(self.composition, stack)
                else:  # the last batch among others
                    self._take_collected()
                    self._step_through(stack)
        self._weight[:], self._bias[:] = self._theta[:-1].T, self._theta[-1]

    def gradients(self) -> dict[str, Tensor]:
        """Return the last minibatch's, by parameter name."""
        return {"weight": self._gradient[:-1].T.contiguous(), "bias": self._gradient[-1]}

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

    def _collect(self, composition: "Composition", stack: Tensor) -> None:
        if not composition.has_room(len(stack)):
            self._take_collected()
        _write_steps(composition.room(len(stack)), stack, self._pace)

    def _take_collected(self) -> None:
        composition = self.composition
        if composition is None or not composition.count:
            return
        momentum, learning_rate = self._pace.momentum, self._pace.learning_rate
        state = self._theta
        if momentum:
            state = torch.cat([self._theta, self._velocity * learning_rate])
        with threads_for(composition.num_values, alone=ALONE):
            composition.take(state)
        if momentum:
            self._theta[:] = state[: self._size]
            self._velocity[:] = state[self._size :] / learning_rate

    def _composing_pays(self) -> bool:
        size, width = self._composed_shape()
        of_gram = self._pace.batch_size * self._size * len(self._state)
        on_cpu = self._state.device.type == "cpu"
        limit = ARITHMETIC_OF_CALLS if on_cpu else ARITHMETIC_OF_CALLS_ELSEWHERE
        enough = self._rows.num_batches(self._pace.batch_size) > FEWEST_COMPOSED
        return enough and of_gram + size**2 * width <= limit

    def _new_composition(self) -> "Composition":
        """Return one with room for a stack, and for more where steps are small."""
        size, width = self._composed_shape()
        batch_size, on_cpu = self._pace.batch_size, self._state.device.type == "cpu"
        num_bytes = COMPOSED_BYTES if on_cpu else COMPOSED_BYTES_ELSEWHERE
        fitting = num_bytes // (size * width * self._state.itemsize)
        most = min(
            self._rows.num_batches(batch_size) - 1,
            max(fitting, self._rows.batches_in_stack(batch_size)),
        )
        return Composition(
            self._state,
            capacity=1 << max(0, most - 1).bit_length(),
            size=size,
            num_targets=self._num_targets,
        )

    def _composed_shape(self) -> tuple[int, int]:
        """Return S and S + K: with momentum, the state holds the velocity too."""
        size = 2 * self._size if self._pace.momentum else self._size
        return size, size + self._num_targets


class Composition:
    """Collects up to a power of two of steps, and takes them as one."""

    def __init__(self, like: Tensor, *, capacity: int, size: int, num_targets: int) -> None:
        """Make room for steps on states of shape (S, K).

        Args:
            like: Of the dtype and device of the steps.
            capacity: A power of two.
            size: S.
            num_targets: K.
        """
        self.count = 0
        """How many steps there are."""
        self._capacity = capacity
        self._written = 0
        width = size + num_targets
        self.num_values = capacity * size * width
        """How many numbers the steps have for which there is room."""
        steps = self._steps = like.new_zeros(capacity, size, width)
        self._pairs = []
        while capacity > 1:
            capacity //= 2
            first, second = steps[::2], steps[1::2]
            steps = like.new_zeros(capacity, size, width)
            self._pairs.append((first, second, second[:, :, :size], steps))
        self._matrix, self._shift = steps[0, :, :size], steps[0, :, size:]

    def has_room(self, num_steps: int) -> bool:
        """Tell whether so many more steps fit."""
        return self.count + num_steps <= self._capacity

    def room(self, num_steps: int) -> Tensor:
        """Return where the next so many steps are to be written, shape (T, S, S + K)."""
        self.count += num_steps
        return self._steps[self.count - num_steps : self.count]

    def take(self, state: Tensor) -> None:
        """Take a state (S, K), in place, through the steps, and forget them."""
        if self.count < self._written:
            self._steps[self.count : self._written] = 0  # steps that change nothing
        self._written, self.count = self.count, 0
        for first, second, matrices, both in self._pairs:
            torch.add(first, second, out=both).baddbmm_(matrices, first, alpha=-1)
        state -= self._matrix @ state - self._shift


def _write_steps(steps: Tensor, stack: Tensor, pace: Pace) -> None:
    """Write the steps on a stack of batches.

    The state is the parameters theta = (W', b) or, with momentum, theta and below it the learning
    rate times the velocity.

    Args:
        steps: Where to, shape (T, P, P + K) or, with momentum, (T, 2P, 2P + K).
        stack: Rows (x, 1, y), shape (T, B, P + K).
        pace: Of the steps.
    """
    batch_size, width = stack.shape[1:]
    num_targets = steps.shape[2] - steps.shape[1]
    size = width - num_targets
    pulls = steps.new_empty(len(steps), size, width) if pace.momentum else steps
    factor = 2 * pace.learning_rate / (batch_size * num_targets)
    # beta=0 overwrites.
    pulls.baddbmm_(stack[:, :, :size].mT, stack, beta=0, alpha=factor)
    if pace.weight_decay:
        pulls.diagonal(dim1=1, dim2=2).add_(pace.learning_rate * pace.weight_decay)
    if pace.momentum:
        _write_with_momentum(steps, pulls, pace.momentum)


def _write_with_momentum(steps: Tensor, pulls: Tensor, momentum: float) -> None:
    """Write velocity' = momentum * velocity + pull and theta' = theta - velocity'."""
    size = pulls.shape[1]
    steps[:] = 0
    of_theta, of_velocity = steps[:, :size], steps[:, size:]
    of_theta[:, :, :size] = pulls[:, :, :size]
    of_theta[:, :, 2 * size :] = pulls[:, :, size:]
    of_velocity[:] = -of_theta
    of_theta[:, :, size : 2 * size].diagonal(dim1=1, dim2=2).fill_(momentum)
    of_velocity[:, :, size : 2 * size].diagonal(dim1=1, dim2=2).fill_(1 - momentum)
