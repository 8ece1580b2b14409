"""What stands for a missing number: of all rows of a table, or of a part of them."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from linexport._arrays import Float64Array, FloatArray
from linexport._asked import asked
from linexport.encoding import NumberColumn
from linexport.errors import DataError
from linexport.rows._config import FILLS, DataConfig
from linexport.rows._missing import MissingRules
from linexport.rows._unusable import explained, of_text
from linexport.tables import Batch, Table


def numbers_of(
    table: Table, names: Sequence[str], config: DataConfig, rules: MissingRules
) -> dict[str, NumberColumn]:
    """Return the columns of numbers, with what stands for a missing value where one may.

    Raises:
        DataError: If a column has no value to fill with.
    """
    what = {name: rules.of_number(name) for name in names}
    filled = [name for name in names if what[name] in FILLS]
    fills = dict.fromkeys(filled, 0.0)
    lacking = set(filled)
    if [name for name in filled if what[name] != "zero"] or (filled and config.missing_indicator):
        fills, lacking = _fills(table, filled, what, rules)
    return {
        name: NumberColumn(
            name=name,
            fill=fills.get(name),
            indicator=config.missing_indicator and name in lacking,
        )
        for name in names
    }


def part_of_numbers(
    names: Sequence[str], config: DataConfig, rules: MissingRules
) -> dict[str, NumberColumn]:
    """Return the columns of numbers with 0 where a value is missing, which a mark tells."""
    what = {name: rules.of_number(name) for name in names}
    return {
        name: NumberColumn(
            name=name,
            fill=0.0 if what[name] in FILLS else None,
            indicator=what[name] == "mean" or (config.missing_indicator and what[name] in FILLS),
        )
        for name in names
    }


def _fills(
    table: Table, names: Sequence[str], what: dict[str, str], rules: MissingRules
) -> tuple[dict[str, float], set[str]]:
    """Return what stands for a missing value of each column, and which columns lack one.

    Raises:
        DataError: If a column has no value to fill with, or the mean is beyond float64.
    """
    seen = {name: _Present(what[name]) for name in names}
    for batch in _batches_of(table, names, rules):
        for column, values in zip(seen.values(), batch.numbers().T, strict=True):
            column.add(values)
    for name, column in seen.items():
        if not math.isfinite(column.fill):
            raise DataError(
                f"It has no finite {column.what} to fill with; leave it out with "
                f"{asked(exclude=[name])}.",
                source=table.source,
                column=name,
            )
    return (
        {name: column.fill for name, column in seen.items()},
        {name for name, column in seen.items() if column.lacks},
    )


def _batches_of(table: Table, names: Sequence[str], rules: MissingRules) -> Iterator[Batch]:
    """Yield batches of some columns, or say of all of them that hold no numbers."""
    try:
        yield from table.batches(names, text_remedy=of_text)
    except DataError as error:
        raise explained(error, table, names, to_fill=rules.to_fill()) from error


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
