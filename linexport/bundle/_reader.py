"""Opening a bundle that may be damaged, hostile, or replaced while it is being read."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType

from linexport._files import LARGEST_FILE
from linexport.bundle._directory import read_at_once, read_file, read_manifest
from linexport.bundle._manifest import WEIGHTS_FILE, FileRecord, Manifest
from linexport.bundle._weights import LARGEST_HEADER, decode_weights
from linexport.errors import BundleError, ModelError
from linexport.model import LinearModel


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
    return read_at_once(path, partial(_read, path))


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
    seen = (model.dtype.name, model.form)
    if seen != (manifest.dtype, manifest.form):
        raise BundleError(
            f"{WEIGHTS_FILE} holds a {' '.join(seen)} model, "
            f"manifest.json a {manifest.dtype} {manifest.form} one."
        )
    return model


def _read_listed(descriptor: int, name: str, record: FileRecord, limit: int) -> bytes:
    if record.bytes > limit:
        raise BundleError(f"manifest.json gives {name} {record.bytes} bytes; {limit} are allowed.")
    data = read_file(descriptor, name, record.bytes)
    if len(data) != record.bytes or hashlib.sha256(data).hexdigest() != record.sha256:
        raise BundleError(
            f"{name} is not the file that manifest.json lists (size or SHA-256 differ): "
            "it was changed or damaged; export the model again."
        )
    return data
