"""Rows that are fewer than the coefficients: all of them in memory, centred in double-double.

N rows, D features, K targets; u = 2**-53. Each column is seen in a unit near its deviation. Its
mean takes N products, their sum and a quotient; what is left of a number, a difference and a
product with the root of its row's weight. Number i of column j is then off by at most

    c u**2 (|x_ij| + root_i mu_j),    c = 3 log2(N) + 40,

with mu_j the root mean square of the column less its shift, a rounded mean (`frame_around`).
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple, TypeAlias

import numpy as np

from linexport._arrays import Float64Array, FloatArray
from linexport.least_squares._factor import first_frame
from linexport.least_squares._moments import Extent, Moments
from linexport.numerics import FLOAT64, DoubleDouble, double_double as dd
from linexport.rows import Rows

Batches: TypeAlias = Iterable[tuple[FloatArray, ...]]
_BLOCK_ELEMENTS = 2**15
"""Ten arrays of so many float64 fit the cache."""


class FirstRows(NamedTuple):
    """The first rows of some."""

    num_rows: int
    """Of weight above 0."""
    batches: Batches
    """All batches, these rows first."""
    are_all: bool
    """Whether there are no others."""


def first_rows(rows: Rows, needed: int) -> FirstRows:
    """Begin to read rows, until so many are there as are needed."""
    batches, taken, num_rows = rows.batches(), deque[tuple[FloatArray, ...]](), 0
    for batch in batches:
        taken.append(batch)
        num_rows += len(batch[0]) if len(batch) < 3 else int(np.count_nonzero(batch[2]))
        if num_rows >= needed:
            return FirstRows(num_rows, chain(_drained(taken), batches), are_all=False)
    return FirstRows(num_rows, taken, are_all=True)


def _drained(batches: deque[tuple[FloatArray, ...]]) -> Batches:
    """Yield batches that are held no longer."""
    while batches:
        yield batches.popleft()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CentredRows:
    """What the dual form is made of."""

    num_rows: int
    """N, however often each of them counts."""
    extent: Extent
    equations: Moments
    """Of the columns around their mean with an intercept, around 0 without."""
    around_mean: Moments
    values: DoubleDouble
    """Shape (D + K, N): the columns taken from there, in their units, times the roots."""
    roots: DoubleDouble
    """Shape (N,): of the rows' weights."""
    value_error: float
    """c u**2."""
    shifted: Float64Array
    """Shape (D + K,): mu, in the columns' units; 0 without an intercept."""

    @property
    def column_errors(self) -> Float64Array:
        """How far each column is off, in the norm; shape (D + K,)."""
        equations = self.equations
        shifted = np.sqrt(equations.weight_sum) * self.shifted
        return np.asarray(self.value_error * (equations.deviations + shifted))


def centred_rows(rows: Rows, batches: Batches, *, intercept: bool) -> CentredRows:
    """Take all rows into memory, and their means from them if there is an intercept.

    Args:
        rows: What they are.
        batches: Their batches.
        intercept: Whether columns are taken from their mean, or from 0.
    """
    columns, weights = _columns(batches)
    (num_columns, num_rows), num_features = columns.shape, len(rows.features)
    centring = _Centring(weights, num_rows, intercept=intercept)
    values = DoubleDouble(np.empty_like(columns), np.empty_like(columns))
    facts = np.empty((6, num_columns))
    size = max(_BLOCK_ELEMENTS // num_rows, 1)
    with np.errstate(over="ignore", invalid="ignore"):  # the deviations tell
        for start in range(0, num_columns, size):
            block = slice(start, start + size)
            values.high[block], values.low[block], facts[:, block] = centring.of(columns[block])
    exponent, mean, low, deviations, norms, shifted = facts
    around_mean = Moments(
        all_features=np.arange(num_features),
        features=np.arange(num_features),
        targets=np.arange(num_features, num_columns),
        exponent=exponent.astype(np.int32),
        mean=DoubleDouble(mean, low),
        mean_error=centring.value_error * (shifted + np.ldexp(np.abs(mean), -exponent.astype(int))),
        deviations=deviations,
        weight_sum=float(centring.weight_sum.high),
    )
    around_0 = replace(around_mean, mean=dd.exact(0 * mean), mean_error=0 * mean, deviations=norms)
    return CentredRows(
        num_rows=num_rows,
        extent=_extent(rows, columns, weights),
        equations=around_mean if intercept else around_0,
        around_mean=around_mean,
        values=values,
        roots=centring.roots,
        value_error=centring.value_error,
        shifted=shifted if intercept else 0 * shifted,
    )


def _columns(batches: Batches) -> tuple[Float64Array, Float64Array | None]:
    """Return the columns (D + K, N), and the weights (N,), of rows whose weight is not 0."""
    parts: list[Float64Array] = []
    weights: list[FloatArray] = []
    for features, targets, *weight in batches:
        kept = weight[0] != 0 if weight else slice(None)
        parts.append(np.hstack([features[kept], targets[kept]], dtype=np.float64))
        weights += [part[kept] for part in weight]
    columns = np.ascontiguousarray(np.vstack(parts).T)
    return columns, np.concatenate(weights).astype(np.float64) if weights else None


def _extent(rows: Rows, columns: Float64Array, weights: Float64Array | None) -> Extent:
    num_rows, log_weight_sum = columns.shape[1], 0.0
    if weights is not None and rows.weighting is not None:
        if rows.weighting.kind == "frequency":
            num_rows = int(weights.sum())
        else:
            log_weight_sum = float(np.log(weights).sum())
    known = rows.unit_roundoff
    return Extent(
        num_features=len(rows.features),
        num_rows=num_rows,
        log_weight_sum=log_weight_sum,
        minimum=columns.min(axis=1),
        maximum=columns.max(axis=1),
        unit_roundoff=np.full(len(columns), FLOAT64.unit_roundoff) if known is None else known,
    )


class _Centring:
    """How columns are taken from their means."""

    def __init__(self, weights: Float64Array | None, num_rows: int, *, intercept: bool) -> None:
        self._weights, self._intercept = weights, intercept
        counts = np.ones(num_rows) if weights is None else weights
        self.roots = dd.square_root(counts)
        with np.errstate(over="ignore", invalid="ignore"):
            self.weight_sum = dd.total(dd.exact(counts))
        self.value_error = (3 * num_rows.bit_length() + 40) * FLOAT64.unit_roundoff**2

    def of(self, columns: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Return the values of columns (n, N), high and low, and what is to say of each (6, n).

        That is: the exponent of its unit; its mean, high and low; the root of its sum of squares
        around the mean, and around 0, if that is where it is taken from; mu.
        """
        shift, exponent = first_frame(columns)
        frame = -exponent[:, None]
        seen = dd.scale_by_power_of_two(dd.two_sum(columns, -shift[:, None]), frame)
        step = dd.divide(dd.total(self._weighted(seen)), self.weight_sum)
        mean = dd.add(dd.exact(shift), dd.scale_by_power_of_two(step, exponent))
        centred = self._rooted(dd.subtract(seen, dd.part(step, np.s_[:, None])))
        own = centred
        if not self._intercept:
            own = self._rooted(dd.exact(np.ldexp(columns, frame)))
        lengths = [np.sqrt((values.high**2).sum(axis=1)) for values in (centred, own)]
        unit = np.frexp(lengths[1])[1]
        values = dd.scale_by_power_of_two(own, -unit[:, None])
        shifted = np.sqrt((self._rooted(seen).high ** 2).sum(axis=1) / self.weight_sum.high)
        in_unit = np.ldexp([*lengths, shifted], -unit)
        return *values, np.array([exponent + unit, *mean, *in_unit])

    def _weighted(self, values: DoubleDouble) -> DoubleDouble:
        return values if self._weights is None else dd.multiply(values, dd.exact(self._weights))

    def _rooted(self, values: DoubleDouble) -> DoubleDouble:
        return values if self._weights is None else dd.multiply(values, self.roots)
