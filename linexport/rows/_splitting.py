"""Parts of rows in memory: kept out of training for honest metrics, or shared among ranks."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from linexport.errors import ConfigError
from linexport.rows._dataset import Dataset
from linexport.tables import span

__all__ = ["share_dataset", "split"]


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
    order = np.random.Generator(np.random.PCG64(seed)).permutation(dataset.num_rows)
    training = _take(dataset, order[num_test:]).described()
    test = _take(dataset, order[:num_test])
    return training, replace(test, features=training.features, targets=training.targets)


def share_dataset(dataset: Dataset, rank: int, num_ranks: int) -> Dataset:
    """Return the rows of a rank; the columns keep the description of all rows."""
    return _take(dataset, slice(*span(dataset.num_rows, rank, num_ranks)))


def _take(dataset: Dataset, rows: "NDArray[np.int64] | slice") -> Dataset:
    return replace(
        dataset,
        feature_values=dataset.feature_values[rows],
        target_values=dataset.target_values[rows],
    )
