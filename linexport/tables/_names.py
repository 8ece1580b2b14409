"""Column names, as users give them and as tables have them."""

from collections.abc import Sequence

from linexport.columns import Column
from linexport.errors import DataError

_MOST_SHOWN = 12


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
                "A column has no name; name it, or choose others with --features.", source=source
            )
        if not name.isprintable():
            raise DataError(
                f"The column name {name!r} is not printable text; rename it.", source=source
            )
    return tuple(Column(name=name) for name in names)


def _suggestion(name: str, names: Sequence[str]) -> str:
    from difflib import get_close_matches  # only for whoever has mistyped a name

    if not names:
        return "there are no columns."
    shown = ", ".join(f"'{other}'" for other in names[:_MOST_SHOWN])
    if len(names) > _MOST_SHOWN:
        shown += f" and {len(names) - _MOST_SHOWN} more"
    if all(_is_number(other) for other in names):
        return f"the columns must be named, in CSV by the first line, but are called {shown}."
    by_simple_form = {other.strip().casefold(): other for other in names}
    matches = get_close_matches(name.strip().casefold(), by_simple_form, n=3)
    if matches:
        close = " or ".join(f"'{by_simple_form[match]}'" for match in matches)
        return f"did you mean {close}?"
    return f"its columns are {shown}."


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
