"""Tables: a schema and a stream of batches, whatever the rows come from."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from linexport._documented import documented
from linexport.columns import require_known
from linexport.encoding import Encoding
from linexport.errors import DataError
from linexport.tables._part import Batch, Part, Selection, unreadable
from linexport.tables._sharing import Gather, alone, share_parts

if TYPE_CHECKING:
    from linexport.tables._ahead import Ahead
    from linexport.tables._dialect import Dialect
    from linexport.tables._opening import File


_BYTES_AHEAD = 40 << 20
"""Of rows read and not yet used: what a core reads while NumPy and onnxruntime are loaded. Less
than is read of wide tables at once, so that one such read is held beside the one in use."""


@documented
class ReadProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far one pass over a table, or over a rank's share of it, has come."""

    rows: int
    """Rows read so far; a smaller number than before means that a new pass has begun."""
    bytes_read: float
    """Of the files; 0 where the table is in memory."""
    num_bytes: float | None
    """Of the files in all; None where that is not known, as of standard input."""


OnRead: TypeAlias = Callable[[ReadProgress], None]


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
        files: "Sequence[File]" = (),
        dialect: "Dialect | None" = None,
        on_read: OnRead | None = None,
    ) -> None:
        self.source = source
        """What the user named: a file, a pattern, or the kind of object."""
        self.files = tuple(files)
        """Where its parts lie, in their order; empty if they are not whole files."""
        self.dialect = dialect
        """How its text is written; None where it is no text."""
        self.names = tuple(dict.fromkeys(name for part in parts for name in part.names))
        """The columns, in the order of the first file; then what other files alone have."""
        self._parts = tuple(parts)
        self._on_read = on_read

    @property
    def index_columns(self) -> Sequence[str]:
        """Those of its columns that pandas says are the index of its rows, not data."""
        return self._parts[0].index_columns

    @property
    def num_bytes(self) -> float | None:
        """Of its files, 0 for rows in memory; None if it can be read only once, as from a pipe."""
        sizes = [part.num_bytes for part in self._parts]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def batches(
        self,
        numbers: Sequence[str] | Encoding,
        kept: Sequence[str] = (),
        *,
        text_remedy: Callable[[str], str] = lambda _: "correct it, or delete its row",
    ) -> Generator[Batch, None, None]:
        """Yield at least one batch, if only of no rows.

        Reading files begins with this call, in a thread that runs ahead of whoever takes the
        batches. A pipe is not read so, because an interrupt could not end a thread that waits for
        it.

        Args:
            numbers: Columns that must hold numbers (integer, decimal, floating-point, boolean); or
                what becomes numbers of columns, which are then the batches' numbers.
            kept: Columns to hand on as they are, whatever they hold; text from CSV.
            text_remedy: Says what to do about text in a column of numbers, given its name.

        Raises:
            DataError: If a name is unknown, a file cannot be read or is malformed, one of the
                numbers is text, a category is unknown, or a kept column is of different types in
                two files.
        """
        batches = self.batches_and_ends(numbers, kept, text_remedy=text_remedy)
        return _without_ends(batches, kept)

    def batches_and_ends(
        self,
        numbers: Sequence[str] | Encoding,
        kept: Sequence[str] = (),
        *,
        text_remedy: Callable[[str], str] = lambda _: "correct it, or delete its row",
    ) -> Generator[Batch | None, None, None]:
        """As `batches`, but with any types of kept columns, and yield None where a file ends.

        So a file is known to be whole before the next one turns out to be at fault.
        """
        encode: Callable[[Batch], Batch] | None = None
        if isinstance(numbers, Encoding):
            from linexport.tables._encoded import encoded  # with polars

            numbers, kept, encode = encoded(numbers, kept, self.dialect)
        require_known([*numbers, *kept], self.names, self.source)
        self.require_in_each_file([*numbers, *kept])
        selection = Selection(numbers=tuple(numbers), kept=tuple(kept), text_remedy=text_remedy)
        batches = self._read(selection, encode)
        if all(part.is_file for part in self._parts):
            from linexport.tables._ahead import Ahead  # what is small does without

            return self._watched(Ahead(batches, _size_of, _BYTES_AHEAD))
        return self._watched(batches)

    def require_in_each_file(
        self, names: Sequence[str], to_do: Callable[[list[str]], str] = lambda _: ""
    ) -> None:
        """Raise DataError if files lack some of the columns, with what to do about these."""
        lacking, wanted = dict[str, str](), set(names)
        for part in reversed(self._parts):
            lacking |= dict.fromkeys(wanted.difference(part.names), part.source)
        if found := [name for name in names if name in lacking]:
            message = f"There is no column '{found[0]}', which other files have{to_do(found)}."
            raise DataError(message, source=lacking[found[0]])

    def share(self, rank: int, num_ranks: int, gather: Gather | None = None) -> "Table":
        """Return what one of several ranks reads of it; see linexport.tables._sharing.

        Without `gather` it is not checked that they see the same files.

        Raises:
            ConfigError: If there is no such rank.
            DataError: If it can be read only once, or the ranks see different files.
        """
        try:
            parts = share_parts(self._parts, rank, num_ranks, gather or alone)
        except OSError as error:
            raise unreadable(error, str(error.filename or self.source)) from error
        return Table(self.source, parts, dialect=self.dialect, on_read=self._on_read)

    def only(self, files: "Iterable[File]") -> "Table":
        """Return the rows of some of its files, of at least one."""
        chosen = set(files)
        kept = [
            (part, file)
            for part, file in zip(self._parts, self.files, strict=True)
            if file in chosen
        ]
        parts, files = zip(*kept, strict=True)
        return Table(self.source, parts, files=files, dialect=self.dialect, on_read=self._on_read)

    def _read(
        self, selection: Selection, encode: Callable[[Batch], Batch] | None
    ) -> Generator[Batch | None, None, None]:
        for part in self._parts:
            try:
                found = part.batches(selection)
                yield from found if encode is None else map(encode, found)
            except (OSError, MemoryError) as error:
                raise unreadable(error, part.source) from error
            yield None

    def _watched(
        self, batches: "Generator[Batch | None, None, None] | Ahead[Batch | None]"
    ) -> Generator[Batch | None, None, None]:
        """Tell how far reading has come, each time when a batch has been dealt with."""
        rows, bytes_read, num_bytes = 0, 0.0, self.num_bytes if self._on_read else None
        try:
            for batch in batches:
                yield batch
                if batch is None or self._on_read is None:
                    continue
                rows, bytes_read = rows + batch.num_rows, bytes_read + batch.num_bytes
                self._on_read(ReadProgress(rows=rows, bytes_read=bytes_read, num_bytes=num_bytes))
        finally:
            batches.close()


def _without_ends(
    batches: Generator[Batch | None, None, None], kept: Sequence[str]
) -> Generator[Batch, None, None]:
    """Yield the batches, whose kept columns are of the same types throughout."""
    types: Sequence[str] | None = None
    with closing(batches):
        for batch in batches:
            if batch is None:
                continue
            types = types or batch.kept_types
            for name, here, before in zip(kept, batch.kept_types, types, strict=True):
                if here != before:
                    raise DataError(
                        f"It holds {here}, but {before} in the files before; make them alike.",
                        source=batch.source,
                        column=name,
                    )
            yield batch


def _size_of(batch: Batch | None) -> float:
    return batch.held_bytes if batch else 0
