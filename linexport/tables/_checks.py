"""What every table and array must hold, and be called, before anything is done with it.

N rows, C columns (features first where a fit is meant), D features.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from linexport.columns import Column, listed
from linexport.errors import ConfigError, DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from linexport._arrays import Float64Array

MissingInFit: TypeAlias = Literal["error", "drop"]
"""Whether a row that lacks a value is refused, or left out of a fit."""
_NARROWEST = 4  # bytes of float32, which holds narrower numbers exactly
_DROP = "leave such rows out with --missing drop (missing='drop')"


def check_missing(missing: str, alternative: str) -> None:
    """Raise ConfigError unless it is one of the two things to do about a missing value."""
    if missing not in ("error", alternative):
        raise ConfigError(f"missing must be 'error' or '{alternative}', got {missing!r}.")


def finite_rows(
    values: "Float64Array", names: Sequence[str], *, source: str, first_row: int, missing: str
) -> "Float64Array":
    """Return the rows of (N, C) values in which every value is finite.

    Raises:
        DataError: At the first other row, unless missing is 'drop'.
    """
    import numpy as np  # see linexport.tables

    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):  # half the time of asking each value: NaN and infinity spread
            return values
    finite = np.isfinite(values)
    if finite.all():  # it was the sum that overflowed
        return values
    if missing == "drop":
        return values[finite.all(axis=1)]
    row, column = np.argwhere(~finite)[0]
    value = values[row, column]
    seen = "There is no value; fill it in" if np.isnan(value) else f"{value} is given; correct it"
    raise DataError(
        f"{seen}, or {_DROP}.", source=source, column=names[column], row=first_row + int(row)
    )


def require_rows(num_rows: int, source: str, *, rows_dropped: int = 0) -> None:
    """Raise DataError if there are none."""
    if num_rows == 0:
        left = f" after {rows_dropped} were left out" if rows_dropped else ""
        raise DataError(f"There are no rows{left}.", source=source)


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


def split_names(values: str | Sequence[str], names: Sequence[str]) -> list[str]:
    """Take "a,b", as users write columns, as two names, unless there is a column of that name."""
    values = [values] if isinstance(values, str) else values
    return [name for value in values for name in ([value] if value in names else value.split(","))]


def _suggestion(name: str, names: Sequence[str]) -> str:
    from difflib import get_close_matches  # only for whoever has mistyped a name

    if not names:
        return "there are no columns."
    shown = listed(names)
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


def tensor_to_numpy(tensor: Any, source: str, column: str | None = None) -> "NDArray[Any]":
    """Return the numbers of a tensor, which may need gradients and be on any device.

    Raises:
        DataError: If it has none, or NumPy has no array for them: of a meta or a sparse tensor.
    """
    try:
        values = tensor.detach().cpu()
        if values.is_floating_point() and values.element_size() < _NARROWEST:
            values = values.float()  # NumPy has neither bfloat16 nor float8
        array: NDArray[Any] = values.resolve_neg().numpy()
    except (RuntimeError, TypeError) as error:
        raise DataError(
            f"A tensor of {tensor.dtype} ({tensor.layout}, on {tensor.device}) is no array; make "
            "it a dense one of float32 first.",
            source=source,
            column=column,
        ) from error
    return array
