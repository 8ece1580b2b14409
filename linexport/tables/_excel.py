"""A sheet of a workbook, read in a process of its own.

A few bytes of a workbook can ask for any memory: a cell at the far corner makes a table of 2**34
cells, a sheet is deflated a thousandfold, one long text stands in a million cells. What reads it
ends its process where there is not enough. So it has one that may end, within limits.
"""

import importlib
import importlib.util
import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from linexport._asked import asked
from linexport._files import first_line
from linexport._polars import pl
from linexport.columns import listed
from linexport.errors import DataError, UnavailableError
from linexport.tables._allowance import memory_allowed
from linexport.tables._dialect import Dialect
from linexport.tables._frames import Frame
from linexport.tables._misfits import titled
from linexport.tables._part import unreadable

_TITLES = 5
"""Rows above a header, and empty ones among them, that are looked through."""
_FREE_SECONDS, _BYTES_PER_SECOND = 20, 2**16
"""Of processor time: a usual sheet of so many bytes takes a twentieth of that."""
_FAILED = 1
"""What Python exits with after an error that is none of the workbook's, as of an import."""


class _Told(msgspec.Struct):
    """What the process says before the rows."""

    sheets: list[str] = []
    header: int = 0
    """How many rows stand above what seems to be the header, where the first row is none."""
    error: str = ""


def excel_file(path: Path, source: str, dialect: Dialect) -> Frame:
    """Read a sheet of a workbook into memory; it has a million rows at most.

    Raises:
        UnavailableError: If what reads it is not installed.
        DataError: If it is none, is damaged, asks for too much, or has no such sheet.
    """
    if importlib.util.find_spec("fastexcel") is None:
        raise UnavailableError(
            f"{source}: Excel files are read with fastexcel: pip install 'linexport[excel]', or "
            "save the sheet as CSV."
        )
    told, rows = _asked_of_process(path, source, dialect)
    if told.error:
        raise unreadable(ValueError(told.error), source)
    if told.header:
        raise titled("row", told.header, source)
    if not rows:
        raise DataError(
            f"It has no sheet '{dialect.sheet}': {asked(sheet=...)} takes one of "
            f"{listed(told.sheets)}.",
            source=source,
        )
    return Frame(pl.read_ipc(io.BytesIO(rows)).lazy(), source, dialect=dialect)


def _asked_of_process(path: Path, source: str, dialect: Dialect) -> tuple[_Told, bytes]:
    """Return what is said of a workbook, and the rows of its sheet, if it has that."""
    size = path.stat().st_size
    memory = memory_allowed(size)
    seconds = _FREE_SECONDS + size // _BYTES_PER_SECOND
    # With one thread nothing is set aside for others, whose stacks count too.
    settings = {"POLARS_MAX_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            __name__,
            str(path),
            str(memory),
            str(seconds),
            str(dialect.skip_rows),
            *filter(None, [dialect.sheet]),
        ],
        env=os.environ | settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    head, _, rows = ended.stdout.partition(b"\n")
    words = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    if ended.returncode == _FAILED and words != MemoryError.__name__:
        raise unreadable(ValueError(f"what reads it failed: {words}"), source)
    if ended.returncode or not head:
        raise DataError(
            f"To read it takes more than the {memory >> 20} MiB and {seconds} s that a workbook of "
            f"{size} bytes is allowed: save the sheet as CSV.",
            source=source,
        )
    return msgspec.json.decode(head, type=_Told), rows


def _limit(memory: int, seconds: int) -> None:
    """Have this process end where it takes more, beyond what it has."""
    with suppress(ImportError, OSError, ValueError):  # where there are no limits, or lower ones
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + memory, mapped + memory))


def _header_below(frame: pl.DataFrame, read: Callable[[int], pl.DataFrame]) -> int:
    """Return how many rows stand above a header, 0 where the first row is one or none is found.

    The first row is a title if it has one cell, and the header the first one with as many texts as
    there are columns. Empty rows, which the frame has not, count.
    """
    named = [name for name in frame.columns if not name.startswith("__UNNAMED__")]
    if frame.width < 2 or len(named) > 1:
        return 0
    for place, row in enumerate(frame.head(_TITLES).iter_rows(), start=1):
        if all(isinstance(value, str) for value in row):
            rows = range(place, place + _TITLES)
            return next((above for above in rows if read(above).columns == [*row]), 0)
    return 0


def _main(path: str, memory: str, seconds: str, skip_rows: str, sheet: str | None = None) -> None:
    import fastexcel

    for name in ("numpy", "pyarrow"):  # polars would load them within the limit
        with suppress(ImportError):
            importlib.import_module(name)
    pl.select(1).write_ipc(io.BytesIO())  # starts its threads
    told, rows = _Told(), b""
    _limit(int(memory), int(seconds))
    try:
        told.sheets = fastexcel.read_excel(path).sheet_names
        sheet = told.sheets[0] if sheet is None else sheet
        if sheet in told.sheets:

            def read(above: int) -> pl.DataFrame:
                where = {"header_row": above} if above else {}
                return pl.read_excel(
                    path, sheet_name=sheet, read_options=where, infer_schema_length=None
                )

            frame = read(int(skip_rows))
            told.header = 0 if int(skip_rows) else _header_below(frame, read)
            file = io.BytesIO()
            frame.write_ipc(file)
            rows = file.getvalue()
    except MemoryError:
        raise
    except BaseException as error:  # of several libraries; a panic is no Exception
        told = _Told(error=first_line(error))
    sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n" + rows)


if __name__ == "__main__":
    _main(*sys.argv[1:])
