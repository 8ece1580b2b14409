"""What training tells while it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["EpochEnd", "OnEpoch"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochEnd:
    """One pass over the training rows is done."""

    epoch: int
    """Counted from 1."""
    epochs: int | None
    """How many there will be, or at most are expected where training stops by itself; None where
    that is not known."""
    loss: float
    """Mean squared error over all training rows, in the units that are trained in."""
    rows_per_second: float
    """Of this epoch, the evaluation of the loss included."""
    seconds_left: float | None
    """The epochs to come at this epoch's pace; None where `epochs` is."""


OnEpoch: TypeAlias = Callable[[EpochEnd], None]
