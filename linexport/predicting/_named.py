"""What has names: tables, and rows as mappings of names to values, as they come over HTTP."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport._asked import asked_of_command
from linexport.columns import listed
from linexport.encoding import Encoding
from linexport.errors import DataError, shortened

_LARGEST_EXACT = 2**53
"""Integers up to here are float64 numbers: on their way to float32 they are rounded once."""


def is_table(features: Any) -> bool:
    """Tell by the Arrow PyCapsule interface, which a polars LazyFrame does without."""
    return hasattr(features, "__arrow_c_stream__") or hasattr(features, "collect_schema")


def without_names(features: Any) -> NDArray[Any]:
    """Return an array, tensor or nested list as an array.

    Raises:
        DataError: As `as_array`; or if it is the path of a table.
    """
    if isinstance(features, str | os.PathLike):
        path = os.fspath(features)
        raise DataError(
            "It is a path, not rows; to predict a file, use "
            f"{asked_of_command('predict', 'MODEL', str(path), 'OUTPUT')}.",
            source="features",
        )
    from linexport.rows import as_array

    return as_array(features, "features")


def is_exact(value: Any) -> bool:
    """Tell whether a value is one number that float64 holds."""
    if isinstance(value, int | np.integer):
        return abs(int(value)) <= _LARGEST_EXACT
    return isinstance(value, float | np.float32)


def array_of(
    rows: Sequence[Mapping[str, Any]],
    inputs: tuple[str, ...] | Encoding,
    names: tuple[str, ...],
    source: str,
) -> Float64Array:
    """Return the features (N, D) of rows that have a value of each name and of no other.

    Raises:
        DataError: If a name is missing or unknown, or a value is not what its column holds.
    """
    known = set(names)
    for number, row in enumerate(rows, start=1):
        if row.keys() != known:
            raise misnamed(row, names, source, number)
    if not isinstance(inputs, Encoding):
        values = [[row[name] for name in names] for row in rows]
        return np.array(values, np.float64).reshape(len(rows), len(names))
    from linexport.tables import table_of  # with polars

    columns = {name: [row[name] for row in rows] for name in names}
    batches = table_of(columns, source).batches(inputs)
    return np.concatenate([block for batch in batches for _, block in batch.blocks()])


def misnamed(row: Mapping[str, Any], names: Sequence[str], source: str, number: int) -> DataError:
    """Say which of the names a row of named values lacks, or else what name it has beside them."""
    has = f"a row has {listed(names)}"
    lacking = next((name for name in names if name not in row), None)
    if lacking is not None:
        return DataError(f"There is no column '{lacking}'; {has}.", source=source, row=number)
    known = set(names)
    unknown = next(name for name in row if name not in known)
    return DataError(f"'{shortened(unknown)}' is no feature; {has}.", source=source, row=number)
