"""Writing a bundle: beside its path first, then in place at once."""

import errno
import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from safetensors import numpy as safetensors_numpy

from linexport._asked import asked
from linexport._files import LARGEST_FILE, make_like
from linexport.bundle._manifest import (
    CERTIFICATE_FILE,
    MANIFEST_FILE,
    WEIGHTS_FILE,
    ErrorBudget,
    FileRecord,
    Manifest,
    Origin,
    encode_manifest,
    file_formats,
    open_directory,
    read_manifest,
)
from linexport.bundle._sizes import largest_manifest, largest_other, require_proportion
from linexport.bundle._staging import exchange, remove_abandoned, staging
from linexport.errors import BundleError
from linexport.fit import FitRecord
from linexport.model import LinearModel
from linexport.numerics import ExactMap

_TAKEN_MEANWHILE = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.ENOENT}
"""What a rename says if somebody else changed what the path names."""


def manifest_of(
    model: LinearModel,
    record: FitRecord,
    error_budget: dict[str, ErrorBudget],
    *,
    origin: ExactMap | None = None,
    **told: Any,
) -> Manifest:
    """Return what the manifest says of a model, before there are files.

    Args:
        model: The reference numbers, in the artifacts' dtypes and form, with their columns.
        record: How the model came about.
        error_budget: By target name.
        origin: What the model was made from; the model itself where it is not given.
        told: Further fields of `Manifest`.
    """
    return Manifest(
        dtype="float32" if model.dtype.name == "float32" else "float64",
        accumulate="float32" if model.accumulate.name == "float32" else "float64",
        form=model.form,
        features=model.features,
        targets=model.targets,
        record=record,
        error_budget=error_budget,
        origin=None if origin is None else _origin_of(origin, model),
        files={},
        **told,
    )


def write_bundle(
    directory: str | os.PathLike[str],
    manifest: Manifest,
    model: LinearModel,
    files: Mapping[str, bytes],
    *,
    overwrite: bool = False,
) -> Manifest:
    """Write a bundle, all or nothing; its parent directories are made where they are missing.

    Args:
        directory: A path that names nothing, an empty directory or, to replace it, a bundle.
        manifest: What `manifest_of` says of the model.
        model: The reference numbers, of which the weights' file is made.
        files: The artifacts, parity.json and README.md by name.
        overwrite: Whether a bundle may be replaced.

    Returns:
        The manifest as written, with the files.

    Raises:
        BundleError: If something is in the way, or the system refuses (full disk, no permission).
            What the path named before is then as it was.
    """
    if WEIGHTS_FILE in files:
        raise BundleError(f"{WEIGHTS_FILE} is written from the model; do not pass it.")
    contents = {**files, WEIGHTS_FILE: encode_weights(model)}
    records = {name: _record(name, contents[name]) for name in sorted(contents)}
    manifest = msgspec.structs.replace(manifest, files=records)
    contents[MANIFEST_FILE] = encode_manifest(manifest)
    _check_sizes(contents)
    path = Path(os.path.abspath(directory))  # noqa: PTH100 - resolve() would follow a link at its end
    try:
        _write(path, contents, overwrite=overwrite)
    except OSError as error:
        raise BundleError(
            f"{directory}: the bundle cannot be written: {error.strerror}."
        ) from error
    return manifest


def _origin_of(exact: ExactMap, model: LinearModel) -> Origin | None:
    """Return what the manifest says of the function that a model was made from.

    None where the model holds that very function, number by number.
    """
    if exact.is_float64:
        held = ExactMap.of(model)
        pairs = ((exact.weight.high, held.weight.high), (exact.bias.high, held.bias.high))
        means = [np.zeros(model.num_features) if m is None else m for m in (exact.mean, held.mean)]
        if all(np.array_equal(a, b) for a, b in (*pairs, tuple(means))):
            return None
    weight_low, bias_low = exact.weight.low, exact.bias.low
    return Origin(
        weight=tuple(map(tuple, exact.weight.high.tolist())),
        bias=tuple(exact.bias.high.tolist()),
        mean=None if exact.mean is None else tuple(exact.mean.tolist()),
        weight_low=tuple(map(tuple, weight_low.tolist())) if np.any(weight_low) else None,
        bias_low=tuple(bias_low.tolist()) if np.any(bias_low) else None,
    )


def encode_weights(model: LinearModel) -> bytes:
    """Write a model's numbers: weight (K, D), bias (K,) and, where centred, mean (D,)."""
    return bytes(safetensors_numpy.save(dict(model.arrays())))


def check_destination(directory: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Refuse a path that `write_bundle` would refuse; for those who will train for hours first.

    Raises:
        BundleError: If the path is taken, or its parent cannot be written to.
    """
    path = Path(os.path.abspath(directory))  # noqa: PTH100 - as write_bundle
    _is_occupied(path, overwrite=overwrite)
    ancestor = next(parent for parent in path.parents if parent.exists())
    if not os.access(ancestor, os.W_OK | os.X_OK):
        raise BundleError(f"{path}: no bundle can be written here: {ancestor} is read-only.")


def _record(name: str, data: bytes) -> FileRecord:
    known = file_formats()
    if name not in known:
        raise BundleError(f"'{name}' is not a file of a bundle; it may have {', '.join(known)}.")
    digest = hashlib.sha256(data).hexdigest()
    return FileRecord(format=known[name], bytes=len(data), sha256=digest)


def _check_sizes(contents: Mapping[str, bytes]) -> None:
    """Refuse what no reader would take."""
    manifest, weights = contents[MANIFEST_FILE], contents[WEIGHTS_FILE]
    limits = {MANIFEST_FILE: largest_manifest(len(weights)), WEIGHTS_FILE: LARGEST_FILE}
    for name in {MANIFEST_FILE, CERTIFICATE_FILE} & contents.keys():
        require_proportion(name, contents[name], len(weights))
    for name, data in contents.items():
        limit = limits.get(name, largest_other(len(manifest), len(weights)))
        if len(data) > limit:
            raise BundleError(f"{name} has {len(data)} bytes; a bundle allows {limit}.")


def _write(path: Path, contents: Mapping[str, bytes], *, overwrite: bool) -> None:
    _is_occupied(path, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path)
    with staging(path) as stage:
        _write_files(stage.descriptor, contents, path)
        _put_in_place(stage.new, path, stage.aside, overwrite=overwrite)
        _sync_parent(path)


def _write_files(descriptor: int, contents: Mapping[str, bytes], old: Path) -> None:
    """Write files into an open directory; when this returns they are on the disk.

    They have the modes and owners of those of the bundle that they replace; a file that it lacks
    those of its manifest.
    """
    make_like(old, descriptor)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    for name, data in contents.items():
        with os.fdopen(os.open(name, flags, 0o666, dir_fd=descriptor), "wb") as file:
            make_like(old / name if (old / name).exists() else old / MANIFEST_FILE, file.fileno())
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    _sync_directory(descriptor)


def _sync_parent(path: Path) -> None:
    try:
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _sync_directory(parent)
        finally:
            os.close(parent)
    except OSError as error:
        raise BundleError(
            f"{path}: the bundle is in place, but may not survive a power cut: {error.strerror}."
        ) from error


def _sync_directory(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that syncs files only
            raise


def _put_in_place(staged: Path, path: Path, aside: Path, *, overwrite: bool) -> None:
    while True:
        occupied = _is_occupied(path, overwrite=overwrite)
        try:
            if occupied:
                exchange(staged, path, aside)
            else:
                staged.rename(path)  # onto nothing or an empty directory
        except OSError as error:
            if error.errno not in _TAKEN_MEANWHILE or not staged.exists():
                raise
        else:
            return


def _is_occupied(path: Path, *, overwrite: bool) -> bool:
    """Tell whether the path names a bundle that may be replaced, or else nothing.

    Raises:
        BundleError: If it names anything else.
    """
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise BundleError(f"{path}: this is a symbolic link; name the directory it points to.")
        if not stat.S_ISDIR(mode):
            raise BundleError(f"{path}: this is a file; a bundle is a directory.")
        names = {entry.name for entry in path.iterdir()}
    except FileNotFoundError:
        return False
    except OSError as error:
        raise BundleError(f"{path}: no bundle can be written here: {error.strerror}.") from error
    if not names:
        return False
    _check_replaceable(path, names)
    if not overwrite:
        raise BundleError(
            f"{path}: there is a bundle already; {asked(overwrite=True)} replaces it."
        )
    return True


def _check_replaceable(path: Path, names: set[str]) -> None:
    """Refuse a directory that is not a bundle and nothing but a bundle."""
    try:
        with open_directory(path) as descriptor:
            manifest = read_manifest(descriptor)
    except BundleError as error:
        raise BundleError(
            f"{path}: this directory is neither empty nor a bundle, so it is not replaced; name a "
            f"new one, as {path / 'NAME'} ({str(error).rstrip('.')})."
        ) from error
    strangers = names - {MANIFEST_FILE, *manifest.files}
    if strangers:
        raise BundleError(
            f"{path}: '{min(strangers)}' is not part of the bundle and would be lost; move it away."
        )
