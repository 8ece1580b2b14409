"""Tables in memory, of any library: only the columns that are asked for are converted.

What the other columns hold does not matter. A library's own methods tell the names and choose
among them; none is imported for it.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from linexport._arrays import tensor_to_numpy
from linexport._polars import pl
from linexport.columns import require_unique
from linexport.errors import DataError, shortened
from linexport.tables._frames import Frame, index_columns
from linexport.tables._part import Batch, Part, Selection, unreadable
from linexport.tables._tables import Table

Choose = Callable[[list[str]], Any]
"""Returns a table of some of the columns."""

_REFUSED_TYPES = ("decimal256", "month_day_nano_interval")
"""By how pyarrow and pandas write them. polars panics at them, with a trace on standard error."""


def in_memory(source: Any) -> Part:
    """Take a table that is in memory.

    Raises:
        DataError: If it is none.
    """
    package = type(source).__module__.split(".")[0].lstrip("_")
    name = f"{package}.{type(source).__name__}".removeprefix("builtins.")
    if isinstance(source, pl.LazyFrame):
        return Frame(source, name)
    if isinstance(source, Mapping):
        return _mapping(source, name)
    if hasattr(source, "__arrow_c_stream__"):
        return _arrow_table(source, name)
    raise DataError(
        f"{name} is no table: give a path, a polars, pandas, pyarrow or DuckDB table, or a "
        "mapping of column names to arrays."
    )


def table_of(columns: Mapping[str, Any], source: str) -> Table:
    """Return lists of one length by name as a table that messages call so.

    Raises:
        DataError: As `in_memory`.
    """
    return Table(source, [_mapping(columns, source)])


class Columns:
    """Named columns, converted anew for each pass."""

    is_file = False
    num_bytes = 0.0

    def __init__(
        self,
        names: Sequence[str],
        convert: Callable[[list[str]], pl.DataFrame],
        num_rows: int,
        source: str,
        *,
        index_columns: Sequence[str] = (),
    ) -> None:
        self.names = require_unique(names, source)
        self.index_columns = index_columns
        self.source = source
        self._convert = convert
        self.size = num_rows
        self._share: tuple[int, int] | None = None

    def cut(self, start: int, stop: int) -> "Columns":
        part = copy.copy(self)
        part._share = (start, stop)  # noqa: SLF001 - its own class
        return part

    def batches(self, selection: Selection) -> Iterator[Batch]:
        names = list(dict.fromkeys(selection.numbers + selection.kept))
        frame = Frame(self._convert(names).lazy(), self.source)
        return (frame if self._share is None else frame.cut(*self._share)).batches(selection)


def _arrow_table(table: Any, source: str) -> Part:
    """Take a table with the Arrow PyCapsule interface; a mere stream of it is read at once.

    Raises:
        DataError: If a stream cannot be exported or is no table, or two columns have one name.
    """
    if isinstance(table, pl.DataFrame):
        return Frame(table.lazy(), source)
    if _is_pandas(table):
        names, levels, choose = _columns_of_pandas(table)
    elif _is_pyarrow(table):
        names, choose = table.schema.names, table.select
        levels = index_columns((table.schema.metadata or {}).get(b"pandas"), names)
    else:
        return Frame(_imported(table, source).lazy(), source)
    return Columns(
        names,
        lambda wanted: _chosen(choose, wanted, source),
        len(table),
        source,
        index_columns=levels,
    )


def _mapping(columns: Mapping[str, Any], source: str) -> Columns:
    """Take arrays, tensors or lists of one length by name, or scalars for one row.

    Numbers wider than float64 are rounded to it.

    Raises:
        DataError: If a name is no text, or the lengths differ.
    """
    for name in columns:
        if not isinstance(name, str):
            raise DataError(
                f"A column name must be text, got {shortened(repr(name))}.", source=source
            )
    lengths = {name: 1 if _is_scalar(values) else len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"'{name}' {length}" for name, length in lengths.items())
        raise DataError(f"The columns differ in length: {listed}.", source=source)
    return Columns(
        list(columns),
        lambda names: pl.DataFrame([_series(name, columns[name], source) for name in names]),
        max(lengths.values(), default=0),
        source,
    )


def _is_pandas(table: Any) -> bool:
    """Tell by the class: an attribute of a data frame may be a column."""
    return hasattr(type(table), "iloc") and hasattr(type(table), "columns")


def _is_pyarrow(table: Any) -> bool:
    """Tell by the schema; a reader has one too, but cannot choose."""
    schema = getattr(table, "schema", None)
    return hasattr(table, "select") and isinstance(getattr(schema, "types", None), list)


def _columns_of_pandas(frame: Any) -> tuple[list[str], Sequence[str], Choose]:
    """Return the names, as text, of the columns and of the index's levels that have one."""
    positions = {str(label): position for position, label in enumerate(frame.columns)}
    levels = [name for name in frame.index.names if isinstance(name, str) and name not in positions]

    def choose(names: list[str]) -> Any:
        chosen = frame.take([positions[name] for name in names if name in positions], axis=1)
        wanted = [name for name in names if name in levels]
        return (chosen.reset_index(wanted) if wanted else chosen).reset_index(drop=True)

    return [str(label) for label in frame.columns] + levels, levels, choose


def _chosen(choose: Choose, names: list[str], source: str) -> pl.DataFrame:
    """Import some columns, or say which one cannot be."""
    table = choose(names)
    for name, kind in _types(table):
        if kind.startswith(_REFUSED_TYPES):
            raise DataError(
                f"Values of type {kind} cannot be read; cast them, as to float64.",
                source=source,
                column=name,
            )
    try:
        return _imported(table, source)
    except DataError:
        for name in names:
            _imported(choose([name]), source, name)
        raise


def _types(table: Any) -> Iterable[tuple[str, str]]:
    if _is_pandas(table):
        return ((str(label), str(dtype)) for label, dtype in table.dtypes.items())
    return zip(table.schema.names, map(str, table.schema.types), strict=True)


def _imported(table: Any, source: str, column: str | None = None) -> pl.DataFrame:
    if not isinstance(table, pl.Series):
        try:
            return pl.DataFrame(table)
        except pl.exceptions.SchemaError:  # an array of anything but rows
            pass
        except (Exception, pl.exceptions.PanicException) as error:  # the exporter's, of any library
            raise unreadable(error, source, column) from error
    raise DataError(
        "It is one-dimensional; give a table, or a mapping of column names to arrays.",
        source=source,
    )


def _is_scalar(values: Any) -> bool:
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        return True
    return getattr(values, "ndim", None) == 0


def _series(name: str, values: Any, source: str) -> pl.Series:
    if hasattr(values, "detach"):
        values = tensor_to_numpy(values, source, name)
    try:
        column = _column(name, values)
    except OverflowError as error:
        raise DataError(
            "An integer is beyond the range of float64; correct it.", source=source, column=name
        ) from error
    except (Exception, pl.exceptions.PanicException) as error:  # of whatever the values are
        raise unreadable(error, source, name) from error
    if isinstance(column.dtype, pl.List | pl.Array):
        raise DataError(
            f"It must be one-dimensional, got rows of {column.dtype}.", source=source, column=name
        )
    return column


def _column(name: str, values: Any) -> pl.Series:
    if isinstance(values, np.ndarray | np.generic):
        values = np.atleast_1d(values)
        if values.dtype.kind == "f" and values.dtype.itemsize > 8:  # polars has no long double
            with np.errstate(over="ignore"):
                values = values.astype(np.float64)
        return pl.Series(name, values)
    if _is_scalar(values):
        values = [values]
    try:
        return pl.Series(name, values)
    except (TypeError, OverflowError):  # a list of int and float, for instance
        return pl.Series(name, values, dtype=pl.Float64)
