"""What `describe` says of a table, as text for a terminal."""

from collections.abc import Iterator

from linexport._asked import asked
from linexport._digits import written_range
from linexport.columns import listed
from linexport.errors import shortened
from linexport.reporting._table import Block, Table
from linexport.tables import MOST_LEVELS, ColumnLook, TableLook

__all__ = ["look_blocks"]

_SHOWN = 4
_LONGEST = 20


def look_blocks(look: TableLook) -> list[Block]:
    """One line for each column: what it is and holds, what is missing; and how to read it."""
    rows = [
        [column.name, column.kind, str(column.missing), _holding(column)] for column in look.columns
    ]
    return [
        f"{look.source}: {look.rows} rows, {len(look.columns)} columns",
        Table(["column", "kind", "missing", "values"], rows),
        *_written(look),
    ]


def _written(look: TableLook) -> Iterator[str]:
    """How some columns become numbers, if there is a way for all of them; two that have none."""
    if look.readings:
        names = listed([column.name for column in look.columns if column.readings])
        yield f"Numbers, if read with {' or '.join(look.readings)}: {names}"
    if look.date_orders:
        names = listed([column.name for column in look.columns if column.date_orders])
        orders = " or ".join(asked(date_order=order) for order in look.date_orders)
        yield f"Dates, if read with {orders}: {names}"
    if look.conflict:
        yield f"Numbers are not written in one way: {' and '.join(look.conflict)}"


def _holding(column: ColumnLook) -> str:
    others = f"{column.others} other: {_quoted(column.examples)}" if column.others else ""
    return "; ".join(filter(None, [_values(column), others]))


def _values(column: ColumnLook) -> str:
    if column.kind == "empty":
        return "none"
    if column.is_constant and not column.others:
        return f"always {_cut(next(iter(column.levels or {})))}"
    if column.minimum is not None and column.maximum is not None:
        return written_range(column.minimum, column.maximum)
    if column.kind in ("text", "boolean"):
        return _levels(column)
    return "" if column.others else f"such as {_quoted(column.examples)}"


def _levels(column: ColumnLook) -> str:
    if column.levels is None:
        return f"more than {MOST_LEVELS} levels, such as {_quoted(column.examples)}"
    shown = ", ".join(f"{_cut(name)} ({n})" for name, n in list(column.levels.items())[:_SHOWN])
    more = ", ..." if len(column.levels) > _SHOWN else ""
    return f"{len(column.levels)} levels: {shown}{more}"


def _quoted(examples: tuple[str, ...]) -> str:
    return ", ".join(f"'{_cut(example)}'" for example in examples)


def _cut(text: str) -> str:
    return shortened(text, _LONGEST)
