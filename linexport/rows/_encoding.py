"""Which encoding the columns of a table get, by what they hold.

Levels and fills are those of all rows of the table, in the training part and in the test part.
"""

import math
from collections.abc import Collection, Sequence
from functools import partial
from typing import NamedTuple

from msgspec.structs import replace

from linexport._asked import asked
from linexport.columns import listed, require_known, split_names
from linexport.encoding import (
    BOOLEANS,
    CategoryColumn,
    DateColumn,
    EncodedColumn,
    Encoding,
    MissingLevel,
    Undecided,
)
from linexport.errors import ConfigError, DataError, ModelError
from linexport.rows._config import DataConfig
from linexport.rows._dataset import require_rows
from linexport.rows._fills import numbers_of, part_of_numbers
from linexport.rows._missing import MissingRules, by_column
from linexport.tables import ColumnLook, Table, look

MOST_CATEGORIES = 1000
"""Levels of a column that is named: each is a feature."""
_DAYS = "days-since:"
_AUTO = "auto"
_NO_LEVEL = "(none)"
"""Stands in a part where a category has no value at all; no row is of it, so a merge drops it."""


class Chosen(NamedTuple):
    """An encoding, and what to tell the user of it."""

    encoding: Encoding
    notes: tuple[str, ...]
    undecided: Undecided
    """Of a part; nothing otherwise."""


def choose_encoding(
    table: Table,
    features: Sequence[str],
    config: DataConfig,
    rules: MissingRules,
) -> Chosen:
    """Say what becomes of each of the features, after a look at the categories and at the fills.

    Of a part of the rows, what all of them decide is left open.

    Raises:
        DataError: If a column is not there, has no levels or too many, or no value to fill with.
        ConfigError: If what is asked for cannot be.
    """
    source = table.source
    dates = _dates(config, features, source)
    looks, auto = _categories(table, features, config, dates, rules)
    _, references = by_column(config.reference or (), features, source)
    for name in references:
        if name not in looks:
            raise ConfigError(f"'{name}' has a reference, so add {asked(categorical=[name])}.")
    rest = [name for name in features if name not in looks and name not in dates]
    numbers = (part_of_numbers if rules.of_part else partial(numbers_of, table))(
        rest, config, rules
    )

    def column(name: str) -> EncodedColumn:
        if name in dates:
            rules.of_other(name, "is a date")
            return dates[name]
        if name in looks:
            return _category(looks[name], references.get(name), config, rules, source)
        return numbers[name]

    try:
        encoding = Encoding(columns=tuple(map(column, features)))
    except ModelError as error:
        raise DataError(str(error), source=source) from error
    if not rules.of_part:
        return Chosen(encoding, taken_as_categories(encoding, auto), Undecided())
    means = tuple(name for name in rest if rules.of_number(name) == "mean")
    indicators = config.missing_indicator
    return Chosen(encoding, (), Undecided(auto=tuple(auto), means=means, indicators=indicators))


def taken_as_categories(encoding: Encoding, names: Sequence[str]) -> tuple[str, ...]:
    """Return what to tell the user of columns that nobody named and that are categories."""
    columns = [c for c in encoding.columns if isinstance(c, CategoryColumn) and c.name in names]
    return (f"Taken as categories: {'; '.join(map(_said, columns))}.",) if columns else ()


def _said(column: CategoryColumn) -> str:
    against = "" if column.reference is None else f", against '{column.reference}'"
    return f"'{column.name}' ({len(column.levels)} levels{against})"


def _dates(config: DataConfig, features: Sequence[str], source: str) -> dict[str, DateColumn]:
    nameless, found = by_column(config.date or (), features, source)
    wrong = [*nameless, *(what for what in found.values() if not what.startswith(_DAYS))]
    if wrong:
        raise ConfigError(f"date must be NAME={_DAYS}DATE, as listed={_DAYS}2020-01-01.")
    try:
        return {
            name: DateColumn(name=name, origin=what.removeprefix(_DAYS))
            for name, what in found.items()
        }
    except ModelError as error:
        raise ConfigError(str(error)) from error


def _categories(
    table: Table,
    features: Sequence[str],
    config: DataConfig,
    dates: dict[str, DateColumn],
    rules: MissingRules,
) -> tuple[dict[str, ColumnLook], list[str]]:
    """Return what the categories hold, and which of them were not named."""
    asked = split_names(config.categorical or (), table.names)
    named = [name for name in asked if name in table.names or name != _AUTO]
    require_known(named, table.names, table.source)
    for name in named:
        if name not in features or name in dates:
            what = "a date" if name in dates else "no feature"
            raise ConfigError(f"'{name}' is {what}, so it cannot be categorical.")
    is_auto = len(named) < len(asked)
    wanted = [name for name in features if name in named or (is_auto and name not in dates)]
    if not wanted:
        return {}, []
    most = dict.fromkeys(named, MOST_CATEGORIES)
    seen = look(table, wanted, most_levels=most)
    require_rows(seen.rows, table.source)
    found = {each.name: each for each in seen.columns}
    categories = {name: found.pop(name) for name in named}
    of_part = rules.of_part
    auto = [c.name for c in found.values() if (c.may_be_category if of_part else c.is_category)]
    categories |= {name: found.pop(name) for name in auto}
    _require_values(found.values(), categories.values(), rules, table.source)
    if of_part:
        for name, each in categories.items():
            categories[name] = replace(
                each, levels={_NO_LEVEL: 0} if each.levels == {} else each.levels
            )
    return categories, auto


def _require_values(
    numbers: Collection[ColumnLook],
    categories: Collection[ColumnLook],
    rules: MissingRules,
    source: str,
) -> None:
    """Raise DataError of all columns at once that lack values for which nothing stands."""
    if not all(column.is_usable for column in numbers):
        return  # which whoever reads them says first
    filled = [c for c in numbers if c.missing and rules.of_number(c.name) == "error"]
    levels = [
        c for c in categories if c.levels and c.missing and rules.of_category(c.name) == "error"
    ]
    if filled or levels:
        said = [
            f"'{c.name}' lacks {c.missing} value{'s'[: c.missing > 1]}" for c in filled + levels
        ]
        remedies = [
            *([f"fill numbers in with {rules.to_fill()}"] if filled else []),
            *([f"make what is missing a level with {asked(missing='level')}"] if levels else []),
        ]
        raise DataError(
            f"{'; '.join(said)}: {' and '.join(remedies)}, or leave such rows out with "
            f"{rules.to_drop(c.name for c in filled + levels)}.",
            source=source,
        )


def _category(
    found: ColumnLook,
    reference: str | None,
    config: DataConfig,
    rules: MissingRules,
    source: str,
) -> CategoryColumn:
    counts = _levels(found, source)
    missing = rules.of_category(found.name)
    levels = sorted(counts, key=in_order_of_levels)
    if reference is None and "none" not in (config.reference or ()):
        reference = max(levels, key=lambda level: counts[level])
    kept: MissingLevel = "error"
    if missing == "reference" or (missing == "level" and found.missing):
        kept = "level" if missing == "level" else "reference"
    column = CategoryColumn(
        name=found.name,
        levels=tuple(levels),
        reference=None,
        unknown=config.unknown,
        missing=kept,
    )
    require_reference(column, reference, source)
    return replace(column, reference=reference)


def require_reference(column: CategoryColumn, reference: str | None, source: str) -> None:
    """Check that the levels of a column can be compared with one of them, or with none.

    Raises:
        DataError: If it is no level, or the only one.
    """
    problem = None
    if reference is not None and reference not in column.levels:
        levels = listed(column.levels)
        problem = f"The reference '{reference}' is no level; its levels are {levels}."
    elif len(column.levels) == 1 and reference is not None and column.missing != "level":
        problem = (
            f"It has one level, '{reference}', so it tells nothing: leave it out with "
            f"{asked(exclude=[column.name])}."
        )
    if problem is not None:
        raise DataError(problem, source=source, column=column.name)


def _levels(found: ColumnLook, source: str) -> dict[str, int]:
    """Return rows by level; truth values are two, and 7.0 is 7 where both occur."""
    problem = None
    if found.levels is None:
        problem = f"It has more than {MOST_CATEGORIES} levels, each of which would be a feature"
    elif not found.levels:
        problem = "It is empty"
    if problem is not None or found.levels is None:
        raise DataError(
            f"{problem}: leave it out with {asked(exclude=[found.name])}.",
            source=source,
            column=found.name,
        )
    is_boolean = found.levels.keys() <= BOOLEANS.keys()
    counts: dict[str, int] = {}
    for level, count in found.levels.items():
        spelled = level.removesuffix(".0") if level.removesuffix(".0") in found.levels else level
        if is_boolean:
            spelled = "true" if BOOLEANS[level] else "false"
        counts[spelled] = counts.get(spelled, 0) + count
    return counts


def in_order_of_levels(level: str) -> tuple[float, str]:
    """Numbers first, by size; then text."""
    try:
        size = float(level)
    except ValueError:
        size = math.inf
    return (math.inf if math.isnan(size) else size, level)
