"""A hidden file beside the one that it is to replace.

Its writer holds a lock on it for as long as it lives. The next writer to the same place takes over
what a killed one left, so that nothing stays: names are few and known, and none is searched for.
"""

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from linexport._files import make_like
from linexport._interrupts import held

_MOST_WRITERS = 16
"""At once, to one place, that find a name that can be taken over; more of them get a random one."""
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def aside_of(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Open an empty file beside `path`, with its mode and owner where it is there already.

    It is removed in the end, if it is still there, and so is what killed writers left.

    Raises:
        OSError: If it cannot be made.
    """
    with held() as interruptible:
        aside, stream = _taken(path)
        try:
            try:
                make_like(path, stream.fileno())
                with interruptible():
                    yield aside, stream
            finally:
                _discard(aside, stream)
        finally:
            # Without a command to hold it, an interrupt during a call of polars is raised twice, by
            # polars and then by Python, which may be in the midst of the line above.
            _discard(aside, stream)
            for name in _names(path):
                if os.path.lexists(name):
                    _remove_abandoned(name)


def _discard(aside: Path, stream: BinaryIO) -> None:
    """Remove a file that has not been renamed; under its name another writer's may be by now."""
    if stream.closed:
        return
    with suppress(OSError):
        if os.path.samestat(os.fstat(stream.fileno()), aside.lstat()):
            aside.unlink()
    with suppress(OSError):  # what could not be written, which was said before
        stream.close()


def _names(path: Path) -> list[Path]:
    key = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    return [path.with_name(f".linexport-{key}-{n}.tmp") for n in range(_MOST_WRITERS)]


def _taken(path: Path) -> tuple[Path, BinaryIO]:
    for name in _names(path):
        with suppress(OSError):  # a live writer's, somebody else's, or there are no locks
            descriptor = os.open(name, _FLAGS, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_ours(name, descriptor):
                    os.ftruncate(descriptor, 0)
                    return name, os.fdopen(os.dup(descriptor), "wb")
            finally:
                os.close(descriptor)
    unique = path.with_name(f".linexport-{os.urandom(8).hex()}.tmp")
    return unique, unique.open("xb")


def _is_ours(name: Path, descriptor: int) -> bool:
    """Tell a file that only this user has, and that still has its name, from a planted one."""
    status = os.fstat(descriptor)
    alone = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
    return alone and status.st_uid == os.geteuid() and os.path.samestat(status, name.lstat())


def _remove_abandoned(name: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_ours(name, descriptor):
                name.unlink()
        finally:
            os.close(descriptor)
