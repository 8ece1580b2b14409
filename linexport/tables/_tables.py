"""Tables: a schema and a stream of batches, whatever the rows come from."""

import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from linexport.errors import ConfigError, DataError
from linexport.tables._ahead import Ahead
from linexport.tables._frames import Frame, parquet_file
from linexport.tables._memory import arrow_table, mapping
from linexport.tables._names import require_known
from linexport.tables._parts import Batch, Part, Selection
from linexport.tables._paths import File, find_files, require_one_format
from linexport.tables._progress import OnRead, ReadProgress

if TYPE_CHECKING:
    from linexport.tables._sharing import Gather

__all__ = ["Batch", "File", "Table", "open_table"]

_BYTES_AHEAD = 96 << 20
"""Of rows read and not yet used: what a core reads while NumPy and onnxruntime are loaded."""


class Table:
    """Named columns, and rows that are read a batch at a time.

    Any number of times, except for standard input. Rows are counted from 1, without the header,
    in the file that a message names.
    """

    def __init__(
        self,
        source: str,
        parts: Sequence[Part],
        *,
        files: Sequence[File] = (),
        on_read: OnRead | None = None,
    ) -> None:
        self.source = source
        """What the user named: a file, a pattern, or the kind of object."""
        self.files = tuple(files)
        """Where its parts lie, in their order; empty if they are not whole files."""
        self.names = parts[0].names
        """The columns, in the order of the first file."""
        self._parts = tuple(parts)
        self._on_read = on_read
        for part in parts[1:]:
            _require_same_columns(part, parts[0])

    @property
    def num_bytes(self) -> float | None:
        """Of its files, 0 for rows in memory; None if it can be read only once, as from a pipe."""
        sizes = [part.num_bytes for part in self._parts]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def batches(
        self,
        numbers: Sequence[str],
        kept: Sequence[str] = (),
        *,
        text_remedy: Callable[[str], str] = lambda _: "correct it",
    ) -> Generator[Batch, None, None]:
        """Yield at least one batch, if only of no rows.

        Reading files begins with this call, in a thread that runs ahead of whoever takes the
        batches. A pipe is not read so, because an interrupt could not end a thread that waits for
        it.

        Args:
            numbers: Columns that must hold numbers (integer, decimal, floating-point, boolean).
            kept: Columns to hand on as they are, whatever they hold; text from CSV.
            text_remedy: Says what to do about text in a column of numbers, given its name.

        Raises:
            DataError: If a name is unknown, a file cannot be read or is malformed, or one of the
                numbers is text.
        """
        batches = self.batches_and_ends(numbers, kept, text_remedy=text_remedy)
        return _without_ends(batches)

    def batches_and_ends(
        self,
        numbers: Sequence[str],
        kept: Sequence[str] = (),
        *,
        text_remedy: Callable[[str], str] = lambda _: "correct it",
    ) -> Generator[Batch | None, None, None]:
        """As `batches`, and yield None where a file ends.

        So a file is known to be whole before the next one turns out to be at fault.
        """
        require_known([*numbers, *kept], self.names, self.source)
        selection = Selection(numbers=tuple(numbers), kept=tuple(kept), text_remedy=text_remedy)
        batches = self._read(selection)
        if all(part.is_file for part in self._parts):
            return self._watched(Ahead(batches, _size_of, _BYTES_AHEAD))
        return self._watched(batches)

    def share(self, rank: int, num_ranks: int, gather: "Gather | None" = None) -> "Table":
        """Return what one of several ranks reads of it; see linexport.tables.

        Without `gather` it is not checked that they see the same files.

        Raises:
            ConfigError: If there is no such rank.
            DataError: If it can be read only once, or the ranks see different files.
        """
        from linexport.tables._sharing import alone, share_parts  # with NumPy: see linexport.tables

        try:
            parts = share_parts(self._parts, rank, num_ranks, gather or alone)
        except OSError as error:
            raise _unreadable(error, str(error.filename or self.source)) from error
        return Table(self.source, parts, on_read=self._on_read)

    def only(self, files: Iterable[File]) -> "Table":
        """Return the rows of some of its files, of at least one."""
        chosen = set(files)
        kept = [
            (part, file)
            for part, file in zip(self._parts, self.files, strict=True)
            if file in chosen
        ]
        parts, files = zip(*kept, strict=True)
        return Table(self.source, parts, files=files, on_read=self._on_read)

    def _read(self, selection: Selection) -> Generator[Batch | None, None, None]:
        for part in self._parts:
            try:
                yield from part.batches(selection)
            except OSError as error:
                raise _unreadable(error, part.source) from error
            yield None

    def _watched(
        self, batches: Generator[Batch | None, None, None] | Ahead[Batch | None]
    ) -> Generator[Batch | None, None, None]:
        """Tell how far reading has come, each time when a batch has been dealt with."""
        rows, bytes_read, num_bytes = 0, 0.0, self.num_bytes if self._on_read else None
        try:
            for batch in batches:
                yield batch
                if batch is None or self._on_read is None:
                    continue
                rows, bytes_read = rows + batch.numbers.height, bytes_read + batch.num_bytes
                self._on_read(ReadProgress(rows=rows, bytes_read=bytes_read, num_bytes=num_bytes))
        finally:
            batches.close()


def _without_ends(batches: Generator[Batch | None, None, None]) -> Generator[Batch, None, None]:
    with closing(batches):
        for batch in batches:
            if batch is not None:
                yield batch


def _size_of(batch: Batch | None) -> float:
    return batch.numbers.estimated_size() + batch.kept.estimated_size() if batch else 0


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
        from linexport.tables._csv import CsvStream

        if sys.stdin is None:
            raise DataError("It is closed.", source="standard input")
        stream = CsvStream(sys.stdin.buffer, "standard input", delimiter)
        return Table(stream.source, [stream], on_read=on_read)
    if names:
        return _open_files(names, delimiter, on_read)
    _refuse_delimiter(delimiter)
    part = _open_object(source)
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
        files = [file for name in names for file in find_files(name)]
        require_one_format(files, source)
        parts = [_open_file(file, delimiter) for file in files]
    except OSError as error:
        raise _unreadable(error, str(error.filename or source)) from error
    return Table(source, parts, files=files, on_read=on_read)


def _open_object(source: Any) -> Part:
    package = type(source).__module__.split(".")[0].lstrip("_")
    name = f"{package}.{type(source).__name__}".removeprefix("builtins.")
    if isinstance(source, pl.LazyFrame):
        return Frame(source, name)
    if isinstance(source, Mapping):
        return mapping(source, name)
    if hasattr(source, "__arrow_c_stream__"):
        return arrow_table(source, name)
    raise DataError(
        f"A {name} is no table: give a path, a polars, pandas, pyarrow or DuckDB table, or a "
        "mapping of column names to arrays."
    )


def _open_file(file: File, delimiter: str | None) -> Part:
    source = str(file.path)
    is_pipe = file.path.exists() and not file.path.is_file()
    if file.suffix == ".parquet":
        _refuse_delimiter(delimiter)
        if is_pipe:
            raise DataError("Parquet cannot be read from a pipe; save it to a file.", source=source)
        return parquet_file(file.path, source)
    from linexport.tables._csv import CsvFile, CsvStream  # Parquet does without

    if is_pipe:  # `linexport predict M <(zcat F)`
        return CsvStream(file.path.open("rb"), source, delimiter)
    return CsvFile(file.path, source, delimiter)


def _require_same_columns(part: Part, first: Part) -> None:
    missing = [name for name in first.names if name not in part.names]
    added = [name for name in part.names if name not in first.names]
    if missing or added:
        differences = [f"'{name}' is missing" for name in missing]
        differences += [f"'{name}' is new" for name in added]
        raise DataError(
            f"Its columns are not those of {first.source}: {', '.join(differences[:4])}.",
            source=part.source,
        )


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


def _unreadable(error: OSError, source: str) -> DataError:
    return DataError(f"It cannot be read: {error.strerror or error}.", source=source)
