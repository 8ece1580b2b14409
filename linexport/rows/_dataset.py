"""Rows to train on, held in memory."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from linexport._arrays import Float64Array, FloatArray
from linexport.columns import Column
from linexport.errors import DataError
from linexport.tables import Gather, alone

if TYPE_CHECKING:
    from linexport.rows._loaders import Minibatches  # they import torch

__all__ = ["Dataset", "Rows"]

_BLOCK_ROWS = 1 << 14


class Rows(Protocol):
    """Named rows that are read a batch at a time."""

    @property
    def source(self) -> str:
        """Where they come from, for messages."""
        ...

    @property
    def rows_dropped(self) -> int:
        """Rows left out for a missing or non-finite value, as asked; known once all are read."""
        ...

    @property
    def read_once(self) -> bool:
        """Whether they can be read but once, as from a pipe; others any number of times."""
        ...

    @property
    def features(self) -> tuple[Column, ...]:
        """D columns, in the order of the batches."""
        ...

    @property
    def targets(self) -> tuple[Column, ...]:
        """K columns."""
        ...

    def batches(self) -> Iterator[tuple[FloatArray, ...]]:
        """Yield finite features (n, D), targets (n, K) and, if rows have weights, these (n,).

        Float32 or float64, in their own units.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Dataset:
    """N rows of D finite features and K finite targets, float64, in their own units."""

    feature_values: Float64Array
    """Shape (N, D)."""
    target_values: Float64Array
    """Shape (N, K)."""
    features: tuple[Column, ...]
    targets: tuple[Column, ...]
    source: str = "data"
    """The file or object the rows come from, for messages."""
    rows_dropped: int = 0
    """Rows left out for a missing or non-finite value, as asked."""
    true_weight: Float64Array | None = None
    """Shape (K, D) where the data are synthetic."""
    true_bias: Float64Array | None = None
    """Shape (K,) where the data are synthetic."""
    minibatches: "Minibatches | None" = None
    """Where a DataLoader brings the rows: its batches, anew in each epoch."""
    read_once: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for values, columns in (
            (self.feature_values, self.features),
            (self.target_values, self.targets),
        ):
            if values.ndim != 2 or values.shape[1] != len(columns):
                raise DataError(
                    f"{len(columns)} columns do not describe an array of shape {values.shape}.",
                    source=self.source,
                )
        if len(self.feature_values) != len(self.target_values):
            raise DataError(
                f"{len(self.feature_values)} rows of features but {len(self.target_values)} of the "
                "target.",
                source=self.source,
            )

    @property
    def num_rows(self) -> int:
        """N."""
        return len(self.feature_values)

    def batches(self) -> Iterator[tuple[Float64Array, Float64Array]]:
        """Yield everything at once: it is in memory already."""
        yield self.feature_values, self.target_values

    def with_columns(self, features: tuple[Column, ...], targets: tuple[Column, ...]) -> "Dataset":
        """Return the same rows under other columns."""
        return replace(self, features=features, targets=targets)

    @property
    def is_described(self) -> bool:
        """Whether the columns say their range, mean and standard deviation."""
        return all(column.minimum is not None for column in (*self.features, *self.targets))

    def described(self, gather: Gather = alone) -> "Dataset":
        """Return the same rows with the range, mean and standard deviation of all ranks' rows."""
        return replace(
            self,
            features=_describe(self.features, self.feature_values, gather),
            targets=_describe(self.targets, self.target_values, gather),
        )


def _describe(
    columns: tuple[Column, ...], values: Float64Array, gather: Gather
) -> tuple[Column, ...]:
    minimum = gather(values.min(axis=0, initial=np.inf)).min(axis=0)
    maximum = gather(values.max(axis=0, initial=-np.inf)).max(axis=0)
    num_rows = gather(np.array([float(len(values))])).sum()
    # Dividing by a power of two is exact, and keeps squares from overflow and underflow.
    exponent = np.frexp(np.maximum(-minimum, maximum))[1]
    scale = np.ldexp(1.0, exponent - 1)
    # In blocks, so that no copy of all the rows is made.
    blocks = [values[start : start + _BLOCK_ROWS] for start in range(0, len(values), _BLOCK_ROWS)]
    none = np.zeros(len(columns))
    total = sum(((block / scale).sum(axis=0) for block in blocks), none)
    mean = gather(total).sum(axis=0) / num_rows
    squares = sum((((block / scale - mean) ** 2).sum(axis=0) for block in blocks), none)
    variance = gather(squares).sum(axis=0) / num_rows
    statistics = zip(
        minimum.tolist(),
        maximum.tolist(),
        (mean * scale).tolist(),
        (np.sqrt(variance) * scale).tolist(),
        strict=True,
    )
    return tuple(
        replace(column, minimum=low, maximum=high, mean=mean, standard_deviation=deviation)
        for column, (low, high, mean, deviation) in zip(columns, statistics, strict=True)
    )
