"""Opening a bundle that may be damaged, hostile, or replaced while it is being read."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from linexport import manifest as manifests
from linexport.bundle._weights import LARGEST_HEADER, decode_weights
from linexport.errors import ArtifactError, BundleError, ModelError
from linexport.manifest import MANIFEST_FILE, WEIGHTS_FILE, FileRecord, Manifest
from linexport.model import LinearModel

LARGEST_MANIFEST = 2**28
"""Bytes; room for half a million features."""
LARGEST_FILE = 2**31 - 1
"""Bytes; what protobuf, and so ONNX, allows a file."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Bundle:
    """A bundle as it was at one instant, checked whole: sizes, digests, numbers and names."""

    path: Path
    """Where it was read; the path may hold another bundle by now."""
    manifest: Manifest
    model: LinearModel
    """The reference numbers in the artifacts' dtype and form, with the manifest's columns."""
    contents: Mapping[str, bytes] = field(repr=False)
    """Every listed file by name, as checked against its digest."""

    def read(self, file_name: str) -> bytes:
        """Return one file.

        Raises:
            BundleError: If the bundle does not have it.
        """
        if file_name not in self.contents:
            raise BundleError(
                f"{self.path}: the bundle has no {file_name}; it has {', '.join(self.contents)}."
            )
        return self.contents[file_name]


def read_bundle(directory: str | os.PathLike[str]) -> Bundle:
    """Open a bundle; entries that its manifest does not list are not looked at.

    Raises:
        BundleError: If there is none, or it is damaged, hostile or of a newer format.
    """
    path = Path(directory)
    try:
        while True:
            with open_directory(path) as descriptor:
                try:
                    return _read(path, descriptor)
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
    except FileNotFoundError as error:
        raise BundleError("there is no bundle here.") from error
    except NotADirectoryError as error:
        raise BundleError("a bundle is a directory, and this is none.") from error
    except OSError as error:
        raise BundleError(f"the bundle cannot be opened: {error.strerror}.") from error
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
    return manifests.decode(_read_file(descriptor, MANIFEST_FILE, LARGEST_MANIFEST))


def _read(path: Path, descriptor: int) -> Bundle:
    manifest = read_manifest(descriptor)
    if WEIGHTS_FILE not in manifest.files:
        raise BundleError(f"manifest.json does not list {WEIGHTS_FILE}.")
    contents = {
        name: _read_listed(descriptor, name, record, _limit(name, manifest))
        for name, record in manifest.files.items()
    }
    return Bundle(
        path=path,
        manifest=manifest,
        model=_model(contents[WEIGHTS_FILE], manifest),
        contents=MappingProxyType(contents),
    )


def _limit(name: str, manifest: Manifest) -> int:
    if name != WEIGHTS_FILE:
        return LARGEST_FILE
    num_features, num_targets = len(manifest.features), len(manifest.targets)
    count = num_targets * (num_features + 1) + 2 * num_features
    return 8 + LARGEST_HEADER + 8 * count


def _model(weights: bytes, manifest: Manifest) -> LinearModel:
    try:
        model = decode_weights(weights).with_columns(manifest.features, manifest.targets)
    except ModelError as error:
        raise BundleError(f"manifest.json does not describe {WEIGHTS_FILE}: {error}") from error
    seen = (model.dtype.name, "standardized" if model.standardized else "folded")
    if seen != (manifest.dtype, manifest.form):
        raise BundleError(
            f"{WEIGHTS_FILE} holds a {' '.join(seen)} model, "
            f"manifest.json a {manifest.dtype} {manifest.form} one."
        )
    return model


def _read_listed(descriptor: int, name: str, record: FileRecord, limit: int) -> bytes:
    if record.bytes > limit:
        raise BundleError(f"manifest.json gives {name} {record.bytes} bytes; {limit} are allowed.")
    data = _read_file(descriptor, name, record.bytes)
    if len(data) != record.bytes or hashlib.sha256(data).hexdigest() != record.sha256:
        raise BundleError(
            f"{name} is not the file that manifest.json lists (size or SHA-256 differ): "
            "it was changed or damaged; export the model again."
        )
    return data


def _read_file(descriptor: int, name: str, limit: int) -> bytes:
    """Read a plain file of an open directory, refusing one that passes the limit unread."""
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
    except FileNotFoundError as error:
        raise BundleError(f"{name} is missing.") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise BundleError(f"{name} is a symbolic link; a bundle holds plain files.") from error
        raise BundleError(f"{name} cannot be read: {error.strerror}.") from error
