"""What train() takes, as rows: tables, arrays, tensors, a TensorDataset, a DataLoader.

N rows, D features, K targets.
"""

from typing import Any

from linexport.errors import DataError
from linexport.rows._arrays import as_dataset, pair
from linexport.rows._dataset import Dataset, Rows
from linexport.rows._ranks import ONE, Ranks

__all__ = ["check_test_rows", "in_memory", "training_data"]


def training_data(data: Any, target: Any = None) -> Rows:
    """Return the rows of whatever train() takes.

    Raises:
        DataError: If they are not finite numbers, or features and target do not belong together.
    """
    is_rows, is_loader = _are_rows(data), _is_torchs(data, "DataLoader")
    is_tensors = _is_torchs(data, "TensorDataset")
    if is_rows or is_loader or is_tensors or isinstance(data, tuple):
        if target is not None:
            kind = type(data).__name__
            raise DataError(f"A {kind} brings its own target; leave the other one out.")
        if is_rows:
            rows: Rows = data
            return rows
        if is_loader:
            from linexport.rows._loaders import read_loader  # it imports torch

            return read_loader(data)
        data, target = pair(data.tensors if is_tensors else data)
    elif target is None:
        raise DataError(
            "The target is missing: train(features, target), or train(table, 'column to predict')."
        )
    elif _are_names(target):
        return _read_table(data, target)
    return as_dataset(data, target)


def in_memory(rows: Rows, ranks: Ranks = ONE) -> Dataset:
    """Return the rows in memory, their columns described by the rows of all ranks.

    Raises:
        ConfigError: If they have weights.
        DataError: As a pass over them.
    """
    if isinstance(rows, Dataset):
        dataset = rows
    else:
        from linexport.rows._table_rows import read_rows  # it imports polars

        dataset = read_rows(rows)
    if ranks.size == 1 and dataset.is_described:
        return dataset
    return dataset.described(ranks.gather)


def check_test_rows(test: Dataset, training: Rows) -> None:
    """Check that rows to evaluate on have the columns of those trained on.

    Raises:
        DataError: If a name or the order differs.
    """
    ours, theirs = (
        [column.name for column in (*part.features, *part.targets)] for part in (test, training)
    )
    if ours != theirs:
        raise DataError(
            f"The test rows have the columns {', '.join(ours)}, those trained on "
            f"{', '.join(theirs)}.",
            source=test.source,
        )


def _are_rows(data: Any) -> bool:
    """Tell a Dataset, TableRows and the like, without importing polars, which these need."""
    return hasattr(type(data), "batches") and hasattr(data, "targets")


def _is_torchs(data: Any, name: str) -> bool:
    """Tell an object of a class of torch.utils.data without importing torch."""
    return any(
        kind.__name__ == name and kind.__module__.startswith("torch.utils.data")
        for kind in type(data).__mro__
    )


def _are_names(target: Any) -> bool:
    names = [target] if isinstance(target, str) else target
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def _read_table(source: Any, targets: Any) -> Dataset:
    from linexport.rows._table_rows import read_dataset  # they import polars
    from linexport.tables import open_table

    return read_dataset(open_table(source), targets=targets)
