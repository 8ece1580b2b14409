"""The open directory of a bundle, and what it says of itself. Nothing here loads NumPy."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from linexport.bundle._manifest import MANIFEST_FILE, Manifest, decode_manifest
from linexport.errors import ArtifactError, BundleError

T = TypeVar("T")

LARGEST_MANIFEST = 2**28
"""Bytes; room for half a million features."""


def is_bundle(path: Path) -> bool:
    """Tell a bundle's directory, also one that is not there, from a single file."""
    return not path.suffix or path.is_dir()


def feature_names(directory: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the features that a bundle states, in the order of the input.

    Only the manifest is looked at, so it takes `read_bundle` to say that they are the model's.

    Raises:
        BundleError: If there is no bundle, or its manifest is damaged or of a newer format.
    """
    manifest = read_at_once(Path(directory), read_manifest)
    return tuple(column.name for column in manifest.features)


def read_at_once(path: Path, read: Callable[[int], T]) -> T:
    """Return what is read from the open directory of a bundle, all of it from one bundle.

    Raises:
        BundleError: If there is none, or reading raises an ArtifactError.
    """
    try:
        while True:
            with open_directory(path) as descriptor:
                try:
                    return read(descriptor)
                except ArtifactError:
                    # A writer removes the bundle that it has replaced, also under a reader's hands.
                    if is_at(path, descriptor):
                        raise
    except ArtifactError as error:
        raise BundleError(f"{path}: {error}") from error


@contextmanager
def open_directory(path: Path) -> Iterator[int]:
    """Open a directory once, so that all its files are of one bundle.

    Raises:
        BundleError: If there is none.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        reasons = {
            errno.ENOENT: "there is no bundle here.",
            errno.ENOTDIR: "a bundle is a directory, and this is none.",
        }
        otherwise = f"the bundle cannot be opened: {error.strerror}."
        raise BundleError(reasons.get(error.errno or 0, otherwise)) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def is_at(path: Path, descriptor: int) -> bool:
    """Tell whether the path still names the open directory."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))  # noqa: PTH116 - as fstat is
    except FileNotFoundError:
        return False


def read_manifest(descriptor: int) -> Manifest:
    """Read and check manifest.json of an open directory.

    Raises:
        BundleError: If it is missing or not a bundle's.
    """
    return decode_manifest(read_file(descriptor, MANIFEST_FILE, LARGEST_MANIFEST))


def read_file(descriptor: int, name: str, limit: int) -> bytes:
    """Read a plain file of an open directory.

    Raises:
        BundleError: If it is missing, not a plain file or, then unread, larger than the limit.
    """
    # Without O_NONBLOCK, opening a named pipe would wait for its writer.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(name, flags, dir_fd=descriptor), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BundleError(f"{name} is not a plain file.")
            if status.st_size > limit:
                raise BundleError(
                    f"{name} has {status.st_size} bytes, more than the {limit} expected."
                )
            return file.read(status.st_size)
    except OSError as error:
        reasons = {
            errno.ENOENT: "is missing.",
            errno.ELOOP: "is a symbolic link; a bundle holds plain files.",
        }
        otherwise = f"cannot be read: {error.strerror}."
        raise BundleError(f"{name} {reasons.get(error.errno or 0, otherwise)}") from error
