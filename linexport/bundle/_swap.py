"""Putting a directory in another's place, so that the path always names one of the two.

    Linux    renameat2(RENAME_EXCHANGE)    atomic
    macOS    renamex_np(RENAME_SWAP)       atomic
    else     two renames; between them the path names nothing

The last way is also taken on file systems that cannot exchange, such as NFS.
"""

import ctypes
import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_RENAME_SWAP = 2
_CANNOT = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}
"""What the system or the file system says if it cannot exchange."""


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
