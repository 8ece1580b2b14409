"""What a fit makes of sums: levels compared with one of them, means where numbers were missing."""

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec.structs import replace

from linexport._asked import asked
from linexport.columns import named_columns
from linexport.encoding import EncodedColumn, NumberColumn, Undecided, Unknown
from linexport.errors import DataError
from linexport.least_squares import ExactSums, SummedRows
from linexport.rows import by_column, require_reference, taken_as_categories
from linexport.tables import MOST_LEVELS
from linexport.training._summary import Counted, Summary, hull

SOURCE = "the state"


def rows_of(
    summary: Summary, counted: Counted, reference: Sequence[str], unknown: Unknown
) -> SummedRows:
    """Return what least squares takes.

    Args:
        summary: Of all rows.
        counted: Its sums.
        reference: The level that others are compared with, as NAME=LEVEL, or none.
        unknown: What becomes of a level that occurs only when predicting.

    Raises:
        DataError: If a reference is no level, there is but one, or there are too many of a column
            that nobody named; or if a column has no number to fill with.
    """
    names = counted.names
    _require_few_levels(counted)
    means = _means(counted)
    changed = _compared(counted, reference, unknown) | _marked_or_not(counted, means)
    used = replace(names, undecided=Undecided(auto=names.undecided.auto)).with_columns(changed)
    places = names.places_in(used)
    minimum, maximum, roundoff = hull(counted)[:, places[:-1] >= 0]
    auto = used.undecided.auto
    return SummedRows(
        features=named_columns(used.features, SOURCE),
        targets=named_columns(used.targets, SOURCE),
        sums=_filled(counted, means).placed(places, used.num_columns + 1),
        minimum=minimum,
        maximum=maximum,
        unit_roundoff=roundoff,
        source=SOURCE,
        rows_dropped=summary.rows_dropped,
        weighting=used.weighting,
        encoding=used.encoding,
        notes=() if used.encoding is None else taken_as_categories(used.encoding, auto),
        features_named=used.features_named,
    )


def _require_few_levels(counted: Counted) -> None:
    """Check that the columns that nobody named are categories by all rows too.

    Raises:
        DataError: If one has as many levels as rows, or more than are counted.
    """
    rows = _rows_of_levels(counted)
    for column in counted.names.categories:
        if column.name not in counted.names.undecided.auto:
            continue
        most = min(MOST_LEVELS, sum(rows[column.name].values()) - 1)
        if len(column.levels) > most:
            named, left_out = asked(categorical=[column.name]), asked(exclude=[column.name])
            raise DataError(
                f"It has {len(column.levels)} levels in all parts, and auto takes {most} at most: "
                f"make the states with {named}, or fit with {left_out}.",
                source=SOURCE,
                column=column.name,
            )


def _rows_of_levels(counted: Counted) -> dict[str, dict[str, int]]:
    """Return how many rows have each level of each category."""
    rows: dict[str, dict[str, int]] = {column.name: {} for column in counted.names.categories}
    features = counted.names.columns_of_features()
    for (name, level), count in zip(features, counted.counts.tolist(), strict=False):
        if name in rows and level:
            rows[name][level] = count
    return rows


def _compared(
    counted: Counted, reference: Sequence[str], unknown: Unknown
) -> dict[str, EncodedColumn]:
    """Return the categories, each with its levels compared with one of them.

    Raises:
        DataError: If that is no level, or there is but one.
    """
    categories, rows = counted.names.categories, _rows_of_levels(counted)
    of_all, of = by_column(reference, [column.name for column in categories], SOURCE)
    chosen: dict[str, EncodedColumn] = {}
    for column in categories:
        level = of.get(column.name)
        if level is None and "none" not in of_all:
            level = max(column.levels, key=lambda each: rows[column.name].get(each, 0))
        require_reference(column, level, SOURCE)
        chosen[column.name] = replace(column, reference=level, unknown=unknown)
    return chosen


def _means(counted: Counted) -> dict[str, float]:
    """Return what stands for a missing number of each column that the mean of all rows fills.

    Raises:
        DataError: If a column has no number.
    """
    marks, means = counted.names.marks, dict[str, float]()
    for name in counted.names.undecided.means:
        mean = counted.sums.mean(marks[name] - 1, marks[name])
        if mean is None:
            raise DataError(
                f"It has no number to take the mean of: leave it out with {asked(exclude=[name])}.",
                source=SOURCE,
                column=name,
            )
        means[name] = mean
    return means


def _filled(counted: Counted, means: Mapping[str, float]) -> ExactSums:
    if not means:
        return counted.sums
    marks = counted.names.marks
    places = np.array([marks[name] for name in means], dtype=np.intp)
    return counted.sums.filled(places - 1, places, np.array(list(means.values())))


def _marked_or_not(counted: Counted, means: Mapping[str, float]) -> dict[str, EncodedColumn]:
    """Return what fills numbers, and a mark if one is asked for and a value was missing."""
    names = counted.names
    columns = {c.name: c for c in (() if names.encoding is None else names.encoding.columns)}
    changed: dict[str, EncodedColumn] = {}
    for (name, mark), count in zip(names.columns_of_features(), counted.counts, strict=False):
        column = columns.get(name)
        if mark == "" and isinstance(column, NumberColumn):
            is_kept = name not in means or names.undecided.indicators
            fill = means.get(name, column.fill)
            changed[name] = replace(column, fill=fill, indicator=bool(count) and is_kept)
    return changed
