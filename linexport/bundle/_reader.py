"""Opening a bundle that may be damaged, hostile, or replaced while it is being read.

The numbers that define what is right are in weights.safetensors.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
from numpy.typing import NDArray

from linexport._arrays import FloatArray, FloatDType
from linexport._documented import documented
from linexport._files import first_line
from linexport._shown import Shown
from linexport.bundle._manifest import (
    CERTIFICATE_FILE,
    MANIFEST_FILE,
    WEIGHTS_FILE,
    FileRecord,
    Manifest,
    read_at_once,
    read_file,
    read_manifest,
)
from linexport.bundle._sizes import largest_other, require_proportion, size_of
from linexport.errors import ArtifactError, BundleError, ModelError
from linexport.model import LinearModel

if TYPE_CHECKING:
    from linexport.numerics import ExactMap

LARGEST_HEADER = 4096
"""Bytes; the header names three arrays, where the safetensors format would allow 100 MB."""

_DAMAGED = "The safetensors file is damaged:"
_DTYPES: dict[str, FloatDType] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
_NARROW_DTYPES: dict[str, FloatDType] = {"F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}


@documented
@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class Bundle(Shown):
    """A bundle as it was at one instant, checked whole: sizes, digests, numbers and names."""

    path: Path
    """Where it was read; the path may hold another bundle by now."""
    manifest: Manifest
    model: LinearModel
    """The reference numbers in the artifacts' dtypes and form, with the manifest's columns."""
    contents: Mapping[str, bytes] = field(repr=False)
    """Every listed file by name, as checked against its digest."""

    def __repr__(self) -> str:
        return f"Bundle({str(self.path)!r})"

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


def bundle_around(path: Path) -> Path | None:
    """Return the bundle that a file lies in, if it is one."""
    return path.parent if (path.parent / MANIFEST_FILE).exists() else None


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
    sizes = (size_of(descriptor, MANIFEST_FILE), manifest.files[WEIGHTS_FILE].bytes)
    contents = {
        name: _read_listed(descriptor, name, record, _limit(name, manifest, sizes))
        for name, record in manifest.files.items()
    }
    if CERTIFICATE_FILE in contents:
        require_proportion(
            CERTIFICATE_FILE, contents[CERTIFICATE_FILE], len(contents[WEIGHTS_FILE])
        )
    return Bundle(
        path=path,
        manifest=manifest,
        model=_model(contents[WEIGHTS_FILE], manifest),
        contents=MappingProxyType(contents),
    )


def _limit(name: str, manifest: Manifest, sizes: tuple[int, int]) -> int:
    """Return how many bytes a file may have, beside a manifest and numbers of these sizes."""
    num_features, num_targets = len(manifest.features), len(manifest.targets)
    count = num_targets * (num_features + 1) + 2 * num_features
    of_weights = 8 + LARGEST_HEADER + 8 * count
    return (
        of_weights if name == WEIGHTS_FILE else largest_other(sizes[0], min(sizes[1], of_weights))
    )


def _model(weights: bytes, manifest: Manifest) -> LinearModel:
    numbers = decode_weights(weights)
    seen, stated = (numbers.dtype.name, numbers.form), manifest.accumulate or manifest.dtype
    if seen != (stated, manifest.form):
        raise BundleError(
            f"{WEIGHTS_FILE} holds a {' '.join(seen)} model, "
            f"manifest.json a {stated} {manifest.form} one."
        )
    try:
        return replace(
            numbers,
            dtype=np.dtype(manifest.dtype),
            features=manifest.features,
            targets=manifest.targets,
        )
    except ModelError as error:
        raise BundleError(f"manifest.json does not describe {WEIGHTS_FILE}: {error}") from error


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


def exact_origin(manifest: Manifest) -> "ExactMap | None":
    """Return the function that a bundle was made from, where it is not what the bundle holds."""
    origin = manifest.origin
    if origin is None:
        return None
    from linexport.numerics import DoubleDouble, ExactMap  # most bundles do without

    weight, bias = np.array(origin.weight, np.float64), np.array(origin.bias, np.float64)
    weight_low = np.zeros_like(weight) if origin.weight_low is None else origin.weight_low
    bias_low = np.zeros_like(bias) if origin.bias_low is None else origin.bias_low
    return ExactMap(
        weight=DoubleDouble(weight, np.asarray(weight_low, np.float64)),
        bias=DoubleDouble(bias, np.asarray(bias_low, np.float64)),
        mean=None if origin.mean is None else np.array(origin.mean, np.float64),
    )


def decode_weights(data: bytes) -> LinearModel:
    """Read a model's numbers, under default names, from a file that may be anything.

    Raises:
        ArtifactError: If it is no safetensors file, or does not hold exactly a finite linear model.
    """
    try:
        return LinearModel.from_arrays(decode_arrays(data))
    except ModelError as error:
        raise ArtifactError(f"The safetensors file is no linear model: {error}") from error


def decode_arrays(
    data: bytes, *, largest_header: int = LARGEST_HEADER, narrow: bool = False
) -> dict[str, FloatArray]:
    """Read arrays by name from a file that may be anything.

    Args:
        data: What it holds.
        largest_header: Bytes.
        narrow: Whether to take float16 and bfloat16 too, as the float32 that equals them.

    Raises:
        ArtifactError: If it is no safetensors file, or holds other numbers than these or float32
            and float64.
    """
    if int.from_bytes(data[:8], "little") > largest_header:
        raise ArtifactError(f"{_DAMAGED} its header passes {largest_header} bytes.")
    tensors: list[tuple[str, dict[str, Any]]]
    try:
        tensors = safetensors.deserialize(data)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise ArtifactError(f"{_DAMAGED} {first_line(error)}.") from error
    dtypes = _DTYPES | _NARROW_DTYPES if narrow else _DTYPES
    arrays: dict[str, FloatArray] = {}
    for name, tensor in tensors:
        kind = tensor["dtype"]
        if kind not in dtypes:
            raise ArtifactError(
                f"The safetensors file holds {name} as {kind}; it must be {' or '.join(dtypes)}."
            )
        flat = _widened(np.frombuffer(tensor["data"], dtype=dtypes[kind]))
        arrays[name] = flat.reshape(tensor["shape"])
    return arrays


def _widened(values: NDArray[Any]) -> FloatArray:
    """Return float16, and the bits of bfloat16, as float32: of that, bfloat16 is the upper half."""
    if values.dtype == np.uint16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32) if values.dtype == np.float16 else values
