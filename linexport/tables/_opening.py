"""What a user's word for a table means: files by name or pattern, a stream, an object.

What a file is its name says or, if it does not, its first bytes. Directories called KEY=VALUE, as
Hive and Spark write them, are columns of the files below them.
"""

import glob
import itertools
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote

import msgspec

from linexport.errors import ConfigError, DataError
from linexport.tables._csv import read_plain
from linexport.tables._dialect import USUAL, Dialect
from linexport.tables._part import Part, unreadable
from linexport.tables._tables import OnRead, Table

Kind: TypeAlias = Literal["CSV", "Parquet", "Arrow IPC", "JSON lines", "Excel"]

_OF_CELLS = ("decimal", "thousands", "strip", "null_values", "date_order")
"""What of a dialect is heeded by text in files of other kinds."""
_TAB_SUFFIXES = (".tsv", ".tab")
_KINDS: dict[str, Kind] = {
    **dict.fromkeys((".csv", ".txt", *_TAB_SUFFIXES), "CSV"),
    **dict.fromkeys((".parquet", ".pq"), "Parquet"),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), "Arrow IPC"),
    **dict.fromkeys((".jsonl", ".ndjson"), "JSON lines"),
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls"), "Excel"),
}  # fmt: skip
_COMPRESSED = (".gz", ".zst", ".bz2", ".xz")
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


class File(msgspec.Struct, frozen=True):
    """One file of a table."""

    path: Path
    """As the user named it, or within what the user named."""
    name: PurePath
    """Its path below the directory, or below the part of the pattern that has no wildcard; without
    the suffix of what compressed it."""

    @property
    def kind(self) -> Kind:
        """What is in it; CSV if nothing says otherwise."""
        known = _KINDS.get(self.name.suffix.lower())
        if known or not self.path.is_file():
            return known or "CSV"
        from linexport.tables._arrow_footer import ARROW_MAGIC  # most names do without
        from linexport.tables._parquet_footer import PARQUET_MAGIC

        with self.path.open("rb") as file:
            head = file.read(len(ARROW_MAGIC))
        if head.startswith(PARQUET_MAGIC):
            return "Parquet"
        return "Arrow IPC" if head == ARROW_MAGIC else "CSV"

    @property
    def suffix(self) -> str:
        """The usual suffix of what we would write in its stead: .parquet, .tsv or .csv."""
        if self.kind in ("Parquet", "Arrow IPC"):
            return ".parquet"
        return ".tsv" if self.name.suffix.lower() in _TAB_SUFFIXES else ".csv"

    @property
    def keys(self) -> dict[str, str | None]:
        """What the directories above it say of all its rows."""
        pairs = (part.split("=", 1) for part in self.name.parts[:-1] if "=" in part)
        return {
            unquote(name): None if value == _HIVE_NULL else unquote(value) for name, value in pairs
        }


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
        DataError: If there is no such file, or it cannot be read.
        UnavailableError: If the package that reads Excel is not installed.
    """
    dialect = dialect or USUAL
    names = _names_of_files(source)
    if names == ["-"]:
        _require_no_sheet(dialect)
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
        files = _find_files(names, source)
        is_alone = len(files) == 1 and not files[0].keys
        parts = [_open_file(file, dialect, is_alone=is_alone) for file in files]
        if any(file.keys for file in files):
            from linexport.tables._partitions import partitions  # with polars

            parts = partitions(parts, [file.keys for file in files])
    except OSError as error:
        raise unreadable(error, str(error.filename or source)) from error
    is_text = files[0].kind in ("CSV", "JSON lines", "Excel")
    return Table(source, parts, files=files, dialect=dialect if is_text else None, on_read=on_read)


def _find_files(names: Sequence[str], source: str) -> list[File]:
    """Return the files of all names, of each in the order of their own.

    Raises:
        DataError: If a name means none, or they are not of one kind.
    """
    files = [file for name in names for file in _named(name)]
    kinds = sorted({file.kind for file in files})
    if len(kinds) > 1:
        most = Counter(file.path.suffix for file in files).most_common(1)[0][0]
        such = f", as '{source}/**/*{most}'" if most and Path(source).is_dir() else ""
        raise DataError(
            f"There are {' and '.join(kinds)} files; name those of one format{such}.", source=source
        )
    return files


def _named(name: str) -> list[File]:
    path = Path(name)
    if path.is_dir():
        found, base = [file for file in _below(path) if _content_suffix(file) in _KINDS], path
    elif glob.has_magic(name) and not path.exists():
        matches = glob.glob(name, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
        found = [file for file in map(Path, matches) if file.is_file()]
        base = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))
    else:
        return [_file(path, PurePath(path.name))]
    if not found:
        raise DataError("There is no file of a table in it (CSV, Parquet, ...).", source=name)
    return [_file(file, file.relative_to(base)) for file in sorted(found)]


def _below(directory: Path) -> Iterator[Path]:
    """Yield the files of a directory, and of those below that are columns."""
    for path in directory.iterdir():
        # Other programs mark unfinished and empty files so: .part-0.parquet.crc, _SUCCESS.
        if path.name[0] in "._":
            continue
        if not path.is_dir():
            yield path
        elif "=" in path.name:
            yield from _below(path)


def _file(path: Path, name: PurePath) -> File:
    is_compressed = name.suffix.lower() in _COMPRESSED
    return File(path, name.with_suffix("") if is_compressed else name)


def _content_suffix(path: Path) -> str:
    return _file(path, path).name.suffix.lower()


def _open_file(file: File, dialect: Dialect, *, is_alone: bool) -> Part:
    source, kind = str(file.path), file.kind
    is_pipe = file.path.exists() and not file.path.is_file()
    if kind == "CSV":
        _require_no_sheet(dialect)
        # A small file alone does not pay for polars, and among others would be held in memory.
        if is_alone and not is_pipe and (plain := read_plain(file.path, source, dialect)):
            return plain
        from linexport.tables._csv_frames import CsvFile, CsvStream

        if is_pipe:  # `linexport predict M <(command)`
            return CsvStream(file.path.open("rb"), source, dialect)
        return CsvFile(file.path, source, dialect)
    heeded = {"JSON lines": (*_OF_CELLS, "encoding"), "Excel": (*_OF_CELLS, "sheet", "skip_rows")}
    _require_usual(dialect, heeded.get(kind, ()))
    if is_pipe:
        raise DataError(f"{kind} cannot be read from a pipe; save it to a file.", source=source)
    if kind == "JSON lines":
        from linexport.tables._json_lines import JsonLines

        return JsonLines(file.path, source, dialect)
    if kind == "Excel":
        from linexport.tables._excel import excel_file

        return excel_file(file.path, source, dialect)
    from linexport.tables import _frames

    opened = _frames.parquet_file if kind == "Parquet" else _frames.arrow_file
    return opened(file.path, source)


def _require_usual(dialect: Dialect, heeded: Sequence[str] = ()) -> None:
    for name in dialect.unusual:
        if name == "sheet" and name not in heeded:
            _require_no_sheet(dialect)
        elif name not in heeded:
            kinds = "CSV, JSON lines and Excel" if name in _OF_CELLS else "CSV"
            raise ConfigError(f"{name} is for {kinds}; this table is not.")


def _require_no_sheet(dialect: Dialect) -> None:
    if dialect.sheet is not None:
        raise ConfigError("sheet is for Excel; this table is not.")
