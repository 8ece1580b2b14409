"""What reports are made of: lines and tables, and how their numbers are written."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from linexport.columns import is_number

__all__ = ["Block", "Table", "cut", "number", "p_value", "plain_lines", "ratio", "with_unit"]

MOST_ROWS = 50
"""Of a table on a terminal; manifest.json has them all."""
_LEAST_P = 1e-300
"""Below it, what is printed would be an accident of underflow."""


@dataclass(frozen=True, slots=True)
class Table:
    """Cells under headings; those of a column of numbers stand to the right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    @property
    def numeric(self) -> list[bool]:
        """Whether each column holds numbers alone."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.header)
        return [all(map(_is_number, column)) for column in columns]

    def lines(self) -> list[str]:
        """Return the table as plain text, its columns two blanks apart."""
        columns = zip(self.header, *self.rows, strict=True)
        widths = [max(map(len, column)) for column in columns]
        right = self.numeric
        return [
            "  " + "  ".join(map(_justified, row, widths, right)).rstrip()
            for row in (self.header, *self.rows)
        ]


Block: TypeAlias = str | Table
"""A line, or a table."""


def plain_lines(blocks: Iterable[Block]) -> list[str]:
    """Return lines and tables as lines."""
    lines: list[str] = []
    for block in blocks:
        lines += [block] if isinstance(block, str) else block.lines()
    return lines


def cut(
    header: Sequence[str], rows: Sequence[Sequence[str]], where: str = "", *, most: int = MOST_ROWS
) -> list[Block]:
    """A table of the first rows, and how many more there are."""
    more = len(rows) - most
    rest: list[Block] = [f"  ... and {more} more{where}"] if more > 0 else []
    return [Table(header, rows[:most]), *rest]


def number(value: float | None, *, digits: int = 6) -> str:
    """Return a number in so many digits; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}g}"


def p_value(value: float | None) -> str:
    """Return a p-value; one too small for float64 as what it is below."""
    return number(value, digits=3) if value is None or value >= _LEAST_P else f"< {_LEAST_P:g}"


def ratio(part: float, whole: float | None) -> str:
    """Return a part of a whole; a dash where there is none."""
    return f"{part / whole:.1e}" if whole else "-"


def with_unit(text: str, unit: str) -> str:
    """Return a number or a name with its unit, if it has one."""
    return f"{text} {unit}".rstrip()


def _justified(cell: str, width: int, right: bool) -> str:
    return cell.rjust(width) if right else cell.ljust(width)


def _is_number(cell: str) -> bool:
    return cell in ("", "-") or is_number(cell.removesuffix(" %").removeprefix("< "))
