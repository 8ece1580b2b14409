"""What becomes of a table's columns, as text for a terminal."""

from linexport.encoding import CategoryColumn, EncodedColumn, Encoding, NumberColumn
from linexport.reporting._table import Block, Table, number

__all__ = ["encoding_blocks"]

_SHOWN = 8


def encoding_blocks(encoding: Encoding | None) -> list[Block]:
    """One line for each column: what it is, and what a missing value and another level become."""
    if encoding is None:
        return []
    header = ["column", "is", "missing", "unknown"]
    rows = [[column.name, _kind(column), *_answers(column)] for column in encoding.columns]
    return ["Encoding of the table's columns", Table(header, rows)]


def _kind(column: EncodedColumn) -> str:
    if isinstance(column, NumberColumn):
        return "number"
    if not isinstance(column, CategoryColumn):
        return f"days since {column.origin}"
    shown = ", ".join(column.featured[:_SHOWN])
    more = ", ..." if len(column.featured) > _SHOWN else ""
    against = "" if column.reference is None else f" against {column.reference}"
    return f"{len(column.levels)} levels: {shown}{more}{against}"


def _answers(column: EncodedColumn) -> list[str]:
    if isinstance(column, CategoryColumn):
        none = "reference" if column.reference is None else column.reference
        missing = {"error": "refused", "level": "a level", "reference": none}[column.missing]
        return [missing, "refused" if column.unknown == "error" else none]
    if not isinstance(column, NumberColumn) or column.fill is None:
        return ["refused", ""]
    return [f"filled with {number(column.fill)}{', flagged' if column.indicator else ''}", ""]
