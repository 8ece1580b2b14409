"""Rows in memory as a file."""

from pathlib import Path

import numpy as np
import polars as pl

from linexport.rows._dataset import Dataset
from linexport.tables import require_unique, write_table

__all__ = ["write_dataset"]


def write_dataset(dataset: Dataset, output: str | Path) -> None:
    """Write the rows of a dataset, features first, as float64.

    Raises:
        ConfigError, DataError: As `write_table`; if a feature and a target have one name.
    """
    names = [column.name for column in dataset.features + dataset.targets]
    require_unique(names, dataset.source)
    values = np.concatenate([dataset.feature_values, dataset.target_values], axis=1)
    write_table([pl.DataFrame(values, schema=names)], output)
