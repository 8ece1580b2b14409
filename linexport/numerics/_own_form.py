"""Worst-case rounding error of what a foreign graph computes, in the order in which it does.

`_own_steps` has what one operation adds. The steps of a graph form a net: what one of them made may
be used by several others, and is worked out once.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from linexport._arrays import Float64Array
from linexport.numerics._bounds import Precision
from linexport.numerics._own_steps import (
    Assumed,
    Beside,
    Columns,
    Numbers,
    Running,
    Step,
    Summed,
    Through,
)

__all__ = ["OwnForm", "Steps"]

CHUNK = 2**20
"""Values of one step held at once: eight megabytes for each of what is known of them."""
_COMBINING = Assumed | Beside | Summed | Through


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """A step behind those that it takes its values from, of which an input's have none."""

    step: Step
    of: tuple["Steps", ...] = ()

    def then(self, step: Step) -> "Steps":
        """Return the steps with one more behind them."""
        return Steps(step, (self,))

    def in_order(self) -> list["Steps"]:
        """Return each step once, behind those that it takes its values from."""
        order: list[Steps] = []
        seen: set[int] = set()
        pending = [(self, False)]
        while pending:
            each, ready = pending.pop()
            if ready:
                order.append(each)
            elif id(each) not in seen:
                seen.add(id(each))
                pending.append((each, True))
                pending += [(before, False) for before in each.of]
        return order


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OwnForm:
    """What a graph computes, step by step."""

    steps: Steps
    precision: Precision
    """That it begins in."""
    numbers: Numbers = "exact"

    def bound(self, features: Float64Array, *, flushes: bool = False) -> Float64Array:
        """Bound |computed - exact|, (N, K), target units; infinity where there is no bound.

        Args:
            features: Finite inputs as the graph takes them, shape (N, D).
            flushes: Whether the runtime may flush subnormal numbers to zero.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            first = self._run(self._start(features[:1], flushes))
            chunk = max(1, CHUNK // max(running.value.shape[1] for running in first))
            starts = range(0, max(len(features), 1), chunk)
            errors = [self._error(features[start : start + chunk], flushes) for start in starts]
            # Its own rounding: docs/bounds.md has the count.
            error = np.nextafter(np.concatenate(errors) * (1 + 2.0**-24), np.inf)
        return np.where(np.isnan(error), np.inf, error)

    def _error(self, features: Float64Array, flushes: bool) -> Float64Array:
        *_, last = self._run(self._start(features, flushes))
        return last.error

    def _start(self, features: Float64Array, flushes: bool) -> Running:
        size, tiny = np.abs(features), self.precision.smallest_normal
        return Running(
            value=features,
            magnitude=size,
            relative=np.zeros((len(features), 1)),
            absolute=np.where(size < tiny, size, 0.0) if flushes else np.zeros_like(size),
            precision=self.precision,
            numbers=self.numbers,
            flushes=flushes,
        )

    def _run(self, start: Running) -> Iterator[Running]:
        """Yield what is known after each step, and keep what later ones need."""
        order = self.steps.in_order()
        uses = Counter(id(before) for each in order for before in each.of)
        known: dict[int, Running] = {}
        for each in order:
            running = each.step(*([known[id(before)] for before in each.of] or [start]))
            yield running
            known[id(each)] = running
            for before in each.of:
                uses[id(before)] -= 1
                if not uses[id(before)]:
                    del known[id(before)]

    @property
    def mixes_once(self) -> bool:
        """Whether values are known to be combined once: no infinity meets another unseen."""
        steps = [each.step for each in self.steps.in_order()]
        places = [step.places.tolist() for step in steps if isinstance(step, Columns)]
        if any(len(set(taken)) < len(taken) for taken in places):
            return False  # a value beside itself may meet itself
        combining = [step for step in steps if isinstance(step, _COMBINING)]
        return not any(isinstance(step, Assumed) for step in combining) and len(combining) <= 1
