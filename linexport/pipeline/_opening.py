"""What a verb is given: a bundle, in whichever guise, or one artifact. No engine is loaded."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from linexport import bundle, formats
from linexport._files import read_artifact
from linexport.errors import ArtifactError, ConfigError

if TYPE_CHECKING:
    from linexport.bundle import Bundle
    from linexport.formats import Format


class Artifact(NamedTuple):
    """One file, by itself."""

    path: Path
    format: "Format"
    data: bytes


def opened(given: Any) -> "Bundle | Artifact":
    """Open what a verb is given.

    Args:
        given: What `read_bundle` or `export` returned; the path of a bundle's directory, or of an
            artifact that any tool wrote.

    Raises:
        ArtifactError: If it cannot be read, or is damaged or hostile.
        ConfigError: If it is none of these.
    """
    if isinstance(given, str | os.PathLike):
        path = Path(given)
        if bundle.is_bundle(path):
            return bundle.read_bundle(path)
        return Artifact(path, formats.of_path(path), read_artifact(path))
    if isinstance(given, bundle.Bundle):
        return given
    raise ConfigError(f"A {type(given).__name__} is neither a bundle nor the path of a file.")


def artifacts_of(contents: Any) -> dict[str, Any]:
    """Return what there is of the artifacts among files by name, in the order of the formats."""
    names = [known.file_name for known in formats.FORMATS.values()]
    return {name: contents[name] for name in names if name in contents}


def predicting_artifact(opened: "Bundle") -> "tuple[Format, bytes]":
    """Return the artifact of a bundle that predictions are made with.

    Raises:
        ArtifactError: If there is none.
    """
    usable = [known for known in formats.FORMATS.values() if known.predicts]
    for known in usable:
        if known.file_name in opened.contents:
            return known, opened.read(known.file_name)
    raise ArtifactError(
        f"{opened.path}: the bundle has no {' or '.join(known.file_name for known in usable)}, "
        f"which predicting needs; export the model with --format {usable[0].name} too."
    )
