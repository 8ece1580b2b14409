"""How fast to step: batch size, learning rate and momentum, epoch by epoch.

N rows, D features, K targets. With features standardized (mean 0, variance 1), the Hessian of half
the squared error per row and target is block diagonal: the correlation matrix of the features, and
1 for the bias. The loss that PyTorch differentiates, the mean over rows *and* targets of the
squared error, has 2/K times that Hessian, so

    learning rate = step * K / 2

where `step` is in the units of the unit-diagonal Hessian; everything below is derived in those.
docs/training.md has the derivations. Sources: Ma, Bassily, Belkin, The Power of Interpolation, ICML
2018 (step and critical batch size); Golub, Varga, Chebyshev semi-iterative methods, Numer. Math. 3
(1961) (momentum in the full-batch phase); Bottou, Stochastic Gradient Descent Tricks, 2012, section
5.2 (the decaying step).
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Curvature", "Pace", "Schedule", "half_stable_step", "mean_batch_size"]

BATCH_GROWTH = 4
"""Batches grow by this factor each epoch. Measured on five tables: where it takes more than 50
epochs, 2, 4 and 8 differ by a tenth of them, and 4 takes two thirds of the steps that 2 takes."""
STEPS_IN_FIRST_EPOCH = 1000
"""At most: more are spent on noise."""
MAX_EPOCHS = 10_000
"""Enough for a condition number (of the correlation matrix) of about two million."""
MAX_STEPS = 1_000_000
"""Of one minibatch size that the user fixed: seconds where steps are composed, minutes where a
DataLoader brings the batches."""


class Pace(NamedTuple):
    """One epoch's settings."""

    batch_size: int
    learning_rate: float
    momentum: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Curvature:
    """What bounds a step; of the unit-diagonal Hessian, the weight decay's part included."""

    smallest: float
    """Its smallest eigenvalue."""
    largest: float
    """Its largest eigenvalue."""
    row: float
    """The largest squared norm of one row, with its 1 for the bias."""


def half_stable_step(curvature: Curvature, batch_size: float) -> float:
    """Return half the largest step at which the mean square distance from the optimum shrinks.

    B / (row + (B - 1) * largest), after Ma, Bassily and Belkin (2018). A harmonic mean of batch
    sizes gives the step for batches of different sizes.
    """
    return batch_size / (curvature.row + (batch_size - 1) * curvature.largest)


def mean_batch_size(num_rows: int, batch_size: int) -> float:
    """Return the harmonic mean of an epoch's batch sizes: the last batch may be a short one."""
    whole, rest = divmod(num_rows, batch_size)
    if not whole:
        return float(rest)
    if not rest:
        return float(batch_size)
    return (whole + 1) / (whole / batch_size + 1 / rest)


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """Paces by which SGD arrives at the optimum of standardized data.

    What the user fixed is kept. The rest: batches grow until they hold all rows; the step is
    `half_stable_step` of the batch size; with all rows in one batch, step and momentum are those
    of the Chebyshev iteration. A batch size that is fixed below N gets a decaying step.
    """

    num_rows: int
    num_targets: int
    curvature: Curvature
    unit_roundoff: float
    """Of the arithmetic that trains."""
    batch_size: int | None = None
    """Fixed by the user, as are the two below; None where it is chosen here."""
    learning_rate: float | None = None
    momentum: float | None = None
    mean_batch_size: float | None = None
    """Harmonic, where the batches come from elsewhere."""

    def paces(self) -> Iterator[Pace]:
        """Yield one pace for each epoch, without end."""
        for epoch, batch_size in enumerate(self._batch_sizes()):
            if batch_size >= self.num_rows and self._free:
                break
            yield Pace(batch_size, self._learning_rate(batch_size, epoch), self.momentum or 0.0)
        yield from self._chebyshev()

    def most_epochs(self, reduction: float) -> int:
        """Return how many epochs are worth running.

        Args:
            reduction: Factor by which the distance from the optimum is to shrink.

        Returns:
            As many as forget the start down to the rounding of the arithmetic. Where a fixed batch
            size and learning rate keep their noise anyway: as many as forget it by `reduction`.
        """
        most = MAX_EPOCHS
        if self.batch_size is not None:
            steps = math.ceil(self.num_rows / self.batch_size)
            most = min(most, max(1, MAX_STEPS // steps))
        if self.decays:
            return most
        return min(most, self._epochs(reduction if self.keeps_noise else 1 / self.unit_roundoff))

    def expected_epochs(self, reduction: float) -> int | None:
        """Return how many epochs shrink the distance from the optimum by a factor.

        None where it is the noise of minibatches that takes the time, not the start.
        """
        return None if self.decays else min(self.most_epochs(reduction), self._epochs(reduction))

    def _epochs(self, reduction: float) -> int:
        growing = 0
        if self.batch_size is None:
            sizes = itertools.takewhile(lambda size: size < self.num_rows, self._batch_sizes())
            growing = sum(1 for _ in sizes)
        # The Chebyshev polynomial of degree k reduces by cosh(k * rate); exp(k * rate) is more.
        return growing + math.ceil(math.acosh(reduction) / self._rate()) + 1

    @property
    def decays(self) -> bool:
        """Whether the step shrinks from epoch to epoch."""
        return self._minibatches_only and self.learning_rate is None

    @property
    def keeps_noise(self) -> bool:
        """Whether the user fixed what would have to change for SGD to arrive."""
        return self._minibatches_only and self.learning_rate is not None

    @property
    def _minibatches_only(self) -> bool:
        return self.batch_size is not None and self.batch_size < self.num_rows

    @property
    def _free(self) -> bool:
        return self.learning_rate is None and self.momentum is None

    def _batch_sizes(self) -> Iterator[int]:
        if self.batch_size is not None:
            yield from itertools.repeat(self.batch_size)
        size = max(self._smallest_batch_size(), math.ceil(self.num_rows / STEPS_IN_FIRST_EPOCH))
        while size < self.num_rows:
            yield size
            size *= BATCH_GROWTH
        yield from itertools.repeat(self.num_rows)

    def _smallest_batch_size(self) -> int:
        # Below the critical size, a step on twice the rows is worth two (Ma, Bassily, Belkin).
        row, largest = self.curvature.row, self.curvature.largest
        size = row / largest + 1
        if self.learning_rate is not None:
            room = (1 - (self.momentum or 0.0)) / self._fixed_step - largest
            # The size at which half_stable_step is the fixed one, if there is such a size.
            size = max(size, (row - largest) / room) if room > 0 else self.num_rows
        return min(math.ceil(size), self.num_rows)

    @property
    def _fixed_step(self) -> float:
        assert self.learning_rate is not None
        return self.learning_rate * 2 / self.num_targets

    def _learning_rate(self, batch_size: int, epoch: int) -> float:
        if self.learning_rate is not None:
            return self.learning_rate
        step = self._step(batch_size)
        if self.decays:
            steps = self.num_rows / batch_size
            # Towards 2 / (smallest eigenvalue * steps so far): the start is then forgotten as
            # 1 / steps**2, faster than the noise shrinks.
            step /= 1 + step * self.curvature.smallest * steps * epoch / 2
        return step * self.num_targets / 2

    def _step(self, batch_size: int) -> float:
        """Half the largest stable step, with the momentum that the user fixed."""
        momentum = self.momentum or 0.0
        if batch_size >= self.num_rows:  # stable to 2 * (1 + momentum) / largest (Polyak, 1964)
            return (1 + momentum) / self.curvature.largest
        size = self.mean_batch_size or mean_batch_size(self.num_rows, batch_size)
        # Momentum repeats each gradient, and its noise, 1 / (1 - momentum) times.
        return half_stable_step(self.curvature, size) * (1 - momentum)

    def _rate(self) -> float:
        """Log of the factor by which an epoch shrinks the slowest direction, in the last phase."""
        batch_size = self.batch_size or self.num_rows
        if batch_size >= self.num_rows and self._free:
            # acosh((largest + smallest) / (largest - smallest)), without its cancellation
            ratio = math.sqrt(self._lower_end() / self.curvature.largest)
            return 2 * math.atanh(min(ratio, 1 - self.unit_roundoff))
        step = self._step(batch_size) if self.learning_rate is None else self._fixed_step
        steps = math.ceil(self.num_rows / batch_size)
        factor = _heavy_ball_factor(step * self._lower_end(), self.momentum or 0.0)
        # A step that hits the optimum is done after one; one that grows diverges soon enough.
        factor = min(max(factor, self.unit_roundoff), 1 - self.unit_roundoff)
        return -steps * math.log(factor)

    def _lower_end(self) -> float:
        """The smallest eigenvalue, or what rounding would make of 0."""
        return max(self.curvature.smallest, self.unit_roundoff * self.curvature.largest)

    def _chebyshev(self) -> Iterator[Pace]:
        """Yield the full-batch steps whose error polynomial is the smallest on the spectrum.

        x[k+1] = x[k] - omega[k] / centre * gradient + (omega[k] - 1) * (x[k] - x[k-1]), in the form
        of SGD with momentum, whose buffer is (x[k-1] - x[k]) / (learning rate of step k-1).
        """
        low, high = self._lower_end(), self.curvature.largest
        centre = (low + high) / 2
        squared = ((high - low) / (high + low)) ** 2
        previous, omega = 1.0, 1 / (1 - squared / 2)
        rate = self.num_targets / 2 / centre
        # The first step, omega = 1, has no past: there, a momentum only says to keep the gradient.
        yield Pace(self.num_rows, rate, (omega - 1) / omega)
        while True:
            yield Pace(self.num_rows, omega * rate, (omega - 1) * previous / omega)
            previous, omega = omega, 1 / (1 - squared * omega / 4)


def _heavy_ball_factor(relative_step: float, momentum: float) -> float:
    """Factor by which one step shrinks a direction: the larger root of the recurrence.

    r**2 - (1 + momentum - relative_step) * r + momentum = 0, relative_step = step * eigenvalue.
    """
    middle = (1 + momentum - relative_step) / 2
    squared = middle**2 - momentum
    return math.sqrt(momentum) if squared < 0 else abs(middle) + math.sqrt(squared)
