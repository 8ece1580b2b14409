"""A report that prints itself, and is HTML for a notebook."""

from collections.abc import Sequence
from html import escape

from linexport.reporting._table import Block, Table, plain_lines

__all__ = ["Text"]


class Text:
    """Lines and tables."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = tuple(blocks)

    def __str__(self) -> str:
        return "\n".join(plain_lines(self.blocks))

    __repr__ = __str__

    @property
    def html(self) -> str:
        """The same as HTML, which asks the network for nothing."""
        return "\n".join(map(_html, self.blocks))

    def _repr_html_(self) -> str:
        return self.html


def _html(block: Block) -> str:
    if not isinstance(block, Table):
        return f"<p>{escape(block.strip())}</p>"
    right = block.numeric
    rows = ["".join(map(_cell, row, right)) for row in block.rows]
    header = "".join(f"<th>{escape(name)}</th>" for name in block.header)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"


def _cell(text: str, right: bool) -> str:
    return f'<td style="text-align: {"right" if right else "left"}">{escape(text)}</td>'
