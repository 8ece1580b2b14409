"""What scoring a table came to."""

from pathlib import Path

import msgspec

__all__ = ["Part", "Scored"]


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """What was read and written."""

    rows_read: int
    """Rows of the table."""
    rows_written: int
    """As many, or nothing would have been written."""
    rows_without_prediction: int
    """Those among them that lack a value and are predicted as NaN, as asked."""
    rows_outside_range: int
    """Those with a value outside the training range, if the predictor looks."""
    parts: "tuple[Part, ...]" = ()
    """Of a directory, in the order of the table's files; the counts are of all together."""


class Part(Scored, frozen=True, kw_only=True):
    """One file of a directory."""

    path: Path
    done_before: bool
    """Whether an earlier run wrote it, whose counts these are."""
