"""Artifacts by their names: what format a path holds. No engine is loaded."""

from pathlib import Path

from linexport.bundle import FILE_FORMATS
from linexport.errors import ArtifactError
from linexport.formats import FORMATS

ARTIFACTS = {
    name: format_name
    for format_name in FORMATS
    for name, of_file in FILE_FORMATS.items()
    if of_file == format_name
}
"""Format by file name, in the order in which runtimes are asked."""


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
