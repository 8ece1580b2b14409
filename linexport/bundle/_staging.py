"""The hidden directories beside a bundle: the next one while it is written, the last one after.

A writer holds a lock on its directory for as long as it lives, and the system lets go of the lock
when the writer is killed: a directory that can be locked is abandoned, and the next writer removes
it. Only files that a bundle may have are ever removed; anything else stays, and so does the
directory that holds it.

The next bundle is put in the last one's place so that the path always names one of the two:

    Linux    renameat2(RENAME_EXCHANGE)    atomic
    macOS    renamex_np(RENAME_SWAP)       atomic
    else     two renames; between them the path names nothing

The last way is also taken on file systems that cannot exchange, such as NFS.
"""

import ctypes
import errno
import fcntl
import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from linexport._interrupts import held
from linexport.bundle._manifest import MANIFEST_FILE, file_formats, is_at

_NEW, _OLD = "linexport-new", "linexport-old"
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_RENAME_SWAP = 2
_CANNOT = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}
"""What the system or the file system says if it cannot exchange."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Staging:
    """A writer's own names beside a bundle."""

    new: Path
    """A locked directory, empty at first."""
    descriptor: int
    """Of that directory."""
    aside: Path
    """A free name."""


@contextmanager
def staging(path: Path) -> Iterator[Staging]:
    """Make a directory beside `path`; what is found under its names in the end is removed.

    Raises:
        OSError: If it cannot be made.
    """
    with held() as interruptible:
        stage = _new_directory(path)
        try:
            with interruptible():
                yield stage
        finally:
            _remove(stage.new)
            if os.path.lexists(path):  # else what was set aside is the only bundle there is
                _remove(stage.aside)
            os.close(stage.descriptor)


def remove_abandoned(path: Path) -> None:
    """Remove what killed writers left beside `path`."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{16}}\.({_NEW}|{_OLD})")
    for sibling in path.parent.iterdir():
        match = pattern.fullmatch(sibling.name)
        if match is None:
            continue
        if match[1] == _OLD and not os.path.lexists(path):  # as in staging
            continue
        with suppress(OSError):  # a live writer's, or not ours to remove
            descriptor = os.open(sibling, _OPEN_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(sibling)
            finally:
                os.close(descriptor)


def _new_directory(path: Path) -> Staging:
    while True:
        name = f".{path.name}.{secrets.token_hex(8)}."
        new = path.with_name(name + _NEW)
        new.mkdir()
        try:
            descriptor = _locked(new)
        except OSError:
            with suppress(OSError):
                new.rmdir()
            raise
        if descriptor is not None:
            return Staging(new=new, descriptor=descriptor, aside=path.with_name(name + _OLD))


def _locked(new: Path) -> int | None:
    """Return a descriptor of a directory that is this writer's own.

    None if another writer has taken it for abandoned before it was locked.
    """
    try:
        descriptor = os.open(new, _OPEN_DIRECTORY)
    except FileNotFoundError:
        return None
    is_ours = False
    try:
        is_ours = _lock(descriptor) and is_at(new, descriptor)
        return descriptor if is_ours else None
    finally:
        if not is_ours:
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock a directory; return False if another writer has."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks: no other writer can lock the directory either
    return True


def _remove(directory: Path) -> None:
    """Remove a bundle or what there is of one; the next writer tries again where this fails."""
    with suppress(OSError):  # without a descriptor left for it, it may be empty all the same
        descriptor = os.open(directory, _OPEN_DIRECTORY)
        try:
            for name in (MANIFEST_FILE, *file_formats()):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=descriptor)
        finally:
            os.close(descriptor)
    with suppress(OSError):
        directory.rmdir()


def exchange(staged: Path, path: Path, aside: Path) -> None:
    """Put one directory in another's place.

    Args:
        staged: Holds the new content; afterwards the old, or nothing.
        path: Holds the old content, and afterwards the new.
        aside: A free name; afterwards nothing, or the old content.

    Raises:
        OSError: If that cannot be; both are then where they were.
    """
    try:
        _exchange_atomically(staged, path)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        _replace_in_two_steps(staged, path, aside)


def _replace_in_two_steps(staged: Path, path: Path, aside: Path) -> None:
    path.rename(aside)
    try:
        staged.rename(path)
    except BaseException:  # Ctrl-C too
        with suppress(OSError):
            aside.rename(path)
        raise


def _exchange_atomically(first: Path, second: Path) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(first), os.fsencode(second)
    if sys.platform == "linux" and hasattr(library, "renameat2"):
        failed = library.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    elif sys.platform == "darwin" and hasattr(library, "renamex_np"):
        failed = library.renamex_np(*names, _RENAME_SWAP)
    else:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if failed:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(first), None, str(second))
