"""Columns of polars as numbers, and batches of them."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec
import numpy as np

from linexport._arrays import Float64Array, FloatArray, FloatDType
from linexport._polars import pl
from linexport.columns import is_number
from linexport.encoding import BOOLEANS
from linexport.errors import DataError, shortened
from linexport.tables._dialect import BEHIND, BRACKETS, LONG, MINUSES, Dialect

Kind = Literal["number", "boolean"]

FAULTS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""What polars raises of a file that is damaged, or of values that cannot be; the second is no
Exception."""
VALUE_FAULTS = (ArithmeticError, ValueError, *FAULTS)
"""What is raised of a value that Python cannot have, such as a date of no calendar."""

_SPACES = " \t\u00a0"
_LIKE = {" ": "[ \u00a0\u202f\u2009]", "'": "['\u2019]", None: "[^\\s\\S]"}
"""What else looks like a separator of thousands: spaces that do not break, a typographic quote."""
_BLOCK_VALUES = 1 << 17  # 1 MiB
_FEWEST_ROWS = 1 << 10
_LONGEST_SHOWN = 40  # characters of a value that a message repeats


class FrameBatch(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Rows in polars; see Batch."""

    frame: pl.DataFrame
    """Columns of numeric or boolean type; null where a value is missing."""
    kept: pl.DataFrame
    """Columns as they are; text if they come from CSV."""
    source: str
    first_row: int
    num_bytes: float

    @property
    def num_rows(self) -> int:
        return self.frame.height if self.frame.width else self.kept.height

    @property
    def held_bytes(self) -> float:
        return self.frame.estimated_size() + self.kept.estimated_size()

    @property
    def number_types(self) -> list[str]:
        return [str(dtype) for dtype in self.frame.dtypes]

    @property
    def kept_types(self) -> list[str]:
        return [str(dtype) for dtype in self.kept.dtypes]

    def numbers(self, dtype: FloatDType | None = None) -> FloatArray:
        wanted = pl.Float32() if dtype is not None and dtype.itemsize == 4 else pl.Float64()
        return _cast(self.frame, wanted).to_numpy(order="fortran")

    def blocks(self) -> Iterator[tuple[int, Float64Array]]:
        columns = [column.to_numpy() for column in _cast(self.frame, pl.Float64()).iter_columns()]
        num_rows = max(_BLOCK_VALUES // len(columns), _FEWEST_ROWS)
        for start in range(0, max(self.num_rows, 1), num_rows):
            parts = [column[start : start + num_rows] for column in columns]
            yield start, np.stack(parts).T

    def kept_and(self, names: Sequence[str], values: FloatArray) -> pl.DataFrame:
        columns = [pl.Series(name, values[:, place]) for place, name in enumerate(names)]
        rows = pl.DataFrame([*self.kept.iter_columns(), *columns])
        rows.columns = [*self.kept.columns, *names]  # polars has named what has no name
        return rows


def _cast(numbers: pl.DataFrame, dtype: pl.DataType) -> pl.DataFrame:
    """Spare columns that are as wanted a millisecond: polars plans a query even to do nothing."""
    return numbers if set(numbers.dtypes) == {dtype} else numbers.cast(dtype)


def require_numbers(
    numbers: pl.DataFrame, source: str, first_row: int, text_remedy: Callable[[str], str]
) -> None:
    """Raise DataError at the first value of the first column that holds anything else."""
    for column in numbers.iter_columns():
        if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
            continue
        present = column.is_not_null().arg_true()
        if len(present):
            raise not_a_number(column, int(present[0]), source, first_row, text_remedy)


def not_a_number(
    column: pl.Series,
    index: int,
    source: str,
    first_row: int,
    text_remedy: Callable[[str], str],
    *,
    kind: Kind | None = None,
    dialect: Dialect | None = None,
) -> DataError:
    """Describe a value that is no number, or no boolean in a column of those."""
    if column.dtype == pl.Object:
        return DataError(
            "It holds objects, not real numbers; convert them, as with .astype(float).",
            source=source,
            column=column.name,
        )
    value = _text(column[index : index + 1])
    seen = shown(value) + ("" if column.dtype == pl.String else f" ({column.dtype})")
    what = "neither true nor false, as values before it" if kind == "boolean" else "not a number"
    remedy = text_remedy(column.name)
    if dialect is None and column.dtype == pl.String and is_plain(pl.Series([value]), Dialect()):
        what, remedy = "text", "give the column as numbers"
    if dialect is not None and kind != "boolean":
        from linexport.tables._readings import advice  # only where it is needed

        remedy = advice(present(nameless(column.head(index + 1)), dialect), dialect) or remedy
    return DataError(
        f"{seen} is {what}; {remedy}.", source=source, column=column.name, row=first_row + index
    )


def _text(one: pl.Series) -> str:
    """Return a value as text; of a date of no calendar, the number that it is kept as."""
    try:
        return str(one.to_list()[0])
    except VALUE_FAULTS:
        return str(one.to_physical().to_list()[0])


def shown(value: str) -> str:
    """Return a value as a message repeats it."""
    return repr(shortened(value, _LONGEST_SHOWN))


def parse_numbers(
    cells: pl.Series, kind: Kind | None, dialect: Dialect
) -> tuple[pl.Series, Kind | None, int | None]:
    """Read text as numbers, or as booleans if the column's first value is one.

    Args:
        cells: Text as it stands in the file, where spaces around a value do not matter; or float64
            where polars has parsed it.
        kind: What the column has held so far; None before its first value.
        dialect: How numbers are written.

    Returns:
        The values as float64, null where missing; the column's kind; and the index of the first
        cell that is of no kind or another one, if there is one.
    """
    name, cells = cells.name, nameless(cells)
    if kind != "boolean" and is_plain(cells, dialect):
        numbers = cells.cast(pl.Float64)
        return numbers.alias(name), kind or ("number" if numbers.count() else None), None
    text = present(cells, dialect)
    first = text.drop_nulls().head(1).to_list()
    if kind is None and first:
        kind = "boolean" if first[0] in BOOLEANS else "number"
    values = (
        text.replace_strict(dict(BOOLEANS), default=None, return_dtype=pl.Float64)
        if kind == "boolean"
        else as_numbers(text, dialect)
    )
    wrong = (values.is_null() & text.is_not_null()).arg_true()
    return values.alias(name), kind, int(wrong[0]) if len(wrong) else None


def text_numbers(
    column: pl.Series,
    kinds: dict[str, Kind | None],
    dialect: Dialect,
    source: str,
    first_row: int,
    text_remedy: Callable[[str], str],
) -> pl.Series:
    """Return a column of numbers; text is parsed as in CSV, and its kind is noted.

    Raises:
        DataError: At the first value that is none.
    """
    if column.dtype != pl.String:
        require_numbers(column.to_frame(), source, first_row, text_remedy)
        return present_numbers(column, dialect)
    numbers, kind, wrong = parse_numbers(column, kinds.get(column.name), dialect)
    if wrong is not None:
        raise not_a_number(
            column, wrong, source, first_row, text_remedy, kind=kind, dialect=dialect
        )
    kinds[column.name] = kind
    return numbers


def nameless(column: pl.Series) -> pl.Series:
    """Return a column to compute with: polars looks it up by its name, were that a pattern."""
    return column.alias("values")


def is_plain(cells: pl.Series, dialect: Dialect) -> bool:
    """Tell whether polars takes every cell for a number or for missing by itself."""
    if cells.dtype == pl.String and not dialect.has_plain_numbers:
        return False
    return cells.cast(pl.Float64, strict=False).null_count() == cells.null_count()


def present_numbers(numbers: pl.Series, dialect: Dialect) -> pl.Series:
    """Return numbers that came as such, null where one stands for no value."""
    if not (dialect.also_missing and numbers.dtype.is_numeric()):
        return numbers
    return numbers.set(_is_no_value(nameless(numbers).cast(pl.Float64), dialect), None)


def _is_no_value(numbers: pl.Series, dialect: Dialect) -> pl.Series:
    nulls = pl.Series(dialect.also_missing).cast(pl.Float64, strict=False).drop_nulls()
    return numbers.is_in(nulls.implode())


def present(cells: pl.Series, dialect: Dialect) -> pl.Series:
    """Return text without the spaces around it, null where it stands for no value."""
    text = cells.str.strip_chars(_SPACES)
    text = text.set(text.is_in(dialect.missing), None)
    if not any(map(is_number, dialect.also_missing)):
        return text
    return text.set(_is_no_value(as_numbers(text, dialect), dialect).fill_null(value=False), None)


def as_numbers(text: pl.Series, dialect: Dialect) -> pl.Series:
    """Return float64, null where text is no number as the dialect writes them.

    Digits are in groups of three, or of two before the last one as in India, or in none.
    """
    if (dialect.decimal, dialect.thousands, dialect.signs) == (".", None, ()):
        return text.cast(pl.Float64, strict=False)
    if dialect.signs:
        text = _without_signs(text, dialect.signs)
    thousands = _LIKE.get(dialect.thousands, re.escape(dialect.thousands or ""))
    point = re.escape(dialect.decimal)
    digits = rf"(?:[1-9][0-9]{{0,2}}(?:{thousands}[0-9]{{2,3}})*{thousands}[0-9]{{3}}|[0-9]+)"
    number = rf"(?:{digits}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][-+]?[0-9]+)?"
    text = text.set(~text.str.contains(rf"^[-+]?(?:{number}|(?i:inf(?:inity)?))$"), None)
    text = text.str.replace_all(thousands, "").str.replace(dialect.decimal, ".", literal=True)
    return text.cast(pl.Float64, strict=False)


def _without_signs(text: pl.Series, signs: Sequence[str]) -> pl.Series:
    """Return text without signs; a minus in another form is a plain one before it."""
    if BRACKETS in signs:
        text = text.str.replace(r"^([^()+-]*)\(\s*([^()+-]*?)\s*\)([^()+-]*)$", "-$1$2$3")
    if LONG in signs:
        text = text.str.replace(f"^[{LONG}\u2013]", "-")
    if others := "|".join(re.escape(sign) for sign in signs if sign not in MINUSES):
        text = text.str.replace(rf"^([-+]?)\s*(?:{others})\s*([-+]?)", "$1$2")
        text = text.str.replace(rf"\s*(?:{others})(-?)$", "$1")
    if BEHIND in signs:
        text = text.str.replace(r"^([^+-]*?)\s*-$", "-$1")
    return text
