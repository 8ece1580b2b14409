"""What is in a table and is no data: columns that number its rows, and a row of totals.

Unless features are named, they are all columns that are left. Among these

- what pandas' own metadata says is the index of the rows is left out, with a line;
- what has the name that pandas or R gives to row numbers that had none is refused: name it or
  exclude it;
- what holds the numbers 0 to N-1 or 1 to N, once each, is warned of, unless these are days: a row
  for each day is what tables of days have.

A row that holds the sum of all others, as spreadsheets end with, is warned of too, and so is -9999.
"""

import math
import re
from collections.abc import Collection, Iterator, Sequence

from linexport._asked import asked
from linexport.columns import Column, listed
from linexport.encoding import DateColumn, Encoding
from linexport.errors import DataError
from linexport.tables import Table

_WRITTEN_BY = {"": "pandas or R", "rownames": "R", "row.names": "R", "row_names": "R"}
_BY_PANDAS = re.compile(r"Unnamed: \d+|__index_level_\d+__")
_FEWEST_ROWS = 3
"""Two rows of 0 and 1 are more likely a choice than a count."""
_FEWEST_WITH_TOTALS = 5
"""Of fewer rows, one is the sum of the others by chance."""
_SENTINELS = (-999.0, -9999.0, -99999.0)
_ROUNDED = 1e-6
"""Relative: a spreadsheet shows a total of six digits or more."""
_CLOSE = 1e-9
"""Relative: a deviation of rounded sums over 10**6 rows is off by 10**-10 at most, gamma(N)."""


def features_left(table: Table, taken: Collection[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return the columns that are not taken, the index left out, and a line on each left out.

    Raises:
        DataError: If one is named as row numbers are.
    """
    index = set(table.index_columns)
    names = [name for name in table.names if name not in taken and name not in index]
    for name in names:
        by = "pandas" if _BY_PANDAS.fullmatch(name) else _WRITTEN_BY.get(name)
        if by is not None and (name or name == table.names[0]):
            others = asked(features=[other for other in names if other != name])
            shown = f"'{name}'" if name else "A column without a name"
            raise DataError(
                f"{shown} is what {by} writes of row numbers, which are no data: leave it out with "
                f"{asked(exclude=[name])}, or name the features with {others}.",
                source=table.source,
            )
    table.require_in_each_file(
        names,
        lambda lacking: f"; leave out what is not in each file with {asked(exclude=lacking)}",
    )
    lines = (
        f"The column '{name}' is left out: pandas wrote it as the index of the rows. To use it, "
        f"name the features with {asked(features=...)}."
        for name in table.names
        if name in index and name not in taken
    )
    return names, tuple(lines)


def counting(features: Sequence[Column], num_rows: int, encoding: Encoding | None) -> Iterator[str]:
    """Warn of features that hold 0 to N-1 or 1 to N, once each, by what describes them.

    Range, mean and deviation of N numbers leave no room for others, but in the last digits. A
    table's only feature is not asked, nor a date, as the encoding tells.
    """
    if num_rows < _FEWEST_ROWS or len(features) == 1:
        return
    deviation = math.sqrt((num_rows**2 - 1) / 12)  # of N whole numbers in a row
    columns = encoding.columns if encoding else ()
    dates = {column.name for column in columns if isinstance(column, DateColumn)}
    for column in features:
        if column.name in dates:
            continue
        first, last = column.minimum or 0.0, column.maximum
        if (
            (first, last) in ((0, num_rows - 1), (1, num_rows))
            and math.isclose(column.mean or 0.0, first + (num_rows - 1) / 2, rel_tol=_CLOSE)
            and math.isclose(column.standard_deviation or 0.0, deviation, rel_tol=_CLOSE)
        ):
            yield (
                f"The feature {listed([column.name])} holds the numbers {first:.0f} to "
                f"{last:.0f}, once each, as row numbers do: if it is no data, leave it out with "
                f"{asked(exclude=[column.name])}."
            )


def totals(features: Sequence[Column], targets: Sequence[Column], num_rows: int) -> Iterator[str]:
    """Warn of a row that is the sum of all others, in each target and in a feature.

    Their largest values, means and deviations tell.
    """
    if num_rows < _FEWEST_WITH_TOTALS or not all(_has_total(each, num_rows) for each in targets):
        return
    names = [column.name for column in (*targets, *features) if _has_total(column, num_rows)]
    if len(names) > len(targets):
        yield (
            f"The largest value of each of {listed(names)} is the sum of all others: if that is a "
            "row of totals, delete it."
        )


def sentinels(columns: Sequence[Column]) -> Iterator[str]:
    """Warn of columns whose smallest value is what programs write that have no word for none."""
    for column in columns:
        if column.minimum in _SENTINELS:
            shown = f"{column.minimum:.0f}"
            yield (
                f"The smallest value of {listed([column.name])} is {shown}, which often stands for "
                f"no value: if it does, make it none, of a table of text with "
                f"{asked(null_values=[shown])}."
            )


def _has_total(column: Column, num_rows: int) -> bool:
    """Tell whether the largest value is the sum of the others, of which more than one count."""
    largest, mean = column.maximum or 0.0, column.mean or 0.0
    squares = num_rows * (mean**2 + (column.standard_deviation or 0.0) ** 2)
    is_sum = math.isclose(num_rows * mean, 2 * largest, rel_tol=_ROUNDED)
    return largest > 0 and is_sum and squares < 2 * largest**2 * (1 - _ROUNDED)
