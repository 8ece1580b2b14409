"""Reading files that may be anything; and being like the file that is replaced."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linexport.errors import ArtifactError, LinexportError, ModelError, shortened

LARGEST_FILE = 2**31 - 1
"""Bytes; what protobuf, and so ONNX, allows a file."""
_FREE_HOLES, _HOLES_PER_BYTE = 2**24, 16
"""Bytes that a file may have without the disk holding any, and more of them for each that it holds:
some file systems make holes of zeros."""
_LONGEST = 250
"""Characters of what a library says, which may repeat what a stranger wrote."""

_NOT_HERE = {errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}
"""What the system says to those who may not give files away, and a file system without modes."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have whatever is wrong with a file say which file it is."""
    try:
        yield
    except (ArtifactError, ModelError) as error:
        raise ArtifactError(f"{path}: {error}") from error


@contextmanager
def parsing() -> Iterator[None]:
    """Make an ArtifactError of whatever a parser fails with on bytes that may be anything.

    Every door to a parser is within this: a library documents few of the errors that it raises.
    """
    try:
        yield
    except LinexportError:
        raise
    except MemoryError as error:
        raise ArtifactError(f"{first_line(error)} to read it.") from error
    except Exception as error:
        raise ArtifactError(
            f"it is damaged, or not what its name says ({first_line(error)})."
        ) from error


def meant(path: Path) -> str:
    """Return the end of a sentence on a path that names nothing: what may be meant instead."""
    from difflib import get_close_matches  # only for whoever has mistyped a name

    try:
        by_stem = {each.stem: each for each in path.parent.iterdir()}
    except OSError:
        return "." if path.parent.exists() else f"; there is no directory {path.parent}."
    near = get_close_matches(path.stem, by_stem, n=1, cutoff=0.75)
    return f"; did you mean {by_stem[near[0]]}?" if near else "."


def first_line(error: BaseException) -> str:
    """Return what a parser or an engine says of a file, without where in its sources it came up."""
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    line = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (/\S+:\d+ .*\) )?", "", line)
    return shortened(line, _LONGEST)


def read_artifact(path: Path, largest: int = LARGEST_FILE) -> bytes:
    """Read a file that may be anything.

    Raises:
        ArtifactError: If it cannot be read, is no plain file or, then unread, has more bytes.
    """
    with naming(path), parsing():
        try:
            return read_plain(path, largest)
        except OSError as error:
            end = meant(path) if isinstance(error, FileNotFoundError) else "."
            raise ArtifactError(f"{error.strerror}{end}") from error


def read_plain(
    path: str | Path, largest: int, *, name: str = "it", flags: int = 0, within: int | None = None
) -> bytes:
    """Read a plain file of at most so many bytes, in an open directory if one is given.

    Raises:
        ArtifactError: If it is none, or the disk holds next to nothing of it; `name` in messages.
        OSError: If it cannot be read.
    """
    # Without O_NONBLOCK, opening a named pipe would wait for its writer.
    flags |= os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, dir_fd=within), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ArtifactError(f"{name} is not a plain file.")
        if status.st_size > largest:
            raise ArtifactError(
                f"{name} has {status.st_size} bytes, more than the {largest} allowed."
            )
        _require_few_holes(name, file.fileno(), status.st_size)
        return file.read(status.st_size)


def _require_few_holes(name: str, descriptor: int, size: int) -> None:
    """Refuse a file that is nearly all holes, which read as zeros, before it is read."""
    if size <= _FREE_HOLES or not hasattr(os, "SEEK_HOLE"):
        return
    held = place = 0
    while _FREE_HOLES + _HOLES_PER_BYTE * held < size:
        try:
            start = os.lseek(descriptor, place, os.SEEK_DATA)
        except OSError:  # there are no more
            raise ArtifactError(
                f"{name} has {size} bytes, of which the disk holds {held}, and the rest is holes: "
                "it was not written to its end; copy it again."
            ) from None
        place = os.lseek(descriptor, start, os.SEEK_HOLE)
        held += place - start
    os.lseek(descriptor, 0, os.SEEK_SET)


def make_like(path: Path, descriptor: int) -> None:
    """Give a file or directory the mode and, where that is allowed, the owner of another.

    Args:
        path: The other; where there is none, nothing is done.
        descriptor: Of what will replace it, before anything is in it.

    Raises:
        OSError: If that fails where it can be done.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
        with _where_it_can_be():
            os.fchown(descriptor, status.st_uid, status.st_gid)
    with _where_it_can_be():
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode))


@contextmanager
def _where_it_can_be() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
