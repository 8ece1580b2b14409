"""A fitted ColumnTransformer as an encoding of a table's columns, and what is computed of that.

Filling in and one-hot encoding become the encoding; scalers stay what they are before a regressor.
"""

import math
import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from linexport.columns import Column
from linexport.encoding import CategoryColumn, EncodedColumn, Encoding, MissingLevel, NumberColumn
from linexport.errors import ModelError
from linexport.numerics import Scaled, Values, beside, input_columns
from linexport.sources._estimators import (
    fitted,
    is_passed_through,
    kind_of,
    transformed,
)

__all__ = ["Encoded", "category", "encoded", "feature_columns"]

_MOST_WHOLE = 10**15
"""Larger numbers are not written as whole ones everywhere."""
_Places = list[tuple[int, ...]]


class Encoded(NamedTuple):
    """What a ColumnTransformer makes of a table."""

    encoding: Encoding
    values: Values
    """In its order, of the encoding's features."""


class _Block(NamedTuple):
    """Columns that one transformer takes."""

    columns: list[EncodedColumn]
    places: _Places
    """For each value, the features that add up to it; counted from the block's first."""


def feature_columns(encoding: Encoding) -> tuple[Column, ...]:
    """Return the D features; those that are 0 or 1 have that range."""
    numbers = {c.name for c in encoding.columns if isinstance(c, NumberColumn)}
    return tuple(
        Column(name=name) if name in numbers else Column(name=name, minimum=0.0, maximum=1.0)
        for name in encoding.features
    )


def encoded(transformer: Any) -> Encoded:
    """Read a fitted ColumnTransformer.

    Raises:
        ModelError: If it is not fitted, or does what an encoding and scalers do not mean.
    """
    parts = fitted(transformer, "transformers_")
    taken = fitted(transformer, "_transformer_to_input_indices")
    names = getattr(transformer, "feature_names_in_", None)
    if names is None:
        raise ModelError(
            "The ColumnTransformer was fitted on an array, so its columns have no names: fit it on "
            "a table."
        )
    _require_once([str(names[i]) for name, part, _ in parts if _is_kept(part) for i in taken[name]])
    weights = transformer.transformer_weights or {}
    columns: list[EncodedColumn] = []
    values: list[Scaled] = []
    sums: _Places = []
    for name, part, _ in parts:
        chosen = [str(names[i]) for i in taken[name]]
        if not (_is_kept(part) and chosen):
            continue
        start = sum(len(column.features) for column in columns)
        block, steps = _block(_steps(part), chosen)
        flat = np.array([place for group in block.places for place in group], np.int64)
        made = _scaled(steps, block, input_columns(int(start + flat.size), 0).taken(start + flat))
        begin = sum(part.width for part in values)
        sums += _numbered(block.places, begin)
        values.append(made.times(np.array(float(weights[name]))) if name in weights else made)
        columns += block.columns
    if not values:
        raise ModelError("The ColumnTransformer keeps no column.")
    return Encoded(Encoding(columns=tuple(columns)), _added(beside(values), sums))


def _is_kept(part: Any) -> bool:
    return not (isinstance(part, str) and part == "drop")


def _require_once(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ModelError(
                f"The ColumnTransformer takes the column '{name}' twice: give it once, or fit on a "
                "table that has it under two names."
            )


def _steps(part: Any) -> list[Any]:
    """Return what is done, one after the other."""
    if is_passed_through(part):
        return []
    if kind_of(part) == "Pipeline":
        return [inner for _, step in part.steps for inner in _steps(step)]
    return [part]


def _block(steps: list[Any], names: list[str]) -> tuple[_Block, list[Any]]:
    """Return the columns, and the steps that are left."""
    imputer = steps[0] if steps and kind_of(steps[0]) == "SimpleImputer" else None
    rest = steps if imputer is None else steps[1:]
    if rest and kind_of(rest[0]) == "OneHotEncoder":
        return _categories(rest[0], imputer, names), rest[1:]
    return _numbers(imputer, names), rest


def _scaled(steps: list[Any], block: _Block, values: Scaled) -> Scaled:
    for step in steps:
        kind = kind_of(step)
        if kind in ("SimpleImputer", "OneHotEncoder"):
            raise ModelError(
                f"A {kind} is taken as the first step of its columns, not after others: an "
                "encoding fills in and encodes what the table has."
            )
        if any(len(group) > 1 for group in block.places):
            raise ModelError(
                f"A {kind} after a OneHotEncoder whose missing cells were filled in is not taken: "
                "leave it out, as its values are 0 and 1."
            )
        made = transformed(step, values)
        if not isinstance(made, Scaled):
            raise ModelError(f"A {kind} combines columns.")
        values = made
    return values


def _numbered(places: _Places, begin: int) -> _Places:
    """Return where the features of each group are, if each is there on its own."""
    ends = begin + np.cumsum([len(group) for group in places])
    return [
        tuple(range(int(end) - len(group), int(end)))
        for end, group in zip(ends, places, strict=True)
    ]


def _added(values: Scaled, sums: _Places) -> Values:
    """Return the values, with those that belong together added up."""
    if all(len(group) == 1 for group in sums):
        return values
    weight = np.zeros((len(sums), values.width))
    for row, group in enumerate(sums):
        weight[row, list(group)] = 1
    return values.through(weight)


def _numbers(imputer: Any, names: list[str]) -> _Block:
    """Return columns of numbers, their indicators behind all of them."""
    columns: list[EncodedColumn]
    if imputer is None:
        columns = [NumberColumn(name=name) for name in names]
        return _Block(columns, [(place,) for place in range(len(names))])
    fills = _fills(imputer, names)
    told = set(imputer.indicator_.features_.tolist()) if imputer.add_indicator else set()
    columns = []
    first: _Places = []
    behind: _Places = []
    place = 0
    for number, (name, fill) in enumerate(zip(names, fills, strict=True)):
        if isinstance(fill, str) or not math.isfinite(fill):
            raise ModelError(f"The SimpleImputer fills '{name}' with {fill!r}, which is no number.")
        columns.append(NumberColumn(name=name, fill=float(fill), indicator=number in told))
        first.append((place,))
        if number in told:
            behind.append((place + 1,))
        place += 1 + (number in told)
    return _Block(columns, first + behind)


def _fills(imputer: Any, names: list[str]) -> list[Any]:
    """Return what a SimpleImputer puts in for each column.

    Raises:
        ModelError: If it looks for another value than a missing one, or leaves a column out.
    """
    statistics = fitted(imputer, "statistics_")
    if not _is_missing(imputer.missing_values):
        raise ModelError(
            f"SimpleImputer(missing_values={imputer.missing_values!r}) replaces a value that is "
            "not missing: replace it in the table, and fit on that."
        )
    if getattr(imputer, "_fill_dtype", np.dtype(float)) == np.float32:
        statistics = statistics.astype(np.float32)
    fills = [fill.item() if isinstance(fill, np.generic) else fill for fill in statistics]
    for name, fill in zip(names, fills, strict=True):
        if _is_missing(fill):
            raise ModelError(
                f"The SimpleImputer saw no value of '{name}', so it has none to fill with: leave "
                "the column out."
            )
    return fills


def _categories(encoder: Any, imputer: Any, names: list[str]) -> _Block:
    """Return columns of levels."""
    categories = fitted(encoder, "categories_")
    _require_plain(encoder)
    if imputer is not None and imputer.add_indicator:
        raise ModelError("A OneHotEncoder after SimpleImputer(add_indicator=True) is not taken.")
    fills = [None] * len(names) if imputer is None else _fills(imputer, names)
    drops = [None] * len(names) if encoder.drop_idx_ is None else encoder.drop_idx_
    ignores = encoder.handle_unknown == "ignore"
    columns: list[EncodedColumn] = []
    places: _Places = []
    start = 0
    for name, found, drop, fill in zip(names, categories, drops, fills, strict=True):
        column, filled = category(name, list(found), drop, fill, ignores=ignores)
        width = len(column.features)
        own: _Places = [(start + place,) for place in range(width)]
        if filled is not None:  # the feature of missing cells, the last, counts as that level
            own[filled] += own.pop()
        columns.append(column)
        places += own
        start += width
    return _Block(columns, places)


def category(
    name: str, found: list[Any], drop: int | None, fill: Any, *, ignores: bool
) -> tuple[CategoryColumn, int | None]:
    """Return a column, and which of its features a filled cell has, if not one of its own.

    Args:
        name: Of the column.
        found: Its levels; None or NaN is that of missing cells, and the last.
        drop: The place of the one that is the reference.
        fill: What stands for a missing cell.
        ignores: Whether what is no level makes zeros.

    Raises:
        ModelError: If an encoding does not say it.
    """
    texts = [None if _is_missing(level) else _text(name, level) for level in found]
    levels = [text for text in texts if text is not None]
    if len(texts) - len(levels) > 1 or None in texts[:-1]:
        raise ModelError(f"'{name}' has two levels for what is missing, None and NaN: use one.")
    if fill is not None and None in texts:
        raise ModelError(f"The SimpleImputer leaves what is missing of '{name}': use NaN for it.")
    if drop is not None and texts[drop] is None:
        raise ModelError(
            f"The OneHotEncoder drops what is missing of '{name}', which cannot be the reference: "
            "drop another level."
        )
    reference = None if drop is None else texts[drop]
    if reference is None and ignores:  # a level where all features are 0, as for unknown ones
        reference = "(unknown)"
        while reference in levels:
            reference = f"({reference})"
        levels.append(reference)
    missing: MissingLevel = "reference" if ignores else "error"
    filled = None
    if None in texts:
        missing = "level"
    if fill is not None and (text := _text(name, fill)) in levels:
        missing = "reference"
        if text != reference:
            missing, filled = "level", [v for v in levels if v != reference].index(text)
    if missing == "level" and "missing" in levels and reference != "missing":
        raise ModelError(
            f"'{name}' has a level 'missing', which is what the feature of missing cells is called:"
            " call the level, or the imputer's fill_value, otherwise."
        )
    column = CategoryColumn(
        name=name,
        levels=tuple(levels),
        reference=reference,
        unknown="reference" if ignores else "error",
        missing=missing,
    )
    return column, filled


def _require_plain(encoder: Any) -> None:
    if any(part is not None for part in getattr(encoder, "infrequent_categories_", ())):
        raise ModelError(
            "The OneHotEncoder puts infrequent levels into one, which an encoding does not: leave "
            "out min_frequency and max_categories."
        )
    if encoder.handle_unknown not in ("error", "ignore"):
        raise ModelError(
            f"OneHotEncoder(handle_unknown={encoder.handle_unknown!r}) is not taken: use 'error' "
            "or 'ignore'."
        )


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ == "NAType" or value != value


def _text(name: str, level: Any) -> str:
    """Return a level as an encoding spells it.

    Raises:
        ModelError: If it has no one spelling.
    """
    if isinstance(level, bool | np.bool_):
        return "true" if level else "false"
    if isinstance(level, str):
        if unicodedata.normalize("NFC", level) != level:
            raise ModelError(f"The level {level!r} of '{name}' is not in Unicode's form NFC.")
        return str(level)
    if isinstance(level, int | float | np.integer | np.floating):
        number = float(level)
        if number.is_integer() and abs(number) <= _MOST_WHOLE:
            return str(int(number))
    raise ModelError(
        f"The level {level!r} of '{name}' is neither text nor a whole number nor a truth value: "
        "make it text."
    )
