"""Adds up products of columns without any error, so that the order of rows leaves no trace.

n rows, P columns. A column of a block is cut into slices of 22 bits on a fixed grid of powers of
two, from the column's largest number down to its last bit. A product of two slices is a whole
multiple of the product of their grids, and 2048 of them stay below 2**53 of it: BLAS adds them up
exactly, in whatever order. These sums go as whole numbers into 64 bits, and before they are full
into Python's integers, which have no end. Rows whose numbers the grid does not hold are put aside
and cut on a grid of their own. With weights, the left factor is two columns for each: weight
times column, and what rounding that left.

Where the grid lies moves no bit of the result; it is taken from the first rows.

Source: Demmel and Nguyen, Parallel reproducible summation, IEEE Trans. Comput. 64 (2015), for sums
on fixed grids; Ozaki, Ogita, Oishi and Rump, Numerical Algorithms 59 (2012), for products by BLAS.
"""

import itertools
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.least_squares._exact_sums import ExactSums
from linexport.numerics import double_double as dd

_BITS = 22
_BLOCK_ROWS = 2**11
"""Slices are at most 2**21 of their unit: so many products add up to 2**53 at most."""
_WINDOW_ROWS = 2**20
"""So many products add up to 2**62 at most."""
_MOST_SLICES = 8
"""Of rows that are added up together; those that take more are put aside."""
_ASIDE = 1 / 16
"""Of the rows, so many may be put aside before another grid is taken."""
_STRIP, _SMALL = 12, 1_000_000
"""Rows of a product that is taken by itself where that has no more products of numbers: OpenBLAS
has ways for small ones of twice the speed, and what is below the diagonal is left out."""
LARGEST_EXPONENT = 300
LARGEST_WEIGHT_EXPONENT = 100
"""Within these powers of two, products of two numbers and a weight keep all bits in float64."""
LOG_UNIT = 2.0**-40

_Places: TypeAlias = slice | NDArray[np.intp]


class OutOfRangeError(ValueError):
    """A number is so large or so near to 0 that products with it are not exact."""

    def __init__(self, column: int, value: float) -> None:
        super().__init__(value)
        self.column = column
        """Its place among the columns; P - 1 for the weights."""
        self.value = value


class Summing:
    """Takes blocks of rows, and tells their sums."""

    def __init__(
        self, num_columns: int, *, marks: Mapping[int, int] = MappingProxyType({})
    ) -> None:
        """Take how many columns there are, features and targets.

        Of `marks`, a column's numbers count for its range only where the other one is 0.
        """
        self._order = num_columns + 1
        self._marks = marks
        self._sums = ExactSums.empty(self._order)
        self._window: _Window | None = None
        self._aside: list[Float64Array] = []
        self._num_aside = 0
        self.minimum = np.full(num_columns, np.inf)
        """Shape (P - 1,), of rows whose weight is above 0."""
        self.maximum = np.full(num_columns, -np.inf)
        self.counts = np.zeros(num_columns, dtype=np.int64)
        """In how many of these rows each column is not 0."""

    def add(self, columns: Float64Array, weights: Float64Array | None = None) -> None:
        """Add finite rows.

        Args:
            columns: Shape (n, P - 1), float64.
            weights: Shape (n,), at least 0.

        Raises:
            OutOfRangeError: If a number is beyond what sums can hold.
        """
        if weights is not None and not weights.all():
            columns, weights = columns[weights != 0], weights[weights != 0]
        for start in range(0, len(columns), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            # One more column of ones, and the weights as another.
            rows = np.ones((self._order + (weights is not None), len(columns[block])))
            rows[: self._order - 1] = columns[block].T
            if weights is not None:
                rows[-1] = weights[block]
            self._look(rows)
            self._add(rows)

    def sums(self) -> ExactSums:
        """Return the sums of all rows so far.

        Raises:
            OutOfRangeError: As `add`.
        """
        self._close()
        self._add_aside()
        return self._sums.reduced()

    def _look(self, rows: Float64Array) -> None:
        """Keep what of the rows is no sum of products."""
        values = rows[: self._order - 1]
        low, high = values.min(axis=1), values.max(axis=1)
        for column, value in enumerate(np.maximum(high, -low).tolist()):
            if value > 2.0**LARGEST_EXPONENT:
                raise OutOfRangeError(column, value)
        for column, mark in self._marks.items():
            there = values[column, values[mark] == 0]
            low[column], high[column] = there.min(initial=np.inf), there.max(initial=-np.inf)
        np.minimum(self.minimum, low, out=self.minimum)
        np.maximum(self.maximum, high, out=self.maximum)
        self.counts += np.count_nonzero(values, axis=1)
        num_rows, log_weights = rows.shape[1], 0
        if len(rows) > self._order:
            weights = rows[-1]
            _require_between(weights[None], LARGEST_WEIGHT_EXPONENT, self._order - 1)
            # In whole units, so that they too add up in any order.
            log_weights = int(np.rint(np.log(weights) / LOG_UNIT).astype(np.int64).sum())
        self._sums.count(num_rows, log_weights)

    def _add(self, rows: Float64Array) -> None:
        for _ in range(2):
            if self._window is None:  # or else what is too small does not fit it
                _require_between(rows[: self._order - 1], LARGEST_EXPONENT, 0)
                self._window = _Window(*_factors(rows, self._order), _ASIDE)
            aside = self._window.add(*_factors(rows, self._order))
            if aside is not None:
                break
            self._close()  # too many rows do not fit: these rows have a grid of their own
        else:
            aside = np.ones(rows.shape[1], dtype=bool)
        if self._window is not None and self._window.num_rows >= _WINDOW_ROWS:
            self._close()
        if aside.any():
            self._aside.append(rows[:, aside])
            self._num_aside += int(aside.sum())
            if self._num_aside >= _BLOCK_ROWS:
                self._add_aside()

    def _close(self) -> None:
        if self._window is not None:
            self._window.empty_into(self._sums)
        self._window = None

    def _add_aside(self) -> None:
        """Add the rows that were put aside, on a grid that holds them all."""
        rows = np.hstack(self._aside) if self._aside else np.empty((self._order, 0))
        self._aside, self._num_aside = [], 0
        _require_between(rows[: self._order - 1], LARGEST_EXPONENT, 0)
        for start in range(0, rows.shape[1], _BLOCK_ROWS):
            left, right = _factors(rows[:, start : start + _BLOCK_ROWS], self._order)
            window = _Window(left, right, 0.0)
            window.add(left, right)
            window.empty_into(self._sums)


def _require_between(values: Float64Array, exponent: int, first_column: int) -> None:
    size = np.abs(values)
    beyond = (size > 2.0**exponent) | ((size < 2.0**-exponent) & (size > 0))
    for column, row in np.argwhere(beyond):
        raise OutOfRangeError(first_column + int(column), float(values[column, row]))


def _factors(rows: Float64Array, order: int) -> tuple[Float64Array | None, Float64Array]:
    """Return what products are taken of: weight times columns, None without; the columns.

    A weight times a column is two columns, (2P, n): the product, and what rounding it left.
    """
    values = rows[:order]
    if len(rows) == order:
        return None, values
    product = dd.two_product(values, rows[-1])
    return np.concatenate([product.high, product.low]), values


class _Window:
    """Sums of products of slices, in whole numbers, of rows that are cut on one grid."""

    def __init__(self, left: Float64Array | None, right: Float64Array, aside: float) -> None:
        """Take a grid that fits some rows, all but a part of them."""
        self._right = _grid_for(right, aside)
        self._left = self._right if left is None else _grid_for(left, aside)
        units = self._left.kept_units[:, None] + self._right.kept_units
        self._scale = np.ldexp(1.0, -units)
        self._total = np.zeros(units.shape, dtype=np.int64)
        self.num_rows = 0

    def add(self, left: Float64Array | None, right: Float64Array) -> NDArray[np.bool_] | None:
        """Add rows that fit, and tell the others; None, and add nothing, if these are many."""
        slices, aside = self._right.cut(right)
        others = slices
        if left is not None:
            others, more = self._left.cut(left)
            aside |= more
        num_aside = np.count_nonzero(aside)
        if num_aside > 2 * _ASIDE * len(aside):
            return None
        if num_aside:
            others[:, aside] = 0.0
        gram = _gram(others, slices)
        gram *= self._scale
        self._total += gram.astype(np.int64)
        self.num_rows += len(aside)
        return aside

    def empty_into(self, sums: ExactSums) -> None:
        """Add all to the sums."""
        left, right, total = self._left, self._right, self._total
        if left is right:
            total = np.triu(total) + np.triu(total, 1).T
        whole = np.zeros((left.units.size, right.units.size), dtype=np.int64)
        whole[np.ix_(left.kept, right.kept)] = total
        parts = whole.reshape(*left.units.shape, *right.units.shape)
        order = right.units.shape[1]
        for start in range(0, left.units.shape[1], order):  # products, and what rounding left
            block = slice(start, start + order)
            digits = _digits(parts[:, block])
            lowest = left.units[-1, block, None] + right.units[-1]
            for place in range(0, len(digits), 2):
                pair = digits[place] + (digits[place + 1] << _BITS)
                if pair.any():
                    sums.add_products(pair, lowest + _BITS * place)


def _gram(left: Float64Array, right: Float64Array) -> Float64Array:
    """Return left @ right.T; of a matrix with itself, what is below the diagonal may be missing."""
    if _STRIP * right.size > _SMALL:
        return left @ right.T
    gram = np.zeros((len(left), len(right)))
    for start in range(0, len(left), _STRIP):
        strip, first = slice(start, start + _STRIP), start if left is right else 0
        gram[strip, first:] = left[strip] @ right[first:].T
    return gram


def _digits(parts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return sums of products of slices, (i, P, j, P), as digits of 22 bits, the lowest first.

    All but the last are from 0 to 2**22 - 1, the last is what is left; there is an even number.
    """
    most = len(parts) + parts.shape[2] - 2
    digits = np.zeros((2 * (most // 2 + 2), parts.shape[1], parts.shape[3]), dtype=np.int64)
    for i in range(len(parts)):
        for j in range(parts.shape[2]):
            part = parts[i, :, j]
            digits[most - i - j] += part & (2**_BITS - 1)  # so that no sum is beyond 64 bits
            digits[most - i - j + 1] += part >> _BITS
    for place in range(len(digits) - 1):
        digits[place + 1] += digits[place] >> _BITS
        digits[place] &= 2**_BITS - 1
    return digits


class _Grid:
    """Where each column is cut: into slices below 2**top, of some columns more than of others."""

    def __init__(self, top: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        """Take the top of each column, and into how many slices it is cut, both (P,)."""
        numbers = np.arange(max(counts.max(), 1))[:, None]
        self.units = top - (_BITS - 1) - _BITS * numbers
        """Exponents of the unit of each slice of each column, shape (count, P)."""
        self.kept = np.flatnonzero(numbers < counts)
        """Places of those slices that there are."""
        self._limit = np.ldexp(1.0, top)
        self._steps = list(_steps(self.units, counts))
        # Used again for each block: to be given memory anew costs as much as cutting.
        self._slices = np.empty((len(self.kept), _BLOCK_ROWS))
        self._scratch = np.empty((len(top), _BLOCK_ROWS))

    @property
    def kept_units(self) -> NDArray[np.int64]:
        return np.asarray(self.units.ravel()[self.kept])

    def cut(self, values: Float64Array) -> tuple[Float64Array, NDArray[np.bool_]]:
        """Return the slices of values, (kept, n), until the next cut; and which rows are more."""
        num_rows = values.shape[1]
        slices, scratch = self._slices[:, :num_rows], self._scratch[:, :num_rows]
        aside = np.zeros(num_rows, dtype=bool)
        rest, stop = values, 0
        for taken, done, offset in self._steps:
            if done is not None:
                aside |= rest[done].any(axis=0)
                rest = rest[taken]
            start, stop = stop, stop + len(offset)
            piece = np.add(rest, offset, out=slices[start:stop])
            np.subtract(piece, offset, out=piece)
            rest = np.subtract(rest, piece, out=scratch[: len(offset)])
        aside |= rest.any(axis=0)
        if (np.maximum(values.max(axis=1), -values.min(axis=1)) > self._limit).any():
            aside |= (np.abs(values) > self._limit[:, None]).any(axis=0)
        return slices, aside


def _steps(
    units: NDArray[np.int64], counts: NDArray[np.int64]
) -> Iterator[tuple[_Places, _Places | None, Float64Array]]:
    """Yield for each slice which of the columns of the one before it takes, and which were done."""
    columns = np.arange(len(counts))
    for number, unit in enumerate(units):
        more = counts[columns] > number
        taken, done = _places(more), None if more.all() else _places(~more)
        columns = columns[more]
        yield taken, done, np.ldexp(1.5, unit[columns] + 52)[:, None]


def _places(chosen: NDArray[np.bool_]) -> _Places:
    """Return which are chosen: as a slice, which copies nothing, if they are one piece."""
    found = np.flatnonzero(chosen)
    if len(found) and found[-1] - found[0] < len(found):
        return slice(found[0], found[-1] + 1)
    return found


def _grid_for(values: Float64Array, aside: float) -> _Grid:
    """Return the coarsest grid that fits these rows, all but a part of them."""
    largest = np.maximum(values.max(axis=1), -values.min(axis=1))
    top = np.frexp(largest)[1].astype(np.int64) + (1 if aside else 0)
    for count in itertools.count(1):
        counts = np.full(len(top), count)
        slices, unfit = _Grid(top, counts).cut(values)
        if unfit.mean() <= aside or (aside and count == _MOST_SLICES):
            break
    used = np.asarray(slices.reshape(count, *values.shape).any(axis=2))
    # Up to the last slice that is not 0 everywhere.
    return _Grid(top, np.where(used.any(axis=0), count - used[::-1].argmax(axis=0), 0))
