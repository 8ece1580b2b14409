"""What reading a table tells while it goes on."""

from collections.abc import Callable
from typing import TypeAlias

import msgspec

__all__ = ["OnRead", "ReadProgress"]


class ReadProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far one pass over a table, or over a rank's share of it, has come."""

    rows: int
    """Rows read so far; a smaller number than before means that a new pass has begun."""
    bytes_read: float
    """Of the files; 0 where the table is in memory."""
    num_bytes: float | None
    """Of the files in all; None where that is not known, as of standard input."""


OnRead: TypeAlias = Callable[[ReadProgress], None]
