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
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from linexport._arrays import Float64Array
from linexport.columns import Column
from linexport.data.dataset import Dataset
from linexport.errors import ConfigError, DataError

if TYPE_CHECKING:
    from linexport.data._parts import Part  # it imports polars

__all__ = ["Gather", "alone", "describe_all", "share_dataset", "share_parts", "span"]

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


def share_parts(
    parts: "Sequence[Part]", rank: int, num_ranks: int, gather: Gather = alone
) -> "list[Part]":
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


def share_dataset(dataset: Dataset, rank: int, num_ranks: int) -> Dataset:
    """Return the rows of a rank; the columns keep the description of all rows."""
    start, stop = span(dataset.num_rows, rank, num_ranks)
    return replace(
        dataset,
        feature_values=dataset.feature_values[start:stop],
        target_values=dataset.target_values[start:stop],
    )


def describe_all(dataset: Dataset, gather: Gather) -> Dataset:
    """Return a rank's rows, their columns described by the rows of all ranks."""
    columns = dataset.features + dataset.targets
    values = np.concatenate([dataset.feature_values, dataset.target_values], axis=1)
    minimum = gather(values.min(axis=0, initial=np.inf)).min(axis=0)
    maximum = gather(values.max(axis=0, initial=-np.inf)).max(axis=0)
    num_rows = gather(np.array([float(len(values))])).sum()
    # Dividing by a power of two is exact, and keeps squares from overflow and underflow.
    scale = np.ldexp(1.0, np.frexp(np.maximum(-minimum, maximum))[1] - 1)
    values /= scale
    mean = gather(values.sum(axis=0)).sum(axis=0) / num_rows
    values -= mean
    deviation = np.sqrt(gather((values**2).sum(axis=0)).sum(axis=0) / num_rows)
    described = tuple(
        _described(column, low, high, middle, spread)
        for column, low, high, middle, spread in zip(
            columns,
            minimum.tolist(),
            maximum.tolist(),
            (mean * scale).tolist(),
            (deviation * scale).tolist(),
            strict=True,
        )
    )
    num_features = len(dataset.features)
    return replace(dataset, features=described[:num_features], targets=described[num_features:])


def _described(column: Column, low: float, high: float, mean: float, spread: float) -> Column:
    return replace(column, minimum=low, maximum=high, mean=mean, standard_deviation=spread)
