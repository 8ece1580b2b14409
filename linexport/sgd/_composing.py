"""Steps of SGD as maps, which are composed before it is known what they are applied to.

A step takes a state, of shape (S, K), to state - H (state, -I). Steps H1 and then H2 are one step,
H1 + H2 - H2[:, :S] H1: so pairs of steps become one each, all pairs at once, then pairs of those,
until one is left. That a step is the difference from the identity keeps the digits of short ones.
docs/training.md derives both formulas.

D features, K targets, B rows in a batch, T steps, P = D + 1 parameters for each target.
"""

from linexport.sgd._arrays import Array, compose, multiply, zeros
from linexport.sgd._schedule import Pace

__all__ = ["Composition", "write_steps"]


class Composition:
    """Collects up to a power of two of steps, and takes them as one."""

    def __init__(self, like: Array, *, capacity: int, size: int, num_targets: int) -> None:
        """Make room for steps on states of shape (S, K).

        Args:
            like: Of the kind and dtype of the steps.
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
        steps = self._steps = zeros(capacity, size, width, like=like)
        self._pairs = []
        while capacity > 1:
            capacity //= 2
            first, second = steps[::2], steps[1::2]
            steps = zeros(capacity, size, width, like=like)
            self._pairs.append((first, second, second[:, :, :size], steps))
        self._matrix, self._shift = steps[0, :, :size], steps[0, :, size:]

    def has_room(self, num_steps: int) -> bool:
        """Tell whether so many more steps fit."""
        return self.count + num_steps <= self._capacity

    def room(self, num_steps: int) -> Array:
        """Return where the next so many steps are to be written, shape (T, S, S + K)."""
        self.count += num_steps
        return self._steps[self.count - num_steps : self.count]

    def take(self, state: Array) -> None:
        """Take a state (S, K), in place, through the steps, and forget them."""
        if self.count < self._written:
            self._steps[self.count : self._written] = 0  # steps that change nothing
        self._written, self.count = self.count, 0
        for first, second, matrices, both in self._pairs:
            compose(first, second, matrices, out=both)
        state -= self._matrix @ state - self._shift


def write_steps(steps: Array, stack: Array, pace: Pace, *, weight_decay: float) -> None:
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
    pulls = zeros(len(steps), size, width, like=steps) if pace.momentum else steps
    factor = 2 * pace.learning_rate / (batch_size * num_targets)
    multiply(stack[:, :, :size].mT, stack, factor, out=pulls)
    if weight_decay:
        diagonal = list(range(size))
        pulls[:, diagonal, diagonal] += pace.learning_rate * weight_decay
    if pace.momentum:
        _write_with_momentum(steps, pulls, pace.momentum)


def _write_with_momentum(steps: Array, pulls: Array, momentum: float) -> None:
    """Write velocity' = momentum * velocity + pull and theta' = theta - velocity'."""
    size = pulls.shape[1]
    steps[:] = 0
    of_theta, of_velocity = steps[:, :size], steps[:, size:]
    of_theta[:, :, :size] = pulls[:, :, :size]
    of_theta[:, :, 2 * size :] = pulls[:, :, size:]
    of_velocity[:] = -of_theta
    row, on_velocity = list(range(size)), list(range(size, 2 * size))
    of_theta[:, row, on_velocity] = momentum
    of_velocity[:, row, on_velocity] = 1 - momentum
