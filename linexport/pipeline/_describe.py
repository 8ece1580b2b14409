"""What the columns of a table are, before anything is fitted to them."""

from typing import Any

from linexport import tables
from linexport.pipeline._opening import open_table
from linexport.tables import Dialect, OnRead, TableLook

__all__ = ["describe"]


def describe(
    source: Any, *, dialect: Dialect | None = None, on_read: OnRead | None = None
) -> TableLook:
    """Say of each column of a table what it is: kind, range, missing values, levels.

    Every value is looked at, in one pass and constant memory.

    Args:
        source: A table, as `predict_table` takes it.
        dialect: How a CSV file is written, if not as most are.
        on_read: Called as the table is read.

    Raises:
        DataError: If the table cannot be read.
    """
    table = open_table(source, dialect, on_read)
    table.require_in_each_file(table.names, lambda _: "; describe those of one kind at a time")
    return tables.look(table)
