"""Steps of SGD as maps, which are composed before it is known what they are applied to.

A step takes a state, of shape (S, K), to state - H (state, -I). Steps H1 and then H2 are one step,
H1 + H2 - H2[:, :S] H1: so pairs of steps become one each, all pairs at once, then pairs of those,
until one is left. That a step is the difference from the identity keeps the digits of short ones.
docs/training.md derives both formulas.

D features, K targets, B rows in a batch, T steps, P = D + 1 parameters for each target.
"""

import torch
from torch import Tensor

from linexport.training.schedule import Pace

__all__ = ["Composition", "write_steps"]


class Composition:
    """Collects up to a power of two of steps, and takes them as one."""

    def __init__(self, like: Tensor, *, capacity: int, size: int, num_targets: int) -> None:
        """Make room for steps on states of shape (S, K).

        Args:
            like: Of the dtype and on the device of the steps.
            capacity: A power of two.
            size: S.
            num_targets: K.
        """
        self.count = 0
        """How many steps there are."""
        self._capacity = capacity
        self._written = 0
        width = size + num_targets
        steps = self._steps = like.new_zeros(capacity, size, width)
        self._pairs = []
        while capacity > 1:
            capacity //= 2
            first, second = steps.view(capacity, 2, size, width).unbind(1)
            steps = like.new_empty(capacity, size, width)
            self._pairs.append((first, second, second.narrow(2, 0, size), steps))
        self._matrix, self._shift = steps[0, :, :size], steps[0, :, size:]

    @property
    def num_values(self) -> int:
        """How many numbers the steps have for which there is room."""
        return self._steps.numel()

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
        state -= torch.addmm(self._shift, self._matrix, state, beta=-1)


def write_steps(steps: Tensor, stack: Tensor, pace: Pace, *, weight_decay: float) -> None:
    """Write the steps on a stack of batches.

    The state is the parameters theta = (W', b) or, with momentum, theta and below it the learning
    rate times the velocity.

    Args:
        steps: Where to, shape (T, P, P + K) or, with momentum, (T, 2P, 2P + K).
        stack: Rows (x, 1, y), shape (T, B, P + K).
        pace: Learning rate and momentum.
        weight_decay: Added times theta to the gradient.
    """
    batch_size, width = stack.shape[1:]
    num_targets = steps.shape[2] - steps.shape[1]
    size = width - num_targets
    pulls = steps.new_empty(steps.shape[0], size, width) if pace.momentum else steps
    factor = 2 * pace.learning_rate / (batch_size * num_targets)
    pulls.baddbmm_(stack.narrow(2, 0, size).mT, stack, beta=0, alpha=factor)  # 0: overwrites
    if weight_decay:
        pulls.diagonal(dim1=1, dim2=2).add_(pace.learning_rate * weight_decay)
    if pace.momentum:
        _write_with_momentum(steps, pulls, pace.momentum)


def _write_with_momentum(steps: Tensor, pulls: Tensor, momentum: float) -> None:
    """Write velocity' = momentum * velocity + pull and theta' = theta - velocity'."""
    size = pulls.shape[1]
    steps.zero_()
    of_theta, of_velocity = steps[:, :size], steps[:, size:]
    of_theta[:, :, :size] = pulls[:, :, :size]
    of_theta[:, :, 2 * size :] = pulls[:, :, size:]
    torch.neg(of_theta, out=of_velocity)
    on_velocity = slice(size, 2 * size)
    of_theta[:, :, on_velocity].diagonal(dim1=1, dim2=2).fill_(momentum)
    of_velocity[:, :, on_velocity].diagonal(dim1=1, dim2=2).fill_(1 - momentum)
