"""A fitted OneHotEncoder as categories of an encoding."""

import unicodedata
from typing import Any

import numpy as np

from linexport.encoding import CategoryColumn, MissingLevel
from linexport.errors import ModelError, shortened
from linexport.numerics import Values
from linexport.sources._cells import Cells, fills, is_missing, require_cells
from linexport.sources._estimators import fitted

__all__ = ["category", "one_hot"]

_MOST_WHOLE = 10**15
"""Larger numbers are not written as whole ones everywhere."""


def one_hot(encoder: Any, values: Cells | Values) -> Values:
    """Return a value for each level that is not dropped.

    Raises:
        ModelError: If it is not fitted, or does what an encoding does not mean.
    """
    cells = require_cells(encoder, values)
    categories = fitted(encoder, "categories_")
    _require_plain(encoder)
    if cells.imputer is not None and cells.imputer.add_indicator:
        raise ModelError(
            "A OneHotEncoder after SimpleImputer(add_indicator=True) is not taken: leave "
            "add_indicator out, and what is missing to the OneHotEncoder."
        )
    count = len(cells.places)
    filling = [None] * count if cells.imputer is None else fills(cells.imputer, cells)
    drops = [None] * count if encoder.drop_idx_ is None else encoder.drop_idx_
    ignores = encoder.handle_unknown == "ignore"
    groups: list[list[int]] = []
    for place, found, drop, fill in zip(cells.places, categories, drops, filling, strict=True):
        name = cells.table.name(place)
        column, also = category(name, list(found), drop, fill, ignores=ignores)
        start = cells.table.require(place, column)
        own = [[start + offset] for offset in range(len(column.features))]
        if also is not None:  # the feature of missing cells, the last, counts as that level
            own[also] += own.pop()
        groups += own
    return _added(cells, groups)


def _added(cells: Cells, groups: list[list[int]]) -> Values:
    """Return the features of each group, added up."""
    values = cells.table.values([feature for group in groups for feature in group])
    if values.width == len(groups):
        return values
    weight = np.zeros((len(groups), values.width))
    ends = np.cumsum([len(group) for group in groups])
    for row, group, end in zip(weight, groups, ends, strict=True):
        row[end - len(group) : end] = 1
    return values.through(weight)


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
    texts = [None if is_missing(level) else _text(name, level) for level in found]
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


def _text(name: str, level: Any) -> str:
    """Return a level as an encoding spells it.

    Raises:
        ModelError: If it has no one spelling.
    """
    if isinstance(level, bool | np.bool_):
        return "true" if level else "false"
    if isinstance(level, str):
        _require_printable(name, str(level))
        return str(level)
    shown = shortened(str(level))
    if isinstance(level, int | float | np.integer | np.floating):
        number = float(level)
        if abs(number) > _MOST_WHOLE:
            raise ModelError(f"The level {shown} of '{name}' is beyond 10^15: make it text.")
        if number.is_integer():
            return str(int(number))
    raise ModelError(
        f"The level {shown} of '{name}' is neither text nor a whole number nor a truth value: make "
        "it text."
    )


def _require_printable(name: str, level: str) -> None:
    """Check that a level is what an encoding makes of its own cells."""
    if unicodedata.normalize("NFC", level).strip() != level or not level:
        raise ModelError(
            f"The level {shortened(repr(level))} of '{name}' is another cell to an encoding, in "
            "which empty text is missing, white space around does not count, and Unicode is in "
            "form NFC: clean the column so, and fit again."
        )


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
