"""Rows shared between the ranks of a job, each reading its own and nobody else's.

A table is a sequence of pieces that can be read by themselves: the row groups of its Parquet files
or, of CSV, blocks of about 8 MiB of whole records. Size is counted in rows or in bytes; with S
ranks and size T in all, rank r takes the pieces whose middle lies from T r / S to T (r + 1) / S.
So every piece is read by one rank, the ranks' rows in the order of the ranks are the table's rows
in its own order, and a share is off from T / S by no more than the largest piece. There may be more
ranks than pieces: the shares of some are then empty.

Every rank looks at all the files' names, sizes and footers and comes to the same partition by
itself; that they saw the same is all they compare. What all rows must hold is checked where they
are read, with numbers that the ranks gather.
"""

import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from linexport._arrays import Float64Array
from linexport.errors import ConfigError, DataError

if TYPE_CHECKING:
    from linexport.tables._part import Part


Gather: TypeAlias = Callable[[Float64Array], Float64Array]
"""From an array to those of all ranks, stacked in the order of the ranks: shape (S, ...). Every
rank calls it equally often, with arrays of one shape."""


def alone(values: Float64Array) -> Float64Array:
    """Gather from the one rank that there is."""
    return values[np.newaxis]


def span(total: int, rank: int, num_ranks: int) -> tuple[int, int]:
    """Return where a rank's share of `total` begins and ends.

    Raises:
        ConfigError: If there is no such rank.
    """
    if not 0 <= rank < num_ranks:
        raise ConfigError(f"There is no rank {rank} among {num_ranks}.")
    return total * rank // num_ranks, total * (rank + 1) // num_ranks


def share_parts(parts: "Sequence[Part]", rank: int, num_ranks: int, gather: Gather) -> "list[Part]":
    """Return a rank's share: at least one part, if only of no rows.

    Raises:
        ConfigError: If there is no such rank.
        DataError: If a part can be read only once, its footer is damaged, or the ranks see
            different files.
    """
    sizes = [part.size for part in parts]
    _require_same(sizes, parts[0].source, gather)
    start, stop = span(sum(sizes), rank, num_ranks)
    mine: list[Part] = []
    for part, size in zip(parts, sizes, strict=True):
        if start < size and stop > 0 and start < stop:
            mine.append(part.cut(start, stop))
        start, stop = start - size, stop - size
    return mine or [parts[0].cut(0, 0)]


def _require_same(sizes: list[int], source: str, gather: Gather) -> None:
    """Refuse to share files that differ between machines: rows would be lost or count twice."""
    digest = zlib.crc32(",".join(map(str, sizes)).encode())
    seen = gather(np.array([float(len(sizes)), float(sum(sizes)), float(digest)]))
    (others,) = np.nonzero((seen != seen[0]).any(axis=1))
    if len(others):
        raise DataError(
            f"Rank {others[0]} sees other files than rank 0, by number or size; all ranks must "
            "read the same ones.",
            source=source,
        )
