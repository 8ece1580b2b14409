"""Which encoding the columns of a table get, by what they hold.

Levels and fills are those of all rows of the table, in the training part and in the test part.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from linexport._arrays import Float64Array, FloatArray
from linexport.columns import listed, option, require_known, split_names
from linexport.encoding import (
    BOOLEANS,
    CategoryColumn,
    DateColumn,
    EncodedColumn,
    Encoding,
    MissingLevel,
    NumberColumn,
)
from linexport.errors import ConfigError, DataError, ModelError
from linexport.rows._config import FILLS, EncodingConfig
from linexport.rows._dataset import require_rows
from linexport.rows._missing import MissingRules, by_column
from linexport.rows._unusable import explained
from linexport.tables import Batch, ColumnLook, Table, look

MOST_CATEGORIES = 1000
"""Levels of a column that is named: each is a feature."""
_DAYS = "days-since:"
_AUTO = "auto"


class Chosen(NamedTuple):
    """An encoding, and what to tell the user of it."""

    encoding: Encoding
    notes: tuple[str, ...]


def choose_encoding(
    table: Table, features: Sequence[str], config: EncodingConfig, rules: MissingRules
) -> Chosen:
    """Say what becomes of each of the features, after a look at the categories and at the fills.

    Raises:
        DataError: If a column is not there, has no levels or too many, or no value to fill with.
        ConfigError: If what is asked for cannot be.
    """
    source = table.source
    dates = _dates(config, features, source)
    looks, notes = _categories(table, features, config, dates, rules)
    _, references = by_column(config.reference or (), features, source)
    for name in references:
        if name not in looks:
            raise ConfigError(
                f"'{name}' has a reference, so add {option('--categorical', [name])}."
            )
    rest = [name for name in features if name not in looks and name not in dates]
    numbers = _numbers(table, rest, config, rules)

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
    if notes:
        notes = [f"Taken as categories: {'; '.join(map(_said, _of(encoding, notes)))}."]
    return Chosen(encoding, tuple(notes))


def _of(encoding: Encoding, names: Sequence[str]) -> list[CategoryColumn]:
    return [c for c in encoding.columns if isinstance(c, CategoryColumn) and c.name in names]


def _said(column: CategoryColumn) -> str:
    against = "" if column.reference is None else f", against '{column.reference}'"
    return f"'{column.name}' ({len(column.levels)} levels{against})"


def _dates(config: EncodingConfig, features: Sequence[str], source: str) -> dict[str, DateColumn]:
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
    config: EncodingConfig,
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
    auto = [name for name in found if name not in named and found[name].is_category]
    categories = {name: found.pop(name) for name in (*named, *auto)}
    _require_values(found.values(), categories.values(), rules, table.source)
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
            *(["fill numbers in with --missing median"] if filled else []),
            *(["make what is missing a level with --missing level"] if levels else []),
        ]
        raise DataError(
            f"{'; '.join(said)}: {' and '.join(remedies)}, or leave such rows out with "
            "--missing drop.",
            source=source,
        )


def _category(
    found: ColumnLook,
    reference: str | None,
    config: EncodingConfig,
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
    return msgspec.structs.replace(column, reference=reference)


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
            f"{option('--exclude', [column.name])}."
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
            f"{problem}: leave it out with {option('--exclude', [found.name])}.",
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


def _numbers(
    table: Table, names: Sequence[str], config: EncodingConfig, rules: MissingRules
) -> dict[str, NumberColumn]:
    """Return the columns of numbers, with what stands for a missing value where one may."""
    what = {name: rules.of_number(name) for name in names}
    filled = [name for name in names if what[name] in FILLS]
    fills = dict.fromkeys(filled, 0.0)
    lacking = set(filled)
    if [name for name in filled if what[name] != "zero"] or (filled and config.missing_indicator):
        fills, lacking = _fills(table, filled, what)
    return {
        name: NumberColumn(
            name=name,
            fill=fills.get(name),
            indicator=config.missing_indicator and name in lacking,
        )
        for name in names
    }


def _fills(
    table: Table, names: Sequence[str], what: dict[str, str]
) -> tuple[dict[str, float], set[str]]:
    """Return what stands for a missing value of each column, and which columns lack one.

    Raises:
        DataError: If a column has no value to fill with, or the mean is beyond float64.
    """
    seen = {name: _Present(what[name]) for name in names}
    for batch in _numbers_of(table, names):
        for column, values in zip(seen.values(), batch.numbers().T, strict=True):
            column.add(values)
    for name, column in seen.items():
        if not math.isfinite(column.fill):
            raise DataError(
                f"It has no finite {column.what} to fill with; leave it out with "
                f"{option('--exclude', [name])}.",
                source=table.source,
                column=name,
            )
    return (
        {name: column.fill for name, column in seen.items()},
        {name for name, column in seen.items() if column.lacks},
    )


def _numbers_of(table: Table, names: Sequence[str]) -> Iterator[Batch]:
    """Yield batches of some columns, or say of all of them that hold no numbers."""
    try:
        yield from table.batches(names)
    except DataError as error:
        raise explained(error, table, names) from error


class _Present:
    """The values of a column that are there; for a median they are held, 8 bytes each."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.lacks = False
        self._count = 0
        self._sums: list[float] = []
        self._values: list[Float64Array] = []

    def add(self, values: FloatArray) -> None:
        present = values[~np.isnan(values)].astype(np.float64)
        self.lacks |= len(present) < len(values)
        self._count += len(present)
        if self.what == "median":
            self._values.append(present)
        elif self.what == "mean":
            with np.errstate(over="ignore", invalid="ignore"):
                self._sums.append(float(present.sum()))

    @property
    def fill(self) -> float:
        """Not finite where there is none."""
        if self.what == "zero" or not self._count:
            return 0.0 if self.what == "zero" else math.nan
        if self.what == "median":
            return float(np.median(np.concatenate(self._values)))
        return math.fsum(self._sums) / self._count if np.isfinite(self._sums).all() else math.nan
