"""How a table of text is written, where it is not as most are."""

import codecs
from dataclasses import fields
from typing import Any, Literal, TypeAlias

from linexport._settings import setting, settings
from linexport.columns import is_number
from linexport.encoding import MISSING
from linexport.errors import ConfigError

__all__ = ["USUAL", "Dialect"]

Decimal: TypeAlias = Literal[".", ","]
Thousands: TypeAlias = Literal[",", ".", " ", "'", "_"]
DateOrder: TypeAlias = Literal["dmy", "mdy"]
WHITESPACE = "whitespace"
BRACKETS, BEHIND, LONG = MINUSES = ("()", "-", "\u2212")
"""What says that a number is negative besides a minus before it: (5), 5- and Unicode's minus."""
_LAYOUT = (
    "delimiter", "encoding", "comment", "skip_rows", "skip_rows_after_header", "header", "sheet",
)  # fmt: skip


@settings
class Dialect:
    """How a CSV file is written; text in JSON lines and Excel heeds what it says of cells."""

    delimiter: str | None = setting(
        default=None,
        help="Between the fields: one ASCII character, \\t, or whitespace for any number of spaces "
        "and tabs; found from the header line if not given.",
    )
    decimal: Decimal = setting(default=".", help="Before a number's fraction.")
    thousands: Thousands | None = setting(
        default=None, help="Between groups of a number's digits; none if not given."
    )
    strip: str = setting(
        default="",
        metavar="SIGN[,SIGN...]",
        help="Signs and units to take off numbers, as '$,%'; 5% is then 5. With '()' and '-', (5) "
        "and 5- are -5.",
    )
    null_values: tuple[str, ...] | None = setting(
        default=None,
        metavar="TEXT[,TEXT...]",
        help="Cells that stand for no value, besides empty ones and the usual spellings, as NA.",
    )
    date_order: DateOrder | None = setting(
        default=None,
        help="Of dates that do not begin with the year: dmy for 31/12/2024, 31.12.2024 and "
        "31-12-2024, mdy for 12/31/2024; they are refused if not given.",
    )
    encoding: str = setting(default="utf-8", help="Of the text, as Python names it: cp1252.")
    comment: str | None = setting(
        default=None, metavar="PREFIX", help="Leave out lines that begin so."
    )
    skip_rows: int = setting(
        default=0, minimum=0, metavar="LINES", help="Lines to leave out before the header."
    )
    skip_rows_after_header: int = setting(
        default=0, minimum=0, metavar="ROWS", help="Rows to leave out after it, such as units."
    )
    header: bool = setting(
        default=True, help="The first line names the columns; else they are column_1, column_2, ..."
    )

    sheet: str | None = setting(
        default=None, metavar="NAME", help="Of an Excel workbook; the first if not given."
    )

    def __post_init__(self) -> None:
        if self.delimiter == "\\t":
            object.__setattr__(self, "delimiter", "\t")
        self._check_delimiter()
        if {"(", ")"} & {*self.signs}:
            raise ConfigError("strip takes brackets as one, '()', which makes -5 of (5).")
        if self.thousands == self.decimal:
            raise ConfigError(f"decimal and thousands must differ, got {self.decimal!r} for both.")
        _check_encoding(self.encoding)
        if self.comment is not None and (not self.comment or "\n" in self.comment):
            raise ConfigError(f"comment must be what lines begin with, got {self.comment!r}.")

    @property
    def layout(self) -> dict[str, Any]:
        """What it says of a file's bytes, lines and fields that is not as usual, by name."""
        return {name: value for name, value in self.unusual.items() if name in _LAYOUT}

    @property
    def unusual(self) -> dict[str, Any]:
        """The settings that are not as usual, by name."""
        names = (field.name for field in fields(self))
        return {
            name: getattr(self, name)
            for name in names
            if getattr(self, name) != getattr(USUAL, name)
        }

    def _check_delimiter(self) -> None:
        delimiter = self.delimiter
        if delimiter in (None, WHITESPACE):
            return
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
            raise ConfigError(
                f"The delimiter must be one ASCII character or {WHITESPACE}, got {delimiter!r}."
            )

    @property
    def missing(self) -> tuple[str, ...]:
        """Cells that stand for no value."""
        return (*MISSING, *self.also_missing)

    @property
    def also_missing(self) -> tuple[str, ...]:
        """Those that are not as usual."""
        return tuple(text for part in self.null_values or () for text in part.split(",") if text)

    @property
    def signs(self) -> tuple[str, ...]:
        """What is taken off numbers, the longest first."""
        return tuple(sorted(filter(None, self.strip.split(",")), key=len, reverse=True))

    @property
    def is_utf8(self) -> bool:
        """Whether bytes are text as they are."""
        return codecs.lookup(self.encoding).name == "utf-8"

    @property
    def has_plain_lines(self) -> bool:
        """Whether every line is one of the table, with one character between two fields."""
        has_others = self.skip_rows or self.comment is not None
        return not has_others and self.delimiter != WHITESPACE

    @property
    def has_plain_numbers(self) -> bool:
        """Whether numbers are written as in most programs, and every one of them is a number."""
        is_plain = (self.decimal, self.thousands, self.signs) == (".", None, ())
        return is_plain and not any(map(is_number, self.also_missing))


def _check_encoding(name: str) -> None:
    try:
        is_text = codecs.lookup(name)._is_text_encoding  # noqa: SLF001
    except (LookupError, ValueError):
        is_text = False
    if not is_text:
        raise ConfigError(f"encoding must be one that Python knows, such as cp1252, got {name!r}.")


USUAL = Dialect()
"""How most files are written."""
