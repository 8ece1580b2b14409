"""What train() takes, as rows: tables, arrays, tensors, a TensorDataset, a DataLoader.

N rows, D features, K targets.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array, has_masked, pair, tensor_to_numpy
from linexport.columns import Column, default_columns, named_columns, require_unique
from linexport.errors import ConfigError, DataError
from linexport.numerics import unit_roundoffs
from linexport.rows._dataset import Dataset, Rows, finite_rows, require_rows
from linexport.rows._ranks import ONE, Ranks
from linexport.rows._table_rows import read_rows, training_rows
from linexport.tables import open_table

if TYPE_CHECKING:
    from linexport.rows._loaders import Minibatches  # they import torch


AnyRows = TypeVar("AnyRows", bound=Rows)
"""Any kind of ours, each of them a dataclass."""


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
            raise DataError(f"{kind} brings its own target; leave the other one out.")
        if is_rows:
            rows: Rows = data
            return rows
        if is_loader:
            from linexport.rows._loaders import read_loader  # it imports torch

            features, targets, minibatches = read_loader(data)
            return as_dataset(features, targets, source="the DataLoader", minibatches=minibatches)
        data, target = pair(data.tensors if is_tensors else data)
    elif _is_torchs(data, "Dataset"):
        raise DataError(
            f"{type(data).__name__} is read through a loader: "
            "train(torch.utils.data.DataLoader(dataset, 10, shuffle=True))."
        )
    elif target is None:
        raise DataError(
            "The target is missing: train(features, target), or train(table, 'column to predict')."
        )
    elif _are_names(target):
        return read_rows(training_rows(open_table(data), targets=target)).described()
    return as_dataset(data, target)


def in_memory(rows: Rows, ranks: Ranks = ONE) -> Dataset:
    """Return the rows in memory, their columns described by the rows of all ranks.

    Raises:
        DataError: As a pass over them.
    """
    dataset = rows if isinstance(rows, Dataset) else read_rows(rows)
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


def with_units(rows: AnyRows, units: Mapping[str, str]) -> AnyRows:
    """Return the same rows with units of some columns.

    Raises:
        ConfigError: If there is no such column.
    """
    known = {column.name for column in (*rows.features, *rows.targets)}
    for name in units:
        if name not in known:
            raise ConfigError(f"A unit is given for '{name}', which is neither feature nor target.")

    def measured(columns: tuple[Column, ...]) -> tuple[Column, ...]:
        return tuple(
            replace(column, unit=units.get(column.name, column.unit)) for column in columns
        )

    features, targets = measured(rows.features), measured(rows.targets)
    return replace(rows, features=features, targets=targets)  # type: ignore[type-var]


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


def as_array(values: Any, what: str) -> NDArray[Any]:
    """Return an array, tensor or nested list as an array of booleans, integers or floats.

    Args:
        values: Anything that NumPy takes; a tensor may need gradients and be on any device.
        what: Its name in messages.

    Raises:
        DataError: If it holds anything but real numbers, rows of unequal length or masked values.
    """
    if hasattr(values, "detach"):
        values = tensor_to_numpy(values, what)
    if has_masked(values):  # what they hide is often a number that means none
        raise DataError("It has masked values; fill them, as with .filled(np.nan).", source=what)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError("Its rows differ in length.", source=what) from error
    except (RuntimeError, TypeError) as error:  # of a list of tensors, for instance
        reason = str(error).partition("\n")[0]
        raise DataError(f"It cannot be made an array: {reason}.", source=what) from error
    if array.dtype.kind not in "biuf":
        raise DataError(f"It must hold real numbers, got {_what_else(array)}.", source=what)
    return array


def _what_else(array: NDArray[Any]) -> str:
    """Name what an array holds that are no numbers, and say how they become some."""
    if array.dtype.kind != "O":
        return str(array.dtype)
    if array.ndim == 0 and hasattr(array.item(), "toarray"):
        return f"a sparse {type(array.item()).__name__}; make it dense with its .toarray()"
    if any(isinstance(value, Mapping) for value in array.flat):
        return "mappings; of rows by name make a table: pandas.DataFrame(rows)"
    return "object; numpy.asarray(values, dtype=float) makes numbers of them, and NaN of None"


def as_dataset(
    features: Any,
    target: Any,
    *,
    source: str = "the arrays",
    minibatches: "Minibatches | None" = None,
) -> Dataset:
    """Take arrays or tensors as rows to train on.

    Args:
        features: Shape (N, D). Columns are named as those of a data frame, else x1, x2, ...
        target: Shape (N,) or (N, K). Named as a series or data frame, else y, or y1, y2, ...
        source: What messages call the arrays.
        minibatches: The DataLoader's that brought them.

    Raises:
        DataError: If shapes or names do not fit, a value is not finite, or there is no row.
    """
    feature_values = _matrix(features, "features", source)
    target_values = _matrix(target, "target", source)
    if len(feature_values) != len(target_values):
        raise DataError(
            f"{len(feature_values)} rows of features, but {len(target_values)} of the target.",
            source=source,
        )
    num_features = feature_values.shape[1]
    feature_columns = _columns(features, "x", num_features, source)
    target_columns = _columns(target, "y", target_values.shape[1], source)
    names = [column.name for column in feature_columns + target_columns]
    values = np.concatenate([feature_values, target_values], axis=1)
    is_tensor = hasattr(features, "detach")
    finite_rows(values, names, source=source, first_row=1)
    require_rows(len(values), source)
    return Dataset(
        feature_values=values[:, :num_features],
        target_values=values[:, num_features:],
        features=feature_columns,
        targets=target_columns,
        source=source,
        tensor_dtype=str(features.dtype).removeprefix("torch.") if is_tensor else None,
        tensor_device=str(features.device) if is_tensor else "cpu",
        unit_roundoff=np.concatenate(
            [_roundoffs(features, feature_values), _roundoffs(target, target_values)]
        ),
        minibatches=minibatches,
    ).described()


def _matrix(values: Any, what: str, source: str) -> Float64Array:
    array = as_array(values, f"{source}, {what}")
    if array.ndim == 1 and what == "target":
        array = array[:, np.newaxis]
    if array.ndim == 2 and array.shape[1]:
        return array.astype(np.float64)
    allowed = "(rows, features)" if what == "features" else "(rows,) or (rows, targets)"
    hint = "; one feature is values.reshape(-1, 1)" if array.ndim == 1 else ""
    raise DataError(f"{what} must have shape {allowed}, got {array.shape}{hint}.", source=source)


def _roundoffs(values: Any, matrix: Float64Array) -> Float64Array:
    """Return the unit roundoff of each column as it came: a data frame states its types."""
    stated = getattr(values, "dtypes", None)
    if stated is None or not hasattr(values, "columns"):
        stated = [getattr(values, "dtype", "float64")] * matrix.shape[1]
    return unit_roundoffs(stated)


def _columns(values: Any, prefix: str, count: int, source: str) -> tuple[Column, ...]:
    """Name columns as a data frame or a series does, if all of its names are text."""
    columns = getattr(values, "columns", None)
    found = [getattr(values, "name", None)] if columns is None else list(columns)
    names = [name for name in found if isinstance(name, str) and name]
    if not len(names) == len(found) == count:
        return default_columns(prefix, count)
    return named_columns(require_unique(names, source), source)
