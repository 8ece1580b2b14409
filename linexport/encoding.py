"""How a table's columns become features: numbers, categories and dates; a value, without an engine.

C columns make D features, each of them exact: 0, 1, the number itself, its fill, or the days since
an origin. docs/encoding.md says what each cell means.
"""

import datetime as dt
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from linexport._documented import documented
from linexport.errors import ModelError, shortened

__all__ = [
    "BOOLEANS",
    "MISSING",
    "CategoryColumn",
    "Codes",
    "DateColumn",
    "EncodedColumn",
    "Encoding",
    "MissingLevel",
    "NumberColumn",
    "Undecided",
    "Unknown",
    "codes_of",
]

Unknown: TypeAlias = Literal["error", "reference"]
"""What becomes of a row whose category is none of the levels."""
MissingLevel: TypeAlias = Literal["error", "level", "reference"]
"""What becomes of a row whose category is missing: refused, as any missing value; a level of its
own; or taken for the reference."""

BOOLEANS: Mapping[str, float] = MappingProxyType(
    {
        **dict.fromkeys(("true", "True", "TRUE"), 1.0),
        **dict.fromkeys(("false", "False", "FALSE"), 0.0),
    }
)
MISSING = (
    "", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "?", ".", "-", "<NA>", "\\N",
    "#N/A", "#DIV/0!",
)  # fmt: skip
"""What text says where there is no value, unless it is a level."""
_INDICATOR = "missing"


@documented
class NumberColumn(msgspec.Struct, frozen=True, kw_only=True, tag="number", tag_field="kind"):
    """A column of numbers: one feature of its name."""

    name: str
    fill: float | None = None
    """Stands for a missing value; None where that is refused."""
    indicator: bool = False
    """Whether one more feature, `name[missing]`, is 1 where the value is missing, else 0."""

    def __post_init__(self) -> None:
        if self.fill is not None and not math.isfinite(self.fill):
            raise ModelError(f"The fill of '{self.name}' must be finite, got {self.fill}.")
        if self.indicator and self.fill is None:
            raise ModelError(f"'{self.name}' tells what is missing, so it needs a fill.")

    @property
    def features(self) -> tuple[str, ...]:
        """Their names."""
        return (self.name, *([f"{self.name}[{_INDICATOR}]"] if self.indicator else []))


@documented
class CategoryColumn(msgspec.Struct, frozen=True, kw_only=True, tag="category", tag_field="kind"):
    """A column of levels: a feature `name[level]`, 0 or 1, for each but the reference."""

    name: str
    levels: tuple[str, ...]
    """In the order of the features; Unicode in form NFC, without white space at the ends."""
    reference: str | None
    """The level where all features are 0; None where each level has a feature."""
    unknown: Unknown = "error"
    missing: MissingLevel = "error"

    def __post_init__(self) -> None:
        if not self.levels or len(set(self.levels)) < len(self.levels):
            raise ModelError(f"The levels of '{self.name}' must be there, and each of them once.")
        for level in self.levels:
            if not level or level != level.strip() or not level.isprintable():
                got = shortened(repr(level))
                raise ModelError(f"A level of '{self.name}' must be printable text, got {got}.")
        if self.reference is not None and self.reference not in self.levels:
            raise ModelError(f"'{self.reference}' is no level of '{self.name}'.")

    @property
    def featured(self) -> tuple[str, ...]:
        """The levels that have a feature, in their order."""
        return tuple(level for level in self.levels if level != self.reference)

    @property
    def features(self) -> tuple[str, ...]:
        """Their names; that of missing cells, where they are a level, is the last."""
        own = (_INDICATOR,) if self.missing == "level" else ()
        return tuple(f"{self.name}[{level}]" for level in (*self.featured, *own))

    def spellings(self) -> dict[str, str | None]:
        """Return what a cell may say, and the level that it means, or None where it is missing.

        White space around the cell does not count, and Unicode is in form NFC. A level is what is
        spelled as it is; then come other spellings of a truth value or of a whole number, where
        they mean but one level; then those of a missing value. Whatever is not there is unknown.
        Levels that are 0 and 1 are false and true too, and the other way round, where the levels
        are not of both kinds.
        """
        others: dict[str, set[str]] = {}
        is_either = any(map(_is_bit, self.levels)) != any(
            level in BOOLEANS for level in self.levels
        )
        for level in self.levels:
            for other in (*_respelled(level), *(_as_other_kind(level) if is_either else ())):
                others.setdefault(other, set()).add(level)
        found: dict[str, str | None] = {level: level for level in self.levels}
        for other, meant in others.items():
            if len(meant) == 1:
                found.setdefault(other, *meant)
        for text in MISSING:
            found.setdefault(text, None)
        return found


class Codes(NamedTuple):
    """What the cells of a category with n features become.

    From 0 to n - 1: the place of the one that is 1. n: all of them are 0. n + 1: the row is
    refused, or all of them are NaN.
    """

    known: dict[str, int]
    """By what a cell says."""
    missing: int
    """Of a cell that is null."""
    unknown: int
    """Of any other cell."""


def codes_of(column: CategoryColumn) -> Codes:
    """Return what each cell of a column becomes, spelled as `spellings` has it."""
    zero = len(column.features)
    refused = zero + 1
    missing = {"error": refused, "level": zero - 1, "reference": zero}[column.missing]
    places = {level: place for place, level in enumerate(column.featured)}
    known = {
        text: missing if level is None else places.get(level, zero)
        for text, level in column.spellings().items()
    }
    return Codes(known, missing, refused if column.unknown == "error" else zero)


@documented
class DateColumn(msgspec.Struct, frozen=True, kw_only=True, tag="date", tag_field="kind"):
    """A column of dates or times: one feature of its name, in days."""

    name: str
    origin: str
    """A date, as 2020-01-31: the feature is 0 at its midnight."""

    def __post_init__(self) -> None:
        try:
            dt.date.fromisoformat(self.origin)
        except ValueError:
            raise ModelError(
                f"The origin of '{self.name}' must be a date as 2020-01-31, got '{self.origin}'."
            ) from None

    @property
    def features(self) -> tuple[str, ...]:
        """Its name."""
        return (self.name,)


EncodedColumn: TypeAlias = NumberColumn | CategoryColumn | DateColumn


@documented
class Encoding(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of a table, in an order, and what each becomes."""

    columns: tuple[EncodedColumn, ...]

    def __post_init__(self) -> None:
        for what, names in (("column", self.column_names), ("feature", self.features)):
            if len(set(names)) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise ModelError(f"The encoding has the {what} '{twice}' twice; rename a column.")

    @property
    def column_names(self) -> tuple[str, ...]:
        """Of the table, in their order."""
        return tuple(column.name for column in self.columns)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the D features, in their order."""
        return tuple(name for column in self.columns for name in column.features)

    @property
    def feature_columns(self) -> tuple[str, ...]:
        """The column that each of the D features is made of."""
        return tuple(column.name for column in self.columns for _ in column.features)


@documented
class Undecided(msgspec.Struct, frozen=True, kw_only=True):
    """What of a part's encoding all rows decide together."""

    auto: tuple[str, ...] = ()
    """Columns that nobody named, and that are categories if all rows have few levels."""
    means: tuple[str, ...] = ()
    """Numbers that are 0, and 1 in `name[missing]`, where the mean of all rows will stand."""
    indicators: bool = False
    """Whether `name[missing]` of these is a feature then."""


def _respelled(level: str) -> tuple[str, ...]:
    """Return how else other programs write a level: a truth value, or a whole number."""
    if level in BOOLEANS:
        return tuple(text for text, value in BOOLEANS.items() if value == BOOLEANS[level])
    whole = level.removesuffix(".0")
    digits = whole.removeprefix("-")
    if digits.isascii() and digits.isdecimal() and (digits == "0" or digits[0] != "0"):
        return (whole, f"{whole}.0")
    return ()


def _is_bit(level: str) -> bool:
    return level.removesuffix(".0") in ("0", "1")


def _as_other_kind(level: str) -> tuple[str, ...]:
    """Return 0 and 1 as truth values, and truth values as these."""
    if _is_bit(level):
        return tuple(text for text, value in BOOLEANS.items() if value == float(level))
    return _respelled(f"{BOOLEANS[level]:.0f}") if level in BOOLEANS else ()
