"""Minibatch SGD on a linear layer with the gradient written out.

With rows (x, 1, y) in a batch Z and the parameters theta = (W', b), the residuals are
Z (theta, -I), and the gradient of their mean square is

    2 / (B * K) * X' (Z (theta, -I)) = 2 / (B * K) * (X' Z) (theta, -I),    X = Z without y.

On the left is the step as everyone takes it. On the right X' Z knows nothing of theta: it is
computed for many batches at once, and the steps are composed. That is more arithmetic in fewer
calls, and pays for small batches of few features. docs/training.md says when, and by how much.

N rows, D features, K targets, B rows in a batch, T batches in a stack, P = D + 1.
"""

import torch
from torch import Tensor, nn

from linexport.training.composing import Composition, write_steps
from linexport.training.schedule import Pace
from linexport.training.shuffling import ShuffledRows
from linexport.training.threads import threads_for

__all__ = ["ClosedForm"]

FEWEST_COMPOSED = 8
"""Steps: room for composing them, and its calls, cost as much as some six taken one by one."""
ARITHMETIC_OF_CALLS = {"cpu": 200_000}
"""Multiplications in X'Z and in composing that take as long as the calls of a step, some 16 us.
Measured on 2 cores over 2 to 50 features and batches of 1 to 10,000, with and without momentum: the
ways break even between 200,000 and 500,000 in float32, between 130,000 and 250,000 in float64."""
ARITHMETIC_OF_CALLS_ELSEWHERE = 1 << 24
"""A GPU launches no faster than a CPU calls, and multiplies 100 times as fast. Not measured."""
COMPOSED_BYTES = {"cpu": 1 << 19}
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
        self._module = module
        self._rows = rows
        self._weight_decay = weight_decay
        self._composed = composed
        self._num_targets, num_features = module.weight.shape
        self._size = num_features + 1
        weight, bias = module.weight.detach(), module.bias.detach()
        self._state = weight.new_zeros(self._size + self._num_targets, self._num_targets)
        self._state[self._size :].fill_diagonal_(-1)
        self._theta = self._state[: self._size]
        # Each of the module's parameters, and its place in theta.
        self._places = ((weight, self._theta[:-1].T), (bias, self._theta[-1]))
        self._velocity = torch.zeros_like(self._theta)
        self._pace: Pace | None = None
        self._composition: Composition | None = None

    def run(self, pace: Pace) -> None:
        """Step through one epoch; afterwards the module holds the last gradients."""
        for parameter, place in self._places:
            place.copy_(parameter)
        if pace != self._pace:
            self._pace, self._composition = pace, self._composition_for(pace)
        with threads_for(self._rows.values_in_stack(pace.batch_size)):
            gradient = self._epoch(pace)
        for parameter, place in self._places:
            parameter.copy_(place)
        self._module.weight.grad = gradient[:-1].T.contiguous()
        self._module.bias.grad = gradient[-1]

    def _epoch(self, pace: Pace) -> Tensor:
        """Move the parameters; return the last batch's gradient, shape (P, K)."""
        for stack in self._rows.epoch(pace.batch_size):
            if self._composition is not None and stack.shape[0] > 1:
                self._collect(self._composition, stack, pace)
            else:  # the last batch among others
                self._take_collected(pace)
                gradient = self._step_through(stack, pace)
        return gradient

    def _step_through(self, stack: Tensor, pace: Pace) -> Tensor:
        """Take the steps one by one; return the last gradient."""
        factor = 2 / (stack.shape[1] * self._num_targets)
        with threads_for(stack[0].numel(), alone=ALONE):
            for batch in stack.unbind():
                residuals = batch @ self._state
                gradient = (batch[:, : self._size].T @ residuals).mul_(factor)
                self._move(gradient, pace)
        return gradient

    def _move(self, gradient: Tensor, pace: Pace) -> None:
        """Do what torch.optim.SGD does: no dampening, no Nesterov."""
        direction = gradient
        if self._weight_decay:
            direction = gradient.add(self._theta, alpha=self._weight_decay)
        if pace.momentum:
            direction = self._velocity.mul_(pace.momentum).add_(direction)
        self._theta.sub_(direction, alpha=pace.learning_rate)

    def _collect(self, composition: Composition, stack: Tensor, pace: Pace) -> None:
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
            state = torch.cat([self._theta, self._velocity * pace.learning_rate])
        with threads_for(composition.num_values, alone=ALONE):
            composition.take(state)
        if pace.momentum:
            self._theta.copy_(state[: self._size])
            torch.div(state[self._size :], pace.learning_rate, out=self._velocity)

    def _composition_for(self, pace: Pace) -> Composition | None:
        """Return one with room for a stack, and for more where steps are small.

        None where it is faster to take steps one by one.
        """
        num_steps = self._rows.num_batches(pace.batch_size) - 1
        size = 2 * self._size if pace.momentum else self._size
        width = size + self._num_targets
        arithmetic = pace.batch_size * self._size * len(self._state) + size**2 * width
        device = self._state.device.type
        limit = ARITHMETIC_OF_CALLS.get(device, ARITHMETIC_OF_CALLS_ELSEWHERE)
        pays = num_steps >= FEWEST_COMPOSED and arithmetic <= limit
        if not (pays if self._composed is None else self._composed):
            return None
        fitting = COMPOSED_BYTES.get(device, COMPOSED_BYTES_ELSEWHERE) // (
            size * width * self._state.itemsize
        )
        most = min(num_steps, max(fitting, self._rows.batches_in_stack(pace.batch_size)))
        return Composition(
            self._state,
            capacity=1 << max(0, most - 1).bit_length(),
            size=size,
            num_targets=self._num_targets,
        )
