"""Rows in memory shared between the ranks of a job, as `linexport.tables` shares a table."""

from dataclasses import replace

import numpy as np

from linexport.columns import Column
from linexport.rows._dataset import Dataset
from linexport.tables import Gather, span

__all__ = ["describe_all", "share_dataset"]


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
