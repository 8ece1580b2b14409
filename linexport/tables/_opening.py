"""What a user's word for a table means: files by name or pattern, a stream, an object."""

import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from linexport.errors import ConfigError, DataError
from linexport.tables._csv import read_plain
from linexport.tables._dialect import Dialect
from linexport.tables._finding import File, find_files
from linexport.tables._tables import OnRead, Part, Table, unreadable

_USUAL = Dialect()
_OF_CELLS = ("decimal", "thousands", "strip", "null_values")
"""What of a dialect is heeded by text in files of other kinds."""


def open_table(
    source: Any, *, dialect: Dialect | None = None, on_read: OnRead | None = None
) -> Table:
    """Open a table.

    Args:
        source: A file: CSV, JSON lines (both compressed or not), Parquet, Arrow IPC, Excel; a
            directory or a pattern such as `part-*.csv`, whose files are read in the order of their
            names as one table; a list of these; `-` for CSV on standard input; an object with the
            Arrow PyCapsule interface (polars, pandas, pyarrow, DuckDB); a polars LazyFrame; or a
            mapping of names to arrays, or to scalars for one row.
        dialect: How CSV is written, if not as most is.
        on_read: Called with a ReadProgress after each batch, whoever reads them.

    Raises:
        ConfigError: If a dialect is given for what is no text.
        DataError: If there is no such file, it cannot be read, or the files differ in columns.
        UnavailableError: If the package that reads Excel is not installed.
    """
    dialect = dialect or _USUAL
    names = _names_of_files(source)
    if names == ["-"]:
        from linexport.tables._csv_frames import CsvStream

        if sys.stdin is None:
            raise DataError("It is closed.", source="standard input")
        stream = CsvStream(sys.stdin.buffer, "standard input", dialect)
        return Table(stream.source, [stream], dialect=dialect, on_read=on_read)
    if names:
        return _open_files(names, dialect, on_read)
    _require_usual(dialect)
    from linexport.tables._memory import in_memory  # with polars

    part = in_memory(source)
    return Table(part.source, [part], on_read=on_read)


def _names_of_files(source: Any) -> list[str]:
    """Return what was named, or nothing if it is an object that holds rows."""
    several = source if isinstance(source, list | tuple) else [source]
    if not all(isinstance(name, str | Path) for name in several):
        return []
    names = [str(name) for name in several]
    if "" in names:
        raise DataError("The name of the table is empty; name a file, a directory or -.")
    if "-" in names and len(names) > 1:
        raise DataError("Standard input is a table by itself; give it alone, or name files only.")
    return names


def _open_files(names: list[str], dialect: Dialect, on_read: OnRead | None) -> Table:
    source = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    try:
        files = find_files(names, source)
        is_alone = len(files) == 1 and not files[0].keys
        parts = [_open_file(file, dialect, is_alone=is_alone) for file in files]
        if any(file.keys for file in files):
            from linexport.tables._partitions import partitions  # with polars

            parts = partitions(parts, [file.keys for file in files])
    except OSError as error:
        raise unreadable(error, str(error.filename or source)) from error
    is_text = files[0].kind in ("CSV", "JSON lines", "Excel")
    return Table(source, parts, files=files, dialect=dialect if is_text else None, on_read=on_read)


def _open_file(file: File, dialect: Dialect, *, is_alone: bool) -> Part:
    source, kind = str(file.path), file.kind
    is_pipe = file.path.exists() and not file.path.is_file()
    if kind == "CSV":
        # A small file alone does not pay for polars, and among others would be held in memory.
        if is_alone and not is_pipe and (plain := read_plain(file.path, source, dialect)):
            return plain
        from linexport.tables._csv_frames import CsvFile, CsvStream

        if is_pipe:  # `linexport predict M <(command)`
            return CsvStream(file.path.open("rb"), source, dialect)
        return CsvFile(file.path, source, dialect)
    heeded = {"JSON lines": (*_OF_CELLS, "encoding"), "Excel": _OF_CELLS}
    _require_usual(dialect, heeded.get(kind, ()))
    if is_pipe:
        raise DataError(f"{kind} cannot be read from a pipe; save it to a file.", source=source)
    if kind == "JSON lines":
        from linexport.tables._json_lines import JsonLines

        return JsonLines(file.path, source, dialect)
    from linexport.tables import _frames

    if kind == "Excel":
        return _frames.excel_file(file.path, source, dialect)
    opened = _frames.parquet_file if kind == "Parquet" else _frames.arrow_file
    return opened(file.path, source)


def _require_usual(dialect: Dialect, heeded: Sequence[str] = ()) -> None:
    for name in (field.name for field in fields(dialect)):
        if name not in heeded and getattr(dialect, name) != getattr(_USUAL, name):
            raise ConfigError(f"{name} is for CSV; this table is not.")
