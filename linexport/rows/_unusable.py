"""All columns that are no numbers, said at once, each with what it is."""

from collections.abc import Iterator, Sequence
from itertools import accumulate

from linexport._asked import asked, asked_of_command
from linexport.columns import is_number, listed
from linexport.errors import DataError, shortened
from linexport.tables import EXAMPLES, MOST_LEVELS, ColumnLook, Table, TableLook, look

_SAID, _ALL = 180, 474
"""Characters of what columns are, and of the message but for the table's name, from which on the
rest is left for later: a message is read, and what it says to paste is seen whole."""
_AND = ", and "
_LONGEST, _PASTED = 20, 60
"""Characters of a value that are shown, and of all that an option to paste is worth."""
_OPTION = 290
"""Characters of an option that names columns; with more it is told without them."""
_TYPED_WRONG = 0.1
"""Share of a column's values; more of them are no typing errors. A heuristic."""


def explained(
    error: DataError,
    table: Table,
    features: Sequence[str],
    targets: Sequence[str],
    *,
    refused: Sequence[str],
    to_fill: str,
) -> DataError:
    """Return what to say of a value that cannot be used: of all columns that hold such.

    Args:
        error: What was found.
        table: Where, if it can be read again.
        features: Its columns that must hold numbers.
        targets: And those to predict.
        refused: Those of both that may not lack a value.
        to_fill: What to say to have numbers filled in.
    """
    if error.column is None or table.num_bytes is None:
        return error
    wanted = {*features, *targets}  # what is left out need not be readable beside it
    found = look(table, [name for name in table.names if name in wanted])
    how = "linexport.describe(table)"
    if table.files:
        layout = table.dialect.layout if table.dialect else {}
        how = asked_of_command("describe", table.source, **layout)
    return unusable(found, features, targets, refused=refused, to_fill=to_fill, how=how) or error


def of_text(name: str) -> str:
    """Say what to do about text in a feature, which may be all of the column or a row of totals."""
    excluded = asked(exclude=[name])
    return f"correct it, delete its row, or exclude a column of text with {excluded}"


def unusable(
    found_in: TableLook,
    features: Sequence[str],
    targets: Sequence[str],
    *,
    refused: Sequence[str],
    to_fill: str,
    how: str,
) -> DataError | None:
    """Say which of some columns cannot be fitted to as they are, and what each is.

    Args:
        found_in: A look at them.
        features: Columns that must hold numbers.
        targets: And those to predict.
        refused: Those of both that may not lack a value.
        to_fill: What to say to have numbers filled in.
        how: What describes the table.

    Returns:
        None where there is none; nor where those at fault are numbers but for one value each, which
        is better shown where it is.
    """
    wanted = {*features, *targets}
    found = [
        column for column in found_in.columns if column.name in wanted and not column.is_usable
    ]
    if all(_is_but_one_value(column) for column in found) or _is_one_of_numbers(found):
        return None
    mixed = _under_units(found)
    read_so = [column for column in found if found_in.readings and column.readings]
    units = [column for column in mixed if column.others == 1]
    dates = [
        column
        for column in found
        if _is_date(column, found_in.date_orders) and column.name not in targets
    ]
    misspelt = [
        column
        for column in found
        if (_is_misspelt(column) and column not in units) or (column in dates and column.others)
    ]
    can_be_none = _can_be_none(misspelt, [c for c in found_in.columns if c not in misspelt])
    lacking = [
        column.name
        for column in found_in.columns
        if column.name in refused
        and (
            (column in misspelt and can_be_none)
            or (column.missing and (column.is_usable or column in read_so or column in dates))
        )
    ]
    unfilled = {*targets, *(column.name for column in dates)}
    levels = [  # a row of units lacks them, and is to be left out
        column.name for column in found if _is_category(column) and column.missing > bool(mixed)
    ]
    remedies = [
        *_read_as_numbers(read_so, mixed, found_in.readings),
        *_rewritten(found, read_so, found_in.conflict),
        *_as_days(dates, found_in.date_orders),
        *_remedies([c for c in found if c not in dates], read_so, targets),
        *_corrected(misspelt, can_be_none=can_be_none),
        *_filled([name for name in lacking if name not in unfilled], levels, to_fill),
        *_left_out([name for name in lacking if name in unfilled]),
    ]
    return _told(found, remedies, f"{how} says more.", found_in.source)


def _told(
    found: Sequence[ColumnLook], remedies: Sequence[str], more: str, source: str
) -> DataError:
    """Say what columns are and what to do, as far as a message has room for it."""
    room = _ALL - len(f": ; {more}".replace(source, ""))
    first = max(map(len, remedies[:1]), default=0)
    most = min(_SAID, room - first - len(f"; and {len(found)} more"))
    said = _first("; ", [f"'{column.name}' {_what(column)}" for column in found], most)
    left = f"; and {len(found) - len(said)} more" if len(found) > len(said) else ""
    what = "; ".join(said) + left
    todo = _AND.join(_first(_AND, remedies, room - len(what)))
    return DataError(f"{what}: {todo}; {more}", source=source)


def _given(argument: str, columns: list[str], **others: str) -> str:
    """Return what names columns, or, where they are too many to be read, what would."""
    given = asked(**{argument: columns}, **others)
    return given if len(given) <= _OPTION else asked(**others, **{argument: ...})


def _first(between: str, parts: Sequence[str], most: int) -> Sequence[str]:
    """Return as many as have no more characters when they are joined; one at least."""
    lengths = accumulate(len(part) + len(between) for part in parts)
    return parts[: max(1, sum(length <= most for length in lengths))]


def _is_but_one_value(column: ColumnLook) -> bool:
    return column.kind in ("number", "boolean") and column.others == 1 and not column.readings


def _is_one_of_numbers(found: Sequence[ColumnLook]) -> bool:
    """Tell one column whose values differ too much in what is wrong to be taken for no value."""
    return (
        len(found) == 1
        and found[0].kind in ("number", "boolean")
        and not (found[0].readings or _is_misspelt(found[0]))
    )


def _read_as_numbers(
    read_so: Sequence[ColumnLook], mixed: Sequence[ColumnLook], readings: Sequence[str]
) -> Iterator[str]:
    """Yield how columns become numbers by another dialect."""
    if read_so:
        yield f"read {listed([column.name for column in read_so])} with {' or '.join(readings)}"
    if mixed:
        said = listed([column.first for column in mixed])
        how = asked(skip_rows_after_header=1)
        yield f"if the first row says units ({said}) leave it out with {how}"


def _rewritten(
    found: Sequence[ColumnLook], read_so: Sequence[ColumnLook], conflict: Sequence[str]
) -> Iterator[str]:
    """Yield what to do about numbers that no dialect reads."""
    marked = [column.name for column in found if _is_marked(column) and column not in read_so]
    if marked and conflict:
        yield f"write numbers in one way, not as {' and '.join(conflict)}"
    elif marked:
        yield f"make plain numbers of {listed(marked)}, as 1.5"


def _is_marked(column: ColumnLook) -> bool:
    """Tell numbers with what a dialect says of them."""
    return column.kind.startswith("number with ")


def _remedies(
    found: Sequence[ColumnLook],
    read_so: Sequence[ColumnLook],
    targets: Sequence[str],
) -> Iterator[str]:
    """Yield what to do about the columns that no dialect makes numbers of."""
    others = [c for c in found if not (c in read_so or _is_misspelt(c) or _is_marked(c))]
    if wrong := [column.name for column in others if column.name in targets]:
        yield f"choose another target than '{wrong[0]}'"
    others = [column for column in others if column.name not in targets]
    if categories := [column.name for column in others if _is_category(column)]:
        yield f"take categories with {_given('categorical', categories)}"
    if excluded := [column.name for column in others if not _is_category(column)]:
        yield f"leave out what is no feature with {_given('exclude', excluded)}"


def _under_units(found: Sequence[ColumnLook]) -> list[ColumnLook]:
    """Return the columns of numbers that begin with none, if there are two at least."""
    mixed = [c for c in found if c.kind.startswith("number") and c.first]
    return mixed if len(mixed) > 1 else []


def _is_misspelt(column: ColumnLook) -> bool:
    """Tell numbers but for a few values, or for one or two that are repeated and are no scale's."""
    is_numeric = column.kind == "number" or _is_marked(column)
    return is_numeric and column.others > 0 and _are_few(column) and not _is_scale(column)


def _are_few(column: ColumnLook) -> bool:
    """Tell other values that are all shown, or one or two that are repeated."""
    return column.others <= len(column.examples) or len(column.examples) < EXAMPLES


def _is_scale(column: ColumnLook) -> bool:
    """Tell numbers of few levels beside text that says something, as 4 and 5+."""
    return column.kind == "number" and bool(column.levels) and _has_many_with_digits(column)


def _has_many_with_digits(column: ColumnLook) -> bool:
    """Tell values that are no typing errors and no words for a missing value, as 5+."""
    has_digits = any(map(str.isdecimal, "".join(column.examples)))
    most = max(len(column.examples), _TYPED_WRONG * (column.rows - column.missing))
    return has_digits and column.others > most


def _is_category(column: ColumnLook) -> bool:
    return column.is_category or _is_scale(column)


def _corrected(misspelt: Sequence[ColumnLook], *, can_be_none: bool) -> Iterator[str]:
    """Yield how columns are kept whose few other values are none of their kind."""
    if not misspelt:
        return
    values = _others(misspelt)
    said = f"correct {listed([shortened(value, _LONGEST) for value in values])}"
    if can_be_none:
        said += f" or take it for no value with {asked(null_values=values)}"
    yield said


def _can_be_none(columns: Sequence[ColumnLook], others: Sequence[ColumnLook]) -> bool:
    """Tell whether an option that is worth pasting names the few other values of some columns.

    It is heeded in all columns, so none of it may be a number, or a level of another one.
    """
    values = _others(columns)
    is_short = sum(map(len, values)) <= _PASTED
    is_pasted = is_short and all("," not in x and x.isprintable() for x in values)
    is_held = any(is_number(x) or x in (other.levels or ()) for x in values for other in others)
    return is_pasted and not is_held and not any(map(_has_many_with_digits, columns))


def _others(columns: Sequence[ColumnLook]) -> list[str]:
    return list(dict.fromkeys(value for column in columns for value in column.examples))


def _filled(numbers: Sequence[str], categories: Sequence[str], to_fill: str) -> Iterator[str]:
    """Yield what to do about missing values, which would be the next to be refused."""
    if numbers:
        yield f"fill {listed(numbers)} in with {to_fill}"
    if categories:
        yield f"make what {listed(categories)} lacks a level with {asked(missing='level')}"


def _left_out(names: Sequence[str]) -> Iterator[str]:
    """Yield what to do about missing targets and dates, which nothing fills in."""
    if names:
        given = _given("missing", [f"{name}=drop" for name in names])
        yield f"leave out rows without {listed(names)} with {given}"


def _is_date(column: ColumnLook, orders: Sequence[str]) -> bool:
    is_read = column.kind == "date" or (column.kind == "date in another form" and orders)
    return bool(is_read and column.first_day) and _are_few(column)


def _as_days(dates: Sequence[ColumnLook], orders: Sequence[str]) -> Iterator[str]:
    """Yield what makes days of dates, from the first of each that was seen."""
    days = [f"{column.name}=days-since:{column.first_day}" for column in dates]
    if not days:
        return
    if all(column.kind == "date" for column in dates):
        yield f"take dates as days with {_given('date', days)}"
        return
    given = _given("date", days, date_order=orders[0])
    others = (asked(date_order=order) for order in orders[1:])
    yield f"take dates as days with {', or '.join([given, *others])}"


def _what(column: ColumnLook) -> str:
    example = column.examples[0] if column.examples else ""
    shown = f"'{shortened(example, _LONGEST)}'"
    if column.others:
        return f"is a {column.kind} but for {column.others} of its values ({shown})"
    if column.kind == "text" and column.readings:
        return f"has a unit ({shown})"
    if len(column.readings) > 1:
        return f"may have decimal commas or thousands separators ({shown})"
    if column.readings and column.kind == "number with a comma":
        is_decimal = "decimal" in column.readings[0]
        return f"has {'decimal commas' if is_decimal else 'thousands separators'} ({shown})"
    match column.kind:
        case "empty":
            return "is empty"
        case "date in another form":
            return f"holds dates that are not year-month-day ({shown})"
        case "date" | "time":
            return f"holds {column.kind}s ({shown})"
        case "text" if column.levels is not None:
            return f"is text with {len(column.levels)} level{'s'[: len(column.levels) != 1]}"
        case "text":
            return f"is text with more than {MOST_LEVELS} levels ({shown})"
        case "nested":
            return "holds lists or objects"
        case "number with a comma":
            return f"has commas ({shown})"
        case "number with a point":
            return f"has decimal points ({shown})"
        case "number with a sign":
            return f"has signs ({shown})"
    return f"has thousands separators ({shown})"
