"""What a model calls its inputs and outputs. Without NumPy, so that names can be read early."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from linexport._asked import asked
from linexport._documented import documented
from linexport.errors import DataError, ModelError, shortened

__all__ = [
    "Column",
    "default_columns",
    "is_number",
    "listed",
    "named_columns",
    "require_known",
    "require_unique",
    "split_names",
]

_MOST_LISTED = 12


@documented
@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One feature or target: its name and what the training data showed of it."""

    name: str
    unit: str = ""
    """Unit of measurement, as the user wrote it; empty if not given."""
    minimum: float | None = None
    """Smallest training value, in `unit`; None where the model was not trained here."""
    maximum: float | None = None
    mean: float | None = None
    standard_deviation: float | None = None
    """Of the training values, dividing by N; of an imported model, what its scaler subtracts and
    divides by, where it has one."""

    def __post_init__(self) -> None:
        if not self.name or not self.name.isprintable():
            raise ModelError(
                f"A column name must be printable text, got {shortened(repr(self.name))}."
            )
        if not (self.unit == "" or self.unit.isprintable()):
            raise ModelError(f"The unit of '{self.name}' must be printable text.")
        if (self.minimum is None) != (self.maximum is None):
            raise ModelError(f"Column '{self.name}' needs both ends of its range, or neither.")
        if self.minimum is not None and not self.minimum <= self.maximum:  # type: ignore[operator]
            raise ModelError(
                f"The range of '{self.name}' is empty: {self.minimum} to {self.maximum}."
            )


@functools.cache  # a check asks for the same thousands again and again
def default_columns(prefix: str, count: int) -> tuple[Column, ...]:
    """Name columns that have no name: x1, x2, ...; a single target is just y."""
    if (prefix, count) == ("y", 1):
        return (Column(name="y"),)
    return tuple(Column(name=f"{prefix}{number}") for number in range(1, count + 1))


def listed(names: Sequence[str]) -> str:
    """Return names as a message lists them, the first of many."""
    shown = ", ".join(f"'{name}'" for name in names[:_MOST_LISTED])
    left = len(names) - _MOST_LISTED
    return f"{shown} and {left} more" if left > 0 else shown


def require_unique(names: Sequence[str], source: str) -> tuple[str, ...]:
    """Return the names of a table's columns.

    Raises:
        DataError: If one occurs twice.
    """
    positions: dict[str, int] = {}
    for position, name in enumerate(names, start=1):
        first = positions.setdefault(name, position)
        if first != position:
            what = f"are both named '{name}'; rename one" if name else "have no name; name them"
            raise DataError(f"Columns {first} and {position} {what}.", source=source)
    return tuple(names)


def require_known(wanted: Sequence[str], names: Sequence[str], source: str) -> None:
    """Raise DataError at the first wanted name that is not a column, with the likely ones."""
    known = set(names)
    for name in wanted:
        if name not in known:
            raise DataError(
                f"There is no column '{name}'; {_suggestion(name, names)}", source=source
            )


def named_columns(names: Sequence[str], source: str) -> tuple[Column, ...]:
    """Return a column for each name.

    Raises:
        DataError: If a name is empty or not printable, and so could not be used later.
    """
    for name in names:
        if not name:
            raise DataError(
                "A column has no name, as where lines end in a delimiter; name it, or choose "
                f"others with {asked(features=...)}.",
                source=source,
            )
        if not name.isprintable():
            raise DataError(
                f"The column name {shortened(repr(name))} is not printable text; rename it.",
                source=source,
            )
    return tuple(Column(name=name) for name in names)


def split_names(values: str | Sequence[str], names: Sequence[str]) -> list[str]:
    """Take "a,b", as users write columns, as two names, unless there is a column of that name."""
    values = [values] if isinstance(values, str) else values
    return [name for value in values for name in ([value] if value in names else value.split(","))]


def _suggestion(name: str, names: Sequence[str]) -> str:
    from difflib import get_close_matches  # only for whoever has mistyped a name

    if not names:
        return "there are no columns."
    shown = listed(names)
    if all(is_number(other) for other in names):
        return (
            f"the columns must be named, in CSV by the first line, but are called {shown}; if that "
            f"is a row, read it with {asked(header=False)}: column_1, column_2, ..."
        )
    by_simple_form = {other.strip().casefold(): other for other in names}
    matches = get_close_matches(name.strip().casefold(), by_simple_form, n=3)
    if matches:
        close = " or ".join(f"'{by_simple_form[match]}'" for match in matches)
        return f"did you mean {close}?"
    return f"its columns are {shown}."


def is_number(text: str) -> bool:
    """Tell text that Python reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
