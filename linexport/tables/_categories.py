"""Columns of levels: from cells of any type to codes, and from codes to features.

Whatever the rows come from, a cell is looked up in one dictionary of spellings; where the column is
a dictionary already, each of its entries once. n rows.
"""

from difflib import get_close_matches
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import FloatArray
from linexport._asked import asked
from linexport._polars import pl
from linexport.columns import listed
from linexport.encoding import CategoryColumn, codes_of
from linexport.errors import DataError
from linexport.tables._numbers import nameless, shown

_NEAR = 0.6  # of difflib's ratio: its own default


class Place(NamedTuple):
    """Where rows stand, for messages."""

    source: str
    first_row: int
    rows: NDArray[np.intp] | None = None
    """Which rows these are, after the first; None for all."""

    def row(self, index: int) -> int:
        """Return the number of one of them in the source."""
        return self.first_row + (index if self.rows is None else int(self.rows[index]))

    def among(self, rows: NDArray[np.intp]) -> "Place":
        """Return the place of some of these rows."""
        return self._replace(rows=rows if self.rows is None else self.rows[rows])


class Category:
    """A column of levels, whose cells are read as codes, and where its features begin."""

    def __init__(self, column: CategoryColumn, place: int) -> None:
        self.column, self.place = column, place
        self.num_features = len(column.features)
        codes = codes_of(column)
        self._spelled, known = pl.Enum(list(codes.known)), list(codes.known.values())
        self._missing, self._unknown = len(known), len(known) + 1
        self._unseen = self.num_features + 2
        self._codes = np.array(
            [*known, codes.missing, codes.unknown], np.min_scalar_type(self._unseen)
        )
        self._held: pl.Series | None = None
        self._known = self._codes[:0]
        """The code of each entry of the dictionary that is held."""

    def read(self, cells: pl.Series, place: Place) -> NDArray[np.generic]:
        if cells.dtype in (pl.Categorical, pl.Enum):
            return self._of_dictionary(nameless(cells), place)
        return self._of_text(nameless(as_text(cells, place.source)), place)

    def _of_dictionary(self, cells: pl.Series, place: Place) -> NDArray[np.generic]:
        if not cells.null_count():
            return self._of_entries(cells, place)
        codes = np.full(len(cells), self._codes[self._missing])
        (rows,) = cells.is_not_null().to_numpy().nonzero()
        codes[rows] = self._of_entries(cells.drop_nulls(), place.among(rows))
        return codes

    def _of_entries(self, cells: pl.Series, place: Place) -> NDArray[np.generic]:
        """Look up each entry of a dictionary when it is first seen, and then its number only."""
        if self._held is None or self._held.dtype != cells.dtype:
            # The dictionary lives, and numbers stay, as long as a part of the column is held.
            self._held, self._known = cells.head(1), self._codes[:0]
        numbers = cells.to_physical().to_numpy()
        lacking = int(numbers.max(initial=0)) + 1 - len(self._known)
        if lacking > 0:
            unseen = np.full(2 * lacking, self._unseen, self._codes.dtype)
            self._known = np.concatenate([self._known, unseen])
        codes = self._known.take(numbers)
        if not (codes == self._unseen).any():
            return codes
        (rows,) = (codes == self._unseen).nonzero()
        rows = np.sort(rows[np.unique(numbers[rows], return_index=True)[1]])
        entries = cells.gather(rows).cast(pl.String)
        self._known[numbers[rows]] = self._of_text(entries, place.among(rows))
        return self._known.take(numbers)

    def _of_text(self, text: pl.Series, place: Place) -> NDArray[np.generic]:
        found = text.cast(self._spelled, strict=False)
        spelled = found.to_physical()
        if found.null_count() > text.null_count():
            spelled = self._respelled(text, found, place)
        elif found.null_count():
            spelled = spelled.cast(pl.UInt32).fill_null(self._missing)
        return self._codes.take(spelled.to_numpy())

    def _respelled(self, text: pl.Series, found: pl.Series, place: Place) -> pl.Series:
        """Look up what was not found again: without white space, in another Unicode form."""
        unknown = found.is_null() & text.is_not_null()
        rest = canonical(text.filter(unknown))
        again = rest.cast(self._spelled, strict=False).to_physical().cast(pl.UInt32)
        lost = again.is_null().arg_true()
        if len(lost) and self.column.unknown == "error":
            row = int(unknown.arg_true()[int(lost[0])])
            raise self._no_level(rest[int(lost[0])], place, row)
        spelled = found.to_physical().cast(pl.UInt32).fill_null(self._missing)
        return spelled.scatter(unknown.arg_true(), again.fill_null(self._unknown))

    def _no_level(self, value: str, place: Place, row: int) -> DataError:
        levels = self.column.levels
        near = get_close_matches(value.casefold(), [level.casefold() for level in levels], 1, _NEAR)
        nearest = next((level for level in levels if [level.casefold()] == near), None)
        told = f"its levels are {listed(levels)}"
        told = f"the nearest is '{nearest}'" if nearest is not None else told
        train = f": correct it, or train with {asked(unknown='reference')}"
        otherwise = "" if self.column.reference is None else train
        return DataError(
            f"{shown(value)} is no level that the model knows; {told}{otherwise}.",
            source=place.source,
            column=self.column.name,
            row=place.row(row),
        )

    def fill(self, features: FloatArray, codes: NDArray[np.generic]) -> None:
        own = features[:, self.place : self.place + self.num_features]
        for level in range(self.num_features):
            own[:, level] = codes == level
        if self.column.missing == "error":
            own[codes == self.num_features + 1] = np.nan


def canonical(text: pl.Series) -> pl.Series:
    """Return text without white space at its ends, in Unicode's form NFC."""
    return nameless(text).str.strip_chars().str.normalize("NFC").alias(text.name)


def as_text(cells: pl.Series, source: str) -> pl.Series:
    """Return cells as text, or as the dictionary of text that they are.

    Raises:
        DataError: If they are lists, bytes or objects.
    """
    if cells.dtype in (pl.String, pl.Categorical, pl.Enum):
        return cells
    if cells.dtype.is_nested() or cells.dtype in (pl.Object, pl.Binary):
        raise DataError(f"It holds {cells.dtype}, no levels.", source=source, column=cells.name)
    return cells.cast(pl.String)
