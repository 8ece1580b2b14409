"""Minibatch SGD on a linear layer with the gradient written out.

With rows (x, 1, y) in a batch Z and the parameters theta = (W', b), the residuals are
Z (theta, -I), and the gradient of their mean square is

    2 / (B * K) * X' (Z (theta, -I)) = 2 / (B * K) * (X' Z) (theta, -I),    X = Z without y.

On the left is the step as everyone takes it. On the right X' Z knows nothing of theta: it is
computed for many batches at once, and the steps are composed. That is more arithmetic in fewer
calls, and pays for small batches of few features. docs/training.md says when, and by how much.

N rows, D features, K targets, B rows in a batch, T batches in a stack, P = D + 1.
"""

import numpy as np
import torch
from torch import Tensor, nn

from linexport.sgd._arrays import Array, kind_of, shared, zeros
from linexport.sgd._composing import Composition, write_steps
from linexport.sgd._schedule import Pace
from linexport.sgd._shuffling import ShuffledRows
from linexport.sgd._threads import threads_for

__all__ = ["ClosedForm"]

FEWEST_COMPOSED = 8
"""Steps: room for composing them, and its calls, cost as much as some six taken one by one."""
ARITHMETIC_OF_CALLS = {"numpy": 50_000, "cpu": 200_000}
"""Multiplications in X'Z and in composing that take as long as the calls of a step: some 7 us with
NumPy, 16 with PyTorch. Measured on 2 cores over 2 to 50 features, with and without momentum. With
NumPy and batches of 1 to 100 the ways break even between 40,000 and 80,000 in float32; with PyTorch
and batches of 1 to 10,000 between 200,000 and 500,000, in float64 between 130,000 and 250,000."""
ARITHMETIC_OF_CALLS_ELSEWHERE = 1 << 24
"""A GPU launches no faster than a CPU calls, and multiplies 100 times as fast. Not measured."""
COMPOSED_BYTES = {"numpy": 1 << 19, "cpu": 1 << 19}
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
        self,
        module: nn.Linear,
        rows: ShuffledRows,
        *,
        weight_decay: float,
        composed: bool | None = None,
    ) -> None:
        """Take rows (x, 1, y); `composed` says which way to go, whichever is faster."""
        self._rows = rows
        self._weight_decay = weight_decay
        self._composed = composed
        self._num_targets, num_features = module.weight.shape
        self._size = num_features + 1
        self._state = zeros(self._size + self._num_targets, self._num_targets, like=rows.rows)
        for target in range(self._num_targets):
            self._state[self._size + target, target] = -1
        self._theta = self._state[: self._size]
        self._velocity = zeros(self._size, self._num_targets, like=rows.rows)
        self._gradient = zeros(self._size, self._num_targets, like=rows.rows)
        self._weight = shared(module.weight.detach(), like=rows.rows)
        self._bias = shared(module.bias.detach(), like=rows.rows)
        self._pace: Pace | None = None
        self._composition: Composition | None = None

    def run(self, pace: Pace) -> None:
        """Step through one epoch."""
        self._theta[:-1], self._theta[-1] = self._weight.T, self._bias
        if pace != self._pace:
            self._pace, self._composition = pace, self._composition_for(pace)
        threads = threads_for(self._rows.values_in_stack(pace.batch_size))
        with threads, np.errstate(over="ignore", invalid="ignore"):  # the loss will tell
            self._epoch(pace)
        self._weight[:], self._bias[:] = self._theta[:-1].T, self._theta[-1]

    def gradients(self) -> dict[str, Tensor]:
        """Return the last minibatch's, by parameter name."""
        gradient = torch.as_tensor(self._gradient)
        return {"weight": gradient[:-1].T.contiguous(), "bias": gradient[-1]}

    def _epoch(self, pace: Pace) -> None:
        for stack in self._rows.epoch(pace.batch_size):
            if self._composition is not None and stack.shape[0] > 1:
                self._collect(self._composition, stack, pace)
            else:  # the last batch among others
                self._take_collected(pace)
                self._step_through(stack, pace)

    def _step_through(self, stack: Array, pace: Pace) -> None:
        """Take the steps one by one, and keep the last gradient."""
        factor = 2 / (stack.shape[1] * self._num_targets)
        with threads_for(stack.shape[1] * stack.shape[2], alone=ALONE):
            for batch in stack:
                gradient = batch[:, : self._size].T @ (batch @ self._state)
                gradient *= factor
                self._move(gradient, pace)
        self._gradient = gradient

    def _move(self, gradient: Array, pace: Pace) -> None:
        """Do what torch.optim.SGD does: no dampening, no Nesterov."""
        direction = gradient
        if self._weight_decay:
            direction = gradient + self._weight_decay * self._theta
        if pace.momentum:
            self._velocity *= pace.momentum
            self._velocity += direction
            direction = self._velocity
        self._theta -= pace.learning_rate * direction

    def _collect(self, composition: Composition, stack: Array, pace: Pace) -> None:
        num_steps = stack.shape[0]
        if not composition.has_room(num_steps):
            self._take_collected(pace)
        steps = composition.room(num_steps)
        write_steps(steps, stack, pace, weight_decay=self._weight_decay)

    def _take_collected(self, pace: Pace) -> None:
        composition = self._composition
        if composition is None or not composition.count:
            return
        state = self._theta
        if pace.momentum:
            state = zeros(2 * self._size, self._num_targets, like=self._state)
            state[: self._size] = self._theta
            state[self._size :] = self._velocity * pace.learning_rate
        with threads_for(composition.num_values, alone=ALONE):
            composition.take(state)
        if pace.momentum:
            self._theta[:] = state[: self._size]
            self._velocity[:] = state[self._size :] / pace.learning_rate

    def _composition_for(self, pace: Pace) -> Composition | None:
        """Return one with room for a stack, and for more where steps are small.

        None where it is faster to take steps one by one.
        """
        num_steps = self._rows.num_batches(pace.batch_size) - 1
        size = 2 * self._size if pace.momentum else self._size
        width = size + self._num_targets
        arithmetic = pace.batch_size * self._size * len(self._state) + size**2 * width
        kind = kind_of(self._state)
        limit = ARITHMETIC_OF_CALLS.get(kind, ARITHMETIC_OF_CALLS_ELSEWHERE)
        pays = num_steps >= FEWEST_COMPOSED and arithmetic <= limit
        if not (pays if self._composed is None else self._composed):
            return None
        fitting = COMPOSED_BYTES.get(kind, COMPOSED_BYTES_ELSEWHERE) // (
            size * width * self._state.itemsize
        )
        most = min(num_steps, max(fitting, self._rows.batches_in_stack(pace.batch_size)))
        return Composition(
            self._state,
            capacity=1 << max(0, most - 1).bit_length(),
            size=size,
            num_targets=self._num_targets,
        )
