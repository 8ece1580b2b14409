"""Rows to train on, held in memory."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array, FloatArray
from linexport._documented import documented
from linexport.columns import Column, require_unique
from linexport.encoding import Encoding
from linexport.errors import ConfigError, DataError
from linexport.fit import Weighting
from linexport.rows._row_numbers import counting, totals
from linexport.rows._weights import check_weights
from linexport.tables import Gather, alone, span, write_table

if TYPE_CHECKING:
    from linexport.rows._loaders import Minibatches  # they import torch


_BLOCK_ROWS = 1 << 14


class NoRowsError(DataError):
    """There are no rows, or none is left."""


class Rows(Protocol):
    """Named rows that are read a batch at a time."""

    @property
    def source(self) -> str:
        """Where they come from, for messages."""

    @property
    def rows_dropped(self) -> int:
        """Rows left out for a missing or non-finite value, as asked; known once all are read."""

    @property
    def rows_kept_out(self) -> int:
        """Rows that are not among these, to test what is fitted to them."""

    @property
    def read_once(self) -> bool:
        """Whether they can be read but once, as from a pipe; others any number of times."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user: columns that were left out unasked."""

    @property
    def features_named(self) -> bool:
        """Whether the user named them; else they are all columns that were left of a table."""

    @property
    def unit_roundoff(self) -> Float64Array | None:
        """Of the format that each column came in, shape (D + K,), known once all rows are read.

        None if it is float64's.
        """

    @property
    def encoding(self) -> Encoding | None:
        """What makes the features of a table's columns; None where they are its columns."""

    @property
    def features(self) -> tuple[Column, ...]:
        """D columns, in the order of the batches."""

    @property
    def targets(self) -> tuple[Column, ...]:
        """K columns."""

    @property
    def weighting(self) -> Weighting | None:
        """Which column weights the rows; None where each counts once."""

    def batches(self) -> Iterator[tuple[FloatArray, ...]]:
        """Yield finite features (n, D), targets (n, K) and, if rows have weights, these (n,).

        Float32 or float64, in their own units. A weight is at least 0, and a whole number where it
        is a frequency.
        """


@documented
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
    rows_kept_out: int = 0
    """Rows that are not among these, to test what is fitted to them."""
    unit_roundoff: Float64Array | None = None
    """Shape (D + K,), of the format that each column came in; None if that was float64."""
    weighting: Weighting | None = None
    """None where each row counts once."""
    weights: Float64Array | None = None
    """Shape (N,), where rows have them. What columns say of themselves takes each row once."""
    true_weight: Float64Array | None = None
    """Shape (K, D) where the data are synthetic."""
    true_bias: Float64Array | None = None
    """Shape (K,) where the data are synthetic."""
    tensor_dtype: str | None = None
    """Of the features where torch tensors bring them, such as float32, which synthetic data are
    too: such rows SGD trains on as they are. None for tables and arrays."""
    tensor_device: str = "cpu"
    """Where those tensors lie."""
    minibatches: "Minibatches | None" = None
    """Where a DataLoader brings the rows: its batches, anew in each epoch."""
    notes: tuple[str, ...] = ()
    """Sentences for the user, on columns that may be no data."""
    features_named: bool = True
    """Whether the user named them; else they are all columns that were left of a table."""
    encoding: Encoding | None = None
    """What made the features of a table's columns; None where they are its columns."""
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
        if self.weighting is not None:
            self._check_weights(self.weighting)

    def _check_weights(self, weighting: Weighting) -> None:
        values = self.weights
        if values is None or values.shape != (self.num_rows,):
            raise DataError(f"{self.num_rows} rows take as many weights.", source=self.source)
        name, source = weighting.column, self.source
        finite_rows(values[:, None], [name], source=source, first_row=1)
        check_weights(values, weighting, source=source, first_row=1)

    @property
    def num_rows(self) -> int:
        """N."""
        return len(self.feature_values)

    def batches(self) -> Iterator[tuple[Float64Array, ...]]:
        """Yield everything at once: it is in memory already."""
        weights = () if self.weights is None else (self.weights,)
        yield self.feature_values, self.target_values, *weights

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


def split(dataset: Dataset, test_fraction: float, seed: int) -> tuple[Dataset, Dataset]:
    """Return a training and a test part: round(N * test_fraction) rows of a shuffle are the test.

    The same seed gives the same parts. Both carry the columns as the training part describes them,
    since that is all that a fit may know.

    Args:
        dataset: N rows.
        test_fraction: Between 0 and 1, both excluded.
        seed: Of NumPy's PCG64.

    Raises:
        ConfigError: If no row would be left for one of them.
    """
    if not 0 < test_fraction < 1:
        raise ConfigError(f"The test fraction must be between 0 and 1, got {test_fraction}.")
    if not seed >= 0:
        raise ConfigError(f"The seed must not be negative, got {seed}.")
    num_test = round(dataset.num_rows * test_fraction)
    num_training = dataset.num_rows - num_test
    if num_test < 1 or num_training < 1:
        raise ConfigError(
            f"A test fraction of {test_fraction} splits {dataset.num_rows} rows into "
            f"{num_training} for training and {num_test} for the test; each needs one."
        )
    # A part does not show what numbers all rows, or is their sum.
    notes = (*dataset.notes, *totals(dataset.features, dataset.targets, dataset.num_rows))
    if not dataset.features_named:
        notes = (*notes, *counting(dataset.features, dataset.num_rows, dataset.encoding))
    dataset = replace(dataset, notes=notes, features_named=True)
    order = _shuffled(dataset.num_rows, seed)
    training = replace(_take(dataset, order[num_test:]), rows_kept_out=num_test).described()
    test = _take(dataset, order[:num_test])
    return training, replace(test, features=training.features, targets=training.targets)


def test_places(num_rows: int, test_fraction: float, seed: int) -> NDArray[np.int64]:
    """Return which of the rows `split` keeps out of training."""
    return _shuffled(num_rows, seed)[: round(num_rows * test_fraction)]


def _shuffled(num_rows: int, seed: int) -> NDArray[np.int64]:
    return np.random.Generator(np.random.PCG64(seed)).permutation(num_rows)


def share_dataset(dataset: Dataset, rank: int, num_ranks: int) -> Dataset:
    """Return the rows of a rank; the columns keep the description of all rows."""
    return _take(dataset, slice(*span(dataset.num_rows, rank, num_ranks)))


def _take(dataset: Dataset, rows: NDArray[np.int64] | slice) -> Dataset:
    return replace(
        dataset,
        feature_values=dataset.feature_values[rows],
        target_values=dataset.target_values[rows],
        weights=None if dataset.weights is None else dataset.weights[rows],
    )


def write_dataset(dataset: Dataset, output: str | Path) -> None:
    """Write the rows of a dataset, features first, as float64.

    Raises:
        ConfigError, DataError: As `write_table`; if a feature and a target have one name.
    """
    from linexport._polars import pl  # which rows in memory do without

    names = [column.name for column in dataset.features + dataset.targets]
    require_unique(names, dataset.source)
    values = np.concatenate([dataset.feature_values, dataset.target_values], axis=1)
    write_table([pl.DataFrame(values, schema=names)], output)


def finite_rows(
    values: Float64Array,
    names: Sequence[str],
    *,
    source: str,
    first_row: int,
    drop: Collection[str] = (),
    to_fill: Callable[[str], str] = lambda _: "fill it in",
    to_drop: Callable[[str], str] = lambda _: "leave such rows out",
) -> Float64Array:
    """Return the rows of (N, C) values in which every value is finite.

    `to_fill` and `to_drop` say how a missing value of a column is filled in, or its row left out.

    Raises:
        DataError: At the first other row, unless the value is of one of the columns to drop.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):  # half the time of asking each value: NaN and infinity spread
            return values
    finite = np.isfinite(values)
    if drop:
        may_drop = np.array([name in drop for name in names])
        kept = finite[:, may_drop].all(axis=1)
        values, finite = values[kept], finite[kept]
        first_row_of = first_row + np.flatnonzero(kept)
    else:
        first_row_of = first_row + np.arange(len(values))
    if finite.all():  # it was the sum that overflowed
        return values
    row, column = np.argwhere(~finite)[0]
    value = values[row, column]
    name = names[column]
    seen = "There is no value" if np.isnan(value) else f"{value} is given"
    mended = to_fill(name) if np.isnan(value) else "correct it"
    raise DataError(
        f"{seen}; {mended}, or {to_drop(name)}.",
        source=source,
        column=name,
        row=int(first_row_of[row]),
    )


def require_rows(num_rows: int, source: str, *, rows_dropped: int = 0) -> None:
    """Raise NoRowsError if there are none."""
    if num_rows == 0:
        left = f" after {rows_dropped} were left out" if rows_dropped else ""
        raise NoRowsError(f"There are no rows{left}.", source=source)
