"""What is known of some rows, by parts: one sum over all, and of each part what does not add up."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport._asked import asked
from linexport.encoding import Undecided
from linexport.errors import DataError
from linexport.least_squares import ExactSums, OutOfRangeError, Summing, gathered
from linexport.numerics import FLOAT64
from linexport.rows import NoRowsError, Ranks, Rows
from linexport.training._state_names import Names, united

OPEN = ""
"""The name of a part that more rows may come to."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Some rows that were added up together."""

    digest: str
    """Of its names, sums and ranges; empty while it is open."""
    rows: int = 0
    """Of weight above 0."""
    rows_dropped: int = 0
    """For a missing or non-finite value, as asked."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Counted:
    """The sums over all parts, in named columns."""

    names: Names
    sums: ExactSums
    counts: NDArray[np.int64]
    """Shape (D + K,): in how many rows a column is not 0."""
    ranges: Mapping[str, Float64Array]
    """By part, shape (3, D + K): minimum, maximum, and unit roundoff of the format that the column
    came in. Of parts that have rows."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Summary:
    """What is known of some rows; without any there are no columns."""

    parts: Mapping[str, Part] = field(default_factory=dict)
    counted: Counted | None = None

    def plus(self, other: "Summary", source: str) -> "Summary":
        """Return what is known of both; an open part of both is one.

        Raises:
            DataError: If a part is in both, or their columns differ.
        """
        both = sorted(self.parts.keys() & other.parts.keys() - {OPEN})
        if both:
            raise DataError(
                f"The part '{both[0]}'{_more(both)} is in both, and would be counted twice: leave "
                f"one of the two out. Different parts need different names ({asked(part=...)}).",
                source=source,
            )
        parts = {**self.parts, **other.parts}
        if OPEN in self.parts and OPEN in other.parts:
            parts[OPEN] = _joined(self.parts[OPEN], other.parts[OPEN])
        if self.counted is None or other.counted is None:
            return Summary(parts=parts, counted=self.counted or other.counted)
        first, second = _alike(self.counted, other.counted, source)
        ranges = {**first.ranges, **second.ranges}
        if OPEN in first.ranges and OPEN in second.ranges:
            ranges[OPEN] = _hull([first.ranges[OPEN], second.ranges[OPEN]])
        counted = replace(
            first,
            sums=first.sums + second.sums,
            counts=first.counts + second.counts,
            ranges=ranges,
        )
        return Summary(parts=parts, counted=_without_empty(counted))

    def minus(self, other: "Summary") -> "Summary":
        """Return what would be known without the other's parts.

        Raises:
            DataError: If one of them is not among these, or was other rows then.
        """
        for name, part in other.parts.items():
            if name not in self.parts:
                raise DataError(f"The part '{name}' is not in it, so cannot go.")
            if part != self.parts[name]:
                raise DataError(f"The part '{name}' holds other rows than the one that was merged.")
        parts = {name: part for name, part in self.parts.items() if name not in other.parts}
        if self.counted is None or other.counted is None:
            return Summary(parts=parts, counted=self.counted)
        first, second = _alike(self.counted, other.counted, "")
        sums = first.sums - second.sums
        if not sums.num_rows:
            return Summary(parts=parts)
        counted = replace(
            first,
            sums=sums,
            counts=first.counts - second.counts,
            ranges={name: ends for name, ends in first.ranges.items() if name in parts},
        )
        return Summary(parts=parts, counted=_without_empty(counted))

    @property
    def rows_dropped(self) -> int:
        """Of all parts."""
        return sum(part.rows_dropped for part in self.parts.values())


def summary_of(rows: Rows, ranks: Ranks) -> Summary:
    """Add up the rows of all ranks, as an open part.

    Of a column of `Names.marks`, a part without a value has the range of no number.

    Raises:
        DataError: As a pass over them, but not if there are none; if a number is beyond the sums.
    """
    names = Names.of(rows, getattr(rows, "undecided", Undecided()))
    summing = Summing(names.num_columns, marks={k - 1: k for k in names.marks.values()})
    try:
        for features, targets, *weights in rows.batches():
            columns = np.hstack([features, targets]).astype(np.float64, copy=False)
            summing.add(columns, weights[0].astype(np.float64) if weights else None)
        own = summing.sums()  # where rows that were put aside are looked at
    except OutOfRangeError as error:
        raise _out_of_range(error, names, rows.source) from error
    except NoRowsError:
        return Summary(parts={OPEN: Part(digest="", rows_dropped=rows.rows_dropped)})
    sums = gathered(own, ranks)
    part = Part(digest="", rows=sums.num_rows, rows_dropped=rows.rows_dropped)
    if not sums.num_rows:
        return Summary(parts={OPEN: part})
    counts = ranks.gather(summing.counts.astype(np.float64)).sum(axis=0).astype(np.int64)
    counted = Counted(
        names=names, sums=sums, counts=counts, ranges={OPEN: _ranges(summing, rows, ranks)}
    )
    return Summary(parts={OPEN: part}, counted=_without_empty(counted))


def _ranges(summing: Summing, rows: Rows, ranks: Ranks) -> Float64Array:
    """Return the ranges of all ranks' rows as `Counted` has them."""
    size = len(summing.minimum)
    roundoff = rows.unit_roundoff  # None of a rank that read none, too
    known = np.full(size, FLOAT64.unit_roundoff) if roundoff is None else roundoff
    own = ranks.gather(np.array([summing.minimum, summing.maximum, known]))
    return _hull(list(own))


def hull(counted: Counted) -> Float64Array:
    """Return the ranges of all parts together, shape (3, D + K)."""
    return _hull(list(counted.ranges.values()))


def _hull(ranges: list[Float64Array]) -> Float64Array:
    minimum, maximum, roundoff = np.array(ranges).transpose(1, 0, 2)
    return np.array([minimum.min(axis=0), maximum.max(axis=0), roundoff.max(axis=0)])


def _alike(first: Counted, second: Counted, source: str) -> tuple[Counted, Counted]:
    """Return both in the columns of both."""
    found = united(first.names, second.names, source)
    return (
        _placed(first, found.names, found.first),
        _placed(second, found.names, found.second),
    )


def placed_in(counted: Counted, names: Names) -> Counted:
    """Return the same in other columns, of which only levels are others, or in some of them."""
    return _placed(counted, names, counted.names.places_in(names))


def _placed(counted: Counted, names: Names, places: NDArray[np.intp]) -> Counted:
    size = names.num_columns
    if places.tolist() == list(range(size + 1)):
        return replace(counted, names=names)
    counts = np.zeros(size, dtype=np.int64)
    kept = places[:-1] >= 0
    counts[places[:-1][kept]] = counted.counts[kept]
    ranges = {}
    for part, ends in counted.ranges.items():
        moved = np.zeros((3, size))
        moved[2] = FLOAT64.unit_roundoff
        moved[:, places[:-1][kept]] = ends[:, kept]
        ranges[part] = moved
    sums = counted.sums.placed(places, size + 1)
    return Counted(names=names, sums=sums, counts=counts, ranges=ranges)


def _without_empty(counted: Counted) -> Counted:
    """Return the same without levels that no row has."""
    empty = np.asarray(counted.counts[: len(counted.names.features)] == 0)
    return placed_in(counted, counted.names.without(empty))


def _joined(first: Part, second: Part) -> Part:
    return Part(
        digest="",
        rows=first.rows + second.rows,
        rows_dropped=first.rows_dropped + second.rows_dropped,
    )


def _more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def _out_of_range(error: OutOfRangeError, names: Names, source: str) -> DataError:
    weighting = names.weighting
    columns = (*names.features, *names.targets, "" if weighting is None else weighting.column)
    return DataError(
        f"{error.value:.6g} is too far from 1 for exact sums, which take numbers from 1e-90 to "
        "1e90 and weights from 1e-30 to 1e30; use a unit in which it is nearer, or 0.",
        source=source,
        column=columns[error.column],
    )
