"""What a user's word for a table means: files by name or pattern, a stream, an object."""

import glob
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import msgspec

from linexport.errors import ConfigError, DataError
from linexport.tables._csv import read_plain
from linexport.tables._tables import OnRead, Part, Table, unreadable

TAB_SUFFIXES = (".tsv", ".tab")
CSV_SUFFIXES = (".csv", ".txt", *TAB_SUFFIXES)
PARQUET_SUFFIXES = (".parquet", ".pq")
PARQUET_MAGIC = b"PAR1"
"""The first bytes of a file, and its last."""


class File(msgspec.Struct, frozen=True):
    """One file of a table."""

    path: Path
    """As the user named it, or within what the user named."""
    name: PurePath
    """Its path below the directory, or below the part of the pattern that has no wildcard."""

    @property
    def suffix(self) -> str:
        """The usual suffix of its format: .parquet, .tsv or .csv."""
        if _is_parquet(self.path):
            return ".parquet"
        return ".tsv" if self.path.suffix.lower() in TAB_SUFFIXES else ".csv"


def open_table(
    source: Any, *, delimiter: str | None = None, on_read: OnRead | None = None
) -> Table:
    r"""Open a table.

    Args:
        source: A CSV or Parquet file; a directory or a pattern such as `part-*.csv`, whose files
            are read in the order of their names as one table; a list of these; `-` for CSV on
            standard input; an object with the Arrow PyCapsule interface (polars, pandas, pyarrow,
            DuckDB); a polars LazyFrame; or a mapping of names to arrays, or to scalars for one
            row.
        delimiter: One character between the fields of CSV; `\t` may be written as two. If not
            given, the one of , ; | and tab that occurs in the header.
        on_read: Called with a ReadProgress after each batch, whoever reads them.

    Raises:
        ConfigError: If the delimiter is not one character, or is given where there is no CSV.
        DataError: If there is no such file, it cannot be read, or the files differ in columns.
    """
    delimiter = _check_delimiter(delimiter)
    names = _names_of_files(source)
    if names == ["-"]:
        from linexport.tables._csv_frames import CsvStream

        if sys.stdin is None:
            raise DataError("It is closed.", source="standard input")
        stream = CsvStream(sys.stdin.buffer, "standard input", delimiter)
        return Table(stream.source, [stream], on_read=on_read)
    if names:
        return _open_files(names, delimiter, on_read)
    _refuse_delimiter(delimiter)
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


def _open_files(names: list[str], delimiter: str | None, on_read: OnRead | None) -> Table:
    source = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    try:
        files = [file for name in names for file in _find_files(name)]
        _require_one_format(files, source)
        is_alone = len(files) == 1
        parts = [_open_file(file, delimiter, is_alone=is_alone) for file in files]
    except OSError as error:
        raise unreadable(error, str(error.filename or source)) from error
    return Table(source, parts, files=files, on_read=on_read)


def _open_file(file: File, delimiter: str | None, *, is_alone: bool) -> Part:
    source = str(file.path)
    is_pipe = file.path.exists() and not file.path.is_file()
    if file.suffix == ".parquet":
        from linexport.tables._frames import parquet_file

        _refuse_delimiter(delimiter)
        if is_pipe:
            raise DataError("Parquet cannot be read from a pipe; save it to a file.", source=source)
        return parquet_file(file.path, source)
    # A small file alone does not pay for polars, and among others would be held in memory.
    if is_alone and not is_pipe and (plain := read_plain(file.path, source, delimiter)):
        return plain
    from linexport.tables._csv_frames import CsvFile, CsvStream

    if is_pipe:  # `linexport predict M <(zcat F)`
        return CsvStream(file.path.open("rb"), source, delimiter)
    return CsvFile(file.path, source, delimiter)


def _check_delimiter(delimiter: str | None) -> str | None:
    if delimiter == "\\t":
        return "\t"
    if delimiter is None or (
        len(delimiter) == 1 and delimiter.isascii() and delimiter not in '"\r\n'
    ):
        return delimiter
    raise ConfigError(f"The delimiter must be one ASCII character, got {delimiter!r}.")


def _refuse_delimiter(delimiter: str | None) -> None:
    if delimiter is not None:
        raise ConfigError("A delimiter is for CSV; this table is not.")


def _find_files(name: str) -> list[File]:
    """Return the file, or those of a directory or pattern, sorted by name.

    Raises:
        DataError: If there is none.
    """
    path = Path(name)
    if path.is_dir():
        # Other programs mark unfinished and empty files so: .part-0.parquet.crc, _SUCCESS.
        found = [file for file in path.iterdir() if file.name[0] not in "._"]
        files = [file for file in found if file.suffix.lower() in CSV_SUFFIXES + PARQUET_SUFFIXES]
        base = path
    elif glob.has_magic(name) and not path.exists():
        matches = glob.glob(name, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
        files = [file for file in map(Path, matches) if file.is_file()]
        base = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))
    else:
        return [File(path, PurePath(path.name))]
    if not files:
        raise DataError("There is no CSV or Parquet file.", source=name)
    return [File(file, file.relative_to(base)) for file in sorted(files)]


def _require_one_format(files: Sequence[File], source: str) -> None:
    """Raise DataError if there are Parquet files and others."""
    if len({_is_parquet(file.path) for file in files}) > 1:
        raise DataError("There are CSV and Parquet files; name those of one format.", source=source)


def _is_parquet(path: Path) -> bool:
    """Tell by the name or, if that does not say, by the first bytes."""
    suffix = path.suffix.lower()
    if suffix in PARQUET_SUFFIXES + CSV_SUFFIXES or not path.is_file():
        return suffix in PARQUET_SUFFIXES
    with path.open("rb") as file:
        return file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
