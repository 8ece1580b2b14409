"""What the values of a column are.

A column of text is told by what its values have in common; each value counts for the first of the
patterns that it has.
"""

from collections.abc import Iterator
from typing import Literal, TypeAlias

from linexport._polars import pl
from linexport.encoding import BOOLEANS
from linexport.tables._dates import as_dates
from linexport.tables._dialect import DateOrder
from linexport.tables._readings import SIGN

__all__ = ["WITH_UNIT", "Kind", "kind_of", "kinds_of_text"]

Kind: TypeAlias = Literal[
    "number",
    "boolean",
    "number with a comma",
    "number with a point",
    "number with thousands separators",
    "number with a sign",
    "date",
    "date in another form",
    "time",
    "text",
    "nested",
    "empty",
]
"""A number with a comma may have it for a decimal point or for thousands: "1,234"; one with a point
is plain but where commas are decimal; a sign is a currency's, percent, or what makes (5) and 5- of
-5. A date is year-month-day, with a time or without, or in the dialect's order, or typed."""

_DIGITS = r"[-+]?\d+(?:[.]\d*)?(?:[eE][-+]?\d+)?|[-+]?[.]\d+"
_GROUPED = r"[-+]?\d{1,3}(?:[., '\u00a0\u202f]\d{3})+(?:[.,]\d+)?"
_ANY = rf"{_DIGITS}|{_GROUPED}|[-+]?\d+,\d+"
_SIGNED = rf"[-+\u2212\u2013]?(?:{SIGN}) ?(?:{_ANY})|(?:{_ANY}) ?(?:{SIGN})"
_BRACKETS = rf"(?:{SIGN})? ?\( ?(?:{_SIGNED}|{_ANY}) ?\) ?(?:{SIGN})?"
_BEHIND = rf"(?:{_SIGNED}|{_ANY}) ?-(?: ?(?:{SIGN}))?"
_DAY = r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AaPp][Mm])?(?:Z|[-+]\d{2}:?\d{2})?"
WITH_UNIT = rf"^(?:{_ANY}) ?([^\d\s.,'+()-][^,]*)$"
_PATTERNS: dict[Kind, str] = {
    "number with a comma": r"[-+]?\d*,\d+",
    "number with thousands separators": _GROUPED,
    "number with a point": _DIGITS,
    "number with a sign": rf"{_SIGNED}|[\u2212\u2013](?:{_ANY})|{_BRACKETS}|{_BEHIND}",
    "date in another form": rf"{_DAY}(?:[T ]+{_CLOCK})?",
    "time": _CLOCK,
}  # fmt: skip


def kind_of(dtype: pl.DataType) -> Kind:
    if dtype.is_nested() or dtype in (pl.Object, pl.Binary):
        return "nested"
    if dtype.is_temporal():
        return "date" if dtype in (pl.Date, pl.Datetime) else "time"
    return "boolean" if dtype == pl.Boolean else "number"


def kinds_of_text(
    found: pl.DataFrame, order: DateOrder | None
) -> Iterator[tuple[Kind, pl.DataFrame]]:
    """Yield text that is no number by what it is."""
    is_boolean = found["values"].is_in(list(BOOLEANS))
    yield "boolean", found.filter(is_boolean)
    found = found.filter(~is_boolean)
    is_date = as_dates(found["values"], order).is_not_null()
    yield "date", found.filter(is_date)
    found = found.filter(~is_date)
    for kind, pattern in _PATTERNS.items():
        matches = found["values"].str.contains(f"^(?:{pattern})$")
        yield kind, found.filter(matches)
        found = found.filter(~matches)
    yield "text", found
