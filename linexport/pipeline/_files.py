"""Artifacts by their names: what format a path holds, and its bytes. No engine is loaded."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linexport.errors import ArtifactError
from linexport.exporters import FORMATS
from linexport.manifest import FILE_FORMATS

ARTIFACTS = {
    name: format_name
    for format_name in FORMATS
    for name, of_file in FILE_FORMATS.items()
    if of_file == format_name
}
"""Format by file name, in the order in which runtimes are asked."""
LARGEST_FILE = 2**31 - 1
"""Bytes; what protobuf, and so ONNX, allows a file."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have whatever is wrong with a file say which file it is."""
    try:
        yield
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error


def is_bundle(path: Path) -> bool:
    """Tell a bundle's directory, also one that is not there, from a single file."""
    return not path.suffix or path.is_dir()


def format_of(path: Path) -> str:
    """Tell an artifact's format by its suffix.

    Raises:
        ArtifactError: If it is none of ours.
    """
    formats = {Path(name).suffix: format_name for name, format_name in ARTIFACTS.items()}
    if path.suffix not in formats:
        raise ArtifactError(
            f"{path}: this is neither a bundle's directory nor a file whose suffix tells its "
            f"format ({', '.join(formats)})."
        )
    return formats[path.suffix]


def read_artifact(path: Path) -> bytes:
    """Read a file that may be anything.

    Raises:
        ArtifactError: If it cannot be read, is no plain file, or has more than 2 GiB.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ArtifactError(f"{path}: this is not a plain file.")
        if status.st_size > LARGEST_FILE:
            raise ArtifactError(
                f"{path}: it has {status.st_size} bytes; an artifact has at most {LARGEST_FILE}."
            )
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}.") from error
