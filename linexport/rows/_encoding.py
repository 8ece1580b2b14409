"""Which encoding the columns of a table get, by what they hold.

Levels and fills are those of the rows that are not left out, in the training part and in the test
part.
"""

import math
from collections.abc import Collection, Sequence
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
    NumberColumn,
    Undecided,
)
from linexport.errors import ConfigError, DataError, ModelError
from linexport.rows._config import FILLS, DataConfig
from linexport.rows._counted import Counted
from linexport.rows._dataset import require_rows
from linexport.rows._missing import MissingRules, by_column
from linexport.tables import ColumnLook, Table, look

MOST_CATEGORIES = 1000
"""Levels of a column that is named: each is a feature."""
_DAYS = "days-since:"
_AUTO = "auto"
_NO_LEVEL = "(none)"
"""Stands in a part where a category has no value at all; no row is of it, so a merge drops it."""


class Draft(NamedTuple):
    """An encoding in which each level has a feature, and each number that is filled a mark."""

    encoding: Encoding
    looks: dict[str, ColumnLook]
    """Of its categories."""
    references: dict[str, str]
    """What was said that levels are compared with, by column."""
    auto: tuple[str, ...]
    """The categories that nobody named."""
    fills: dict[str, str]
    """What fills each number that has a mark."""


def draft_encoding(
    table: Table,
    features: Sequence[str],
    config: DataConfig,
    rules: MissingRules,
) -> Draft:
    """Say what becomes of each of the features, as far as it does not depend on which rows count.

    Raises:
        DataError: If a column is not there, or has no levels or too many.
        ConfigError: If what is asked for cannot be.
    """
    source = table.source
    dates = _dates(config, table, features)
    looks, auto = _categories(table, features, config, dates, rules)
    _, references = _by_feature(config.reference or (), table, features, "have a reference")
    for name in references:
        if name not in looks:
            raise ConfigError(f"'{name}' has a reference, so add {asked(categorical=[name])}.")
    fills = dict[str, str]()

    def column(name: str) -> EncodedColumn:
        if name in dates:
            rules.of_other(name, "is a date")
            return dates[name]
        if name in looks:
            counts, lacks = _levels(looks[name], source), looks[name].missing > 0
            return _category(name, counts, config, rules, lacks=lacks)
        what = rules.of_number(name)
        if what not in FILLS:
            return NumberColumn(name=name)
        is_marked = what != "zero" or config.missing_indicator
        if is_marked:
            fills[name] = what
        return NumberColumn(name=name, fill=0.0, indicator=is_marked)

    try:
        encoding = Encoding(columns=tuple(map(column, features)))
    except ModelError as error:
        raise DataError(str(error), source=source) from error
    return Draft(encoding, looks, references, tuple(auto), fills)


def undecided(draft: Draft, config: DataConfig) -> Undecided:
    """Return what of a part's encoding all rows decide."""
    means = tuple(name for name, what in draft.fills.items() if what == "mean")
    return Undecided(auto=draft.auto, means=means, indicators=config.missing_indicator)


def decided(
    draft: Draft, rows: Counted | None, config: DataConfig, rules: MissingRules, source: str
) -> Encoding:
    """Return the encoding that the rows make of a draft.

    Args:
        draft: Of them.
        rows: What those that count hold; None where all do, and none is filled.
        config: What was asked for.
        rules: What was said of missing values.
        source: Where the rows come from.

    Raises:
        DataError: If a reference is no level, there is but one, or no value to fill with.
    """

    def column(of: EncodedColumn) -> EncodedColumn:
        if isinstance(of, CategoryColumn):
            if rows is None:
                counts, lacks = _levels(draft.looks[of.name], source), of.missing == "level"
            else:
                counts, lacks = rows.levels(of)
            made = _category(of.name, counts or of.levels[:1], config, rules, lacks=lacks)
            return _compared(made, counts, draft.references.get(of.name), config, source)
        if rows is None or not isinstance(of, NumberColumn) or of.name not in draft.fills:
            return of
        return NumberColumn(
            name=of.name,
            fill=rows.fill(of.name, source),
            indicator=config.missing_indicator and rows.lacks(of.name),
        )

    return Encoding(columns=tuple(map(column, draft.encoding.columns)))


def taken_as_categories(encoding: Encoding, names: Sequence[str]) -> tuple[str, ...]:
    """Return what to tell the user of columns that nobody named and that are categories."""
    columns = [c for c in encoding.columns if isinstance(c, CategoryColumn) and c.name in names]
    return (f"Taken as categories: {'; '.join(map(_said, columns))}.",) if columns else ()


def _said(column: CategoryColumn) -> str:
    against = "" if column.reference is None else f", against '{column.reference}'"
    return f"'{column.name}' ({len(column.levels)} levels{against})"


def _by_feature(
    values: Sequence[str], table: Table, features: Sequence[str], what: str
) -> tuple[list[str], dict[str, str]]:
    """Take apart what is said of features, as `by_column`; another column is told as one."""
    nameless, found = by_column(values, table.names, table.source)
    for name in found:
        if name not in features:
            raise ConfigError(f"'{name}' is no feature, so it cannot {what}.")
    return nameless, found


def _dates(config: DataConfig, table: Table, features: Sequence[str]) -> dict[str, DateColumn]:
    nameless, found = _by_feature(config.date or (), table, features, "be taken as days")
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
    asked = list(dict.fromkeys(split_names(config.categorical or (), table.names)))
    named = [name for name in asked if name in table.names or name != _AUTO]
    require_known(named, table.names, table.source)
    for name in named:
        if name not in features or name in dates:
            what = "a date" if name in dates else "no feature"
            raise ConfigError(
                f"'{name}' is {what}, so it cannot be categorical: say one of the two of it."
            )
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
    name: str, counts: Collection[str], config: DataConfig, rules: MissingRules, *, lacks: bool
) -> CategoryColumn:
    """Return a category of which each level has a feature."""
    missing = rules.of_category(name)
    kept: MissingLevel = "error"
    if missing == "reference" or (missing == "level" and lacks):
        kept = "level" if missing == "level" else "reference"
    return CategoryColumn(
        name=name,
        levels=tuple(sorted(counts, key=in_order_of_levels)),
        reference=None,
        unknown=config.unknown,
        missing=kept,
    )


def _compared(
    column: CategoryColumn,
    counts: dict[str, int],
    reference: str | None,
    config: DataConfig,
    source: str,
) -> CategoryColumn:
    """Return a category whose levels are compared with one, the most frequent if none is named."""
    if reference is None and "none" not in (config.reference or ()):
        reference = max(column.levels, key=lambda level: counts.get(level, 0))
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
