"""Files written all or nothing."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from linexport.errors import DataError

__all__ = ["SEPARATORS", "destination", "replace", "unwritable", "write_file"]

SEPARATORS = {".csv": ",", ".tsv": "\t"}
"""Between the fields of CSV, by the output's suffix."""
_SECONDS_BETWEEN_SYNCS = 0.05  # in which a disk takes some megabytes


def destination(output: str | Path) -> Path:
    """Return the file to replace; a link stays, and what it points to is replaced.

    Raises:
        DataError: If its directory does not exist, or something that is no file is in its place.
    """
    try:
        path = Path(output).resolve()
        if not path.parent.is_dir():
            raise DataError(f"There is no directory {Path(output).parent}.", source=str(output))
        if path.exists() and not path.is_file():
            raise DataError("It is not a file, and is not replaced.", source=str(output))
    except (OSError, RuntimeError) as error:  # RuntimeError: links that point at each other
        raise DataError(f"It cannot be written: {error}.", source=str(output)) from error
    return path


def write_file(content: bytes, output: str | Path) -> None:
    """Write a file all or nothing.

    Raises:
        DataError: As `destination`; if it cannot be written.
    """
    replace(destination(output), str(output), lambda stream: stream.write(content))


def replace(
    path: Path,
    source: str,
    write: Callable[[BinaryIO], object],
    check: Callable[[Path], None] = lambda _: None,
) -> None:
    """Write aside, look at what lies on the disk, then rename.

    Raises:
        DataError: If it cannot be written.
    """
    aside = path.with_name(f".linexport-{os.urandom(8).hex()}.tmp")
    try:
        try:
            with aside.open("xb") as stream:
                with _reaching_the_disk(stream):
                    write(stream)
                stream.flush()
                os.fsync(stream.fileno())
            check(aside)
            aside.replace(path)
        except OSError as error:
            raise unwritable(error, source) from error
        finally:
            aside.unlink(missing_ok=True)
    finally:
        # An interrupt during a call of polars is raised twice, by polars and then by Python, which
        # may be in the midst of the line above.
        aside.unlink(missing_ok=True)


@contextmanager
def _reaching_the_disk(stream: BinaryIO) -> Iterator[None]:
    """Have the system write what it is given while more is made, not all of it at the end."""
    done = threading.Event()
    failures: list[OSError] = []

    def sync() -> None:
        try:
            while not done.wait(_SECONDS_BETWEEN_SYNCS):
                os.fsync(stream.fileno())
        except OSError as error:  # the system tells it once
            failures.append(error)

    syncing = threading.Thread(target=sync, name="linexport-sync", daemon=True)
    syncing.start()
    try:
        yield
    finally:
        done.set()
        syncing.join()
    if failures:
        raise failures[0]


def unwritable(error: Exception, source: str) -> Exception:
    """Return what to raise for an error of the system met while writing."""
    # polars raises an OSError that tells its number in the message alone.
    if isinstance(error, BrokenPipeError) or "os error 32" in str(error):
        return BrokenPipeError()  # the reader of our output has seen enough: nobody's mistake
    reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
    return DataError(f"It cannot be written: {reason}.", source=source)
