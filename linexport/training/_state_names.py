"""The columns of a state: what parts must agree on, and how their levels become one set."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from linexport.columns import Column, require_known, split_names
from linexport.encoding import CategoryColumn, EncodedColumn, Encoding, Undecided
from linexport.errors import DataError
from linexport.fit import Weighting
from linexport.rows import Rows, in_order_of_levels

Feature: TypeAlias = tuple[str, str | None]
"""A column, and the level that is 1; None for a number or a date, and "" where it is missing."""


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What the rows of a state are made of."""

    features: tuple[str, ...]
    """D, in the order of the sums; of categories one for each level."""
    targets: tuple[str, ...]
    weighting: Weighting | None
    encoding: Encoding | None
    """Of the table's columns, without a reference; None where features are its columns."""
    features_named: bool
    undecided: Undecided = Undecided()
    """What of the encoding the fit decides."""

    def __post_init__(self) -> None:
        for name in (*self.features, *self.targets):
            Column(name=name)
        if self.encoding is not None and self.encoding.features != self.features:
            raise ValueError("the features are not those of the encoding")
        if len(self.marks) < len(self.undecided.means):
            raise ValueError("what is missing of a column is not marked")

    @classmethod
    def of(cls, rows: Rows, undecided: Undecided) -> "Names":
        """Return those of rows."""
        return cls(
            features=tuple(column.name for column in rows.features),
            targets=tuple(column.name for column in rows.targets),
            weighting=rows.weighting,
            encoding=rows.encoding,
            features_named=rows.features_named,
            undecided=undecided,
        )

    @property
    def num_columns(self) -> int:
        """D + K."""
        return len(self.features) + len(self.targets)

    def columns_of_features(self) -> list[Feature]:
        """Say what each feature is made of."""
        if self.encoding is None:
            return [(name, None) for name in self.features]
        return [feature for column in self.encoding.columns for feature in _features(column)]

    def places_in(self, other: "Names") -> NDArray[np.intp]:
        """Return the place in others of each of these columns and of the ones; -1 for none."""
        places: dict[Feature, int] = {
            feature: place for place, feature in enumerate(other.columns_of_features())
        }
        found = [_place(feature, places) for feature in self.columns_of_features()]
        rest = range(len(other.features), other.num_columns + 1)
        return np.array([*found, *rest], dtype=np.intp)

    @property
    def marks(self) -> dict[str, int]:
        """Place of the feature that marks what is missing of a number that the mean will fill.

        By its name; the number itself is the feature before.
        """
        places = enumerate(self.columns_of_features())
        return {name: k for k, (name, x) in places if x == "" and name in self.undecided.means}

    def with_columns(self, changed: Mapping[str, EncodedColumn]) -> "Names":
        """Return these with some columns encoded in another way."""
        if self.encoding is None:
            return self
        columns = tuple(changed.get(c.name, c) for c in self.encoding.columns)
        encoding = Encoding(columns=columns)
        return msgspec.structs.replace(self, encoding=encoding, features=encoding.features)

    def excluding(self, names: str | Sequence[str], source: str) -> "Names":
        """Return these without some columns of the table.

        Raises:
            DataError: If there is no such column, or none is left.
        """
        table = list(dict.fromkeys(name for name, _ in self.columns_of_features()))
        gone = set(split_names(names, table))
        require_known(sorted(gone), table, source)
        if len(gone) == len(table):
            raise DataError("No feature is left to predict from.", source=source)
        features, encoding = tuple(x for x in self.features if x not in gone), self.encoding
        if encoding is not None:
            encoding = Encoding(columns=tuple(c for c in encoding.columns if c.name not in gone))
            features = encoding.features
        means = tuple(name for name in self.undecided.means if name not in gone)
        undecided = msgspec.structs.replace(self.undecided, means=means)
        return msgspec.structs.replace(
            self, features=features, encoding=encoding, undecided=undecided
        )

    def without(self, empty: NDArray[np.bool_]) -> "Names":
        """Return these without the levels that no row has; `empty` has shape (D,)."""
        gone = {
            feature
            for feature, is_gone in zip(self.columns_of_features(), empty, strict=True)
            if is_gone and feature[1] is not None
        }
        if not gone:
            return self
        return self.with_columns({c.name: _without(c, gone) for c in self.categories})

    @property
    def categories(self) -> list[CategoryColumn]:
        """Columns of levels."""
        columns = () if self.encoding is None else self.encoding.columns
        return [column for column in columns if isinstance(column, CategoryColumn)]


class United(NamedTuple):
    """The columns of two states together, and where those of each are; of places, see `Names`."""

    names: Names
    first: NDArray[np.intp]
    second: NDArray[np.intp]


def united(first: Names, second: Names, source: str) -> United:
    """Return the columns of two states, whose levels may differ.

    Raises:
        DataError: If anything else differs.
    """
    _require_same("targets", first.targets, second.targets, source)
    _require_same("weights", _weights(first), _weights(second), source)
    if first.encoding is None and second.encoding is None:
        _require_same("features", first.features, second.features, source)
        names = first
    else:
        _require_same("features", _kinds(first), _kinds(second), source)
        others = {column.name: column for column in second.categories}
        names = first.with_columns({c.name: _union(c, others[c.name]) for c in first.categories})
    named = first.features_named and second.features_named
    auto = tuple(name for name in first.undecided.auto if name in second.undecided.auto)
    undecided = msgspec.structs.replace(first.undecided, auto=auto)
    names = msgspec.structs.replace(names, features_named=named, undecided=undecided)
    return United(names, first.places_in(names), second.places_in(names))


def _features(column: EncodedColumn) -> list[Feature]:
    if not isinstance(column, CategoryColumn):
        mark = [(column.name, "")] if getattr(column, "indicator", False) else []
        return [(column.name, None), *mark]
    missing = [(column.name, "")] if column.missing == "level" else []
    return [*((column.name, level) for level in column.featured), *missing]


def _place(feature: Feature, places: dict[Feature, int]) -> int:
    name, level = feature
    if level is not None and feature not in places:
        return places.get((name, level.removesuffix(".0")), -1)
    return places.get(feature, -1)


def _without(column: CategoryColumn, gone: set[Feature]) -> CategoryColumn:
    levels = tuple(level for level in column.levels if (column.name, level) not in gone)
    missing = column.missing
    if (column.name, "") in gone:
        missing = "error"
    # One level stays, which no row has, where there is nothing but rows that lack a value.
    return msgspec.structs.replace(column, levels=levels or column.levels[:1], missing=missing)


def _union(first: CategoryColumn, second: CategoryColumn) -> CategoryColumn:
    """Return all levels of both; 7.0 is 7 where both occur, as within one table."""
    levels = {*first.levels, *second.levels}
    levels = {x for x in levels if x == x.removesuffix(".0") or x.removesuffix(".0") not in levels}
    missing = "level" if "level" in (first.missing, second.missing) else first.missing
    ordered = tuple(sorted(levels, key=in_order_of_levels))
    return msgspec.structs.replace(first, levels=ordered, missing=missing)


def _kinds(names: Names) -> tuple[str, ...]:
    """Return what must be the same of each column, in words."""
    if names.encoding is None:
        return tuple(f"{name} (number)" for name in names.features)
    return tuple(_kind(column, names.undecided) for column in names.encoding.columns)


def _kind(column: EncodedColumn, undecided: Undecided) -> str:
    if isinstance(column, CategoryColumn):
        return f"{column.name} (categories)"
    kept = [f"{field} {value}" for field, value in _settings(column, undecided).items()]
    return f"{column.name} ({', '.join(kept) or 'number'})"


def _settings(column: EncodedColumn, undecided: Undecided) -> dict[str, object]:
    fields = ("fill", "indicator", "origin")
    found = {field: getattr(column, field, None) for field in fields}
    if column.name in undecided.means:
        found |= {"fill": "mean", "indicator": undecided.indicators}
    return {
        field: value for field, value in found.items() if value is not None and value is not False
    }


def _weights(names: Names) -> tuple[str, ...]:
    weighting = names.weighting
    return () if weighting is None else (f"{weighting.column} ({weighting.kind})",)


def _require_same(what: str, ours: tuple[str, ...], theirs: tuple[str, ...], source: str) -> None:
    if ours == theirs:
        return
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=False) if a != b]
    if pairs:
        (a, b), more = pairs[0], ""
    else:
        a, b = (f"{len(names)} of them" if names else "none" for names in (ours, theirs))
        longer = max(ours, theirs, key=len)
        more = f"; one has '{longer[min(len(ours), len(theirs))]}', the other lacks it"
    raise DataError(
        f"States of different {what} cannot be merged: {a} here, {b} there{more}. Make both with "
        "the same targets, features, weights, missing, and categories by name, not auto.",
        source=source,
    )
