"""What a bundle says of itself: manifest.json, as typed values, and the directory it is read from.

docs/format.md describes the file field by field; this module is that page in code. Unknown fields
are ignored, so that a newer minor addition does not lock out an older reader; a newer
`format_version` is refused.

The values are msgspec's structs: to define a dozen dataclasses takes as long as loading a fifth of
onnxruntime, and whoever predicts from a bundle reads its manifest. Nothing here loads NumPy.
"""

import errno
import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from linexport._documented import documented
from linexport._files import first_line, meant, parsing, read_plain
from linexport.bundle._sizes import largest_manifest, require_proportion, size_of
from linexport.columns import Column, listed
from linexport.encoding import Encoding
from linexport.errors import ArtifactError, BundleError
from linexport.fit import Fitness, FitRecord
from linexport.formats import FORMATS

T = TypeVar("T")

FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"
WEIGHTS_FILE = "weights.safetensors"
CERTIFICATE_FILE = "parity.json"
CARD_FILE = "README.md"

_OWN_FILES = {CARD_FILE: "markdown", CERTIFICATE_FILE: "parity", WEIGHTS_FILE: "safetensors"}


def file_formats() -> dict[str, str]:
    """Return every file that a bundle may list, with its format."""
    return {known.file_name: known.name for known in FORMATS.values()} | _OWN_FILES


@documented
class ErrorBudget(msgspec.Struct, frozen=True, kw_only=True):
    """The largest errors of one target over the range of the training data, in target units."""

    fit: float | None
    """From the exact least-squares optimum; None where there is no training data to know it."""
    export: float
    """The fit's float64 coefficients against the artifact's exact meaning."""
    inputs: float = 0.0
    """What converting float64 inputs to the artifact's dtype moves a prediction by."""
    runtime: float
    """Bound on the rounding while predicting."""
    total: float
    """Their sum: a guarantee for every float64 input in the range."""


@documented
class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What the bundle was made from: (weight + weight_low) (x - mean) + bias + bias_low."""

    weight: tuple[tuple[float, ...], ...]
    """K times D."""
    bias: tuple[float, ...]
    """K."""
    mean: tuple[float, ...] | None = None
    """D; None where nothing is subtracted."""
    weight_low: tuple[tuple[float, ...], ...] | None = None
    """What float64 leaves of the weight; None where that is nothing."""
    bias_low: tuple[float, ...] | None = None


@documented
class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the bundle."""

    format: str
    """One of the values of `file_formats`."""
    bytes: Annotated[int, msgspec.Meta(ge=0)]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    """Lower-case hexadecimal."""


@documented
class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """manifest.json."""

    format: Literal["linexport-bundle"] = "linexport-bundle"
    format_version: int = FORMAT_VERSION
    dtype: Literal["float32", "float64"]
    """Of inputs and outputs."""
    accumulate: Literal["float32", "float64"] | None = None
    """Of the numbers, and of the sum; None where it is the dtype."""
    form: Literal["folded", "centred"]
    features: tuple[Column, ...]
    """In the order of the input."""
    targets: tuple[Column, ...]
    """In the order of the output."""
    encoding: Encoding | None = None
    """What makes the features of a table's columns; None where they are its columns."""
    record: FitRecord
    error_budget: dict[str, ErrorBudget]
    """By target name."""
    origin: Origin | None = None
    """What the bundle was made from; None where that is what it holds, or is not known."""
    fitness: dict[str, Fitness] = {}
    """By target name; empty in what was written before it was judged."""
    assumed_ranges: dict[str, tuple[float, float]] = {}
    """By the name of each feature whose range is not known: what was taken for it."""
    versions: dict[str, str]
    """Of linexport, Python and the packages that wrote the bundle."""
    files: dict[str, FileRecord]
    """By file name; every file of the bundle but manifest.json itself."""

    @property
    def coarse(self) -> str:
        """Why the model is too coarse, in a sentence; empty where it is not."""
        found = [
            each.described(name) for name, each in self.fitness.items() if not each.good_enough
        ]
        return f"The model is too coarse, and was accepted so: {'; '.join(found)}." if found else ""

    def __post_init__(self) -> None:
        known = file_formats()
        for name, file in self.files.items():
            if name not in known:
                raise BundleError(f"'{name}' is not a file that a bundle may list")
            if file.format != known[name]:
                raise BundleError(f"{name} must have the format {known[name]}")
        if self.origin is not None:
            _require_sizes(self.origin, len(self.targets), len(self.features))
        record, statistics = self.record, self.record.statistics
        of_targets = statistics.targets if statistics else {}
        by_target: tuple[Iterable[str], ...] = (
            self.error_budget,
            self.fitness,
            record.coefficients,
            record.optimum,
            of_targets,
        )
        targets = {column.name for column in self.targets}
        for names in (*by_target, *record.metrics.values()):
            _require_among(names, targets, "targets")
        names = tuple(column.name for column in self.features)
        if self.encoding is not None and self.encoding.features != names:
            raise BundleError("the encoding makes other features than the model has")
        features = set(names)
        _require_among(self.assumed_ranges, features, "features")
        for target, coefficients in record.coefficients.items():
            _require_among(coefficients.features, features, "features")
            if missing := features - coefficients.features.keys():
                raise BundleError(
                    f"record.coefficients of '{target}' leave out the feature '{min(missing)}'"
                )
        for of_target in of_targets.values():
            _require_among(of_target.features, features, "features")
        if statistics and (leverage := statistics.leverage):
            lengths = [len(row) for row in leverage.factor]
            if (len(leverage.mean), lengths) != (len(names), list(range(1, len(names) + 1))):
                raise BundleError("leverage must have a mean and a row for each feature")

    def document(self) -> dict[str, Any]:
        """Return what manifest.json holds."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        if self.encoding is None:
            del document["encoding"]
        return document


def _require_sizes(origin: Origin, num_targets: int, num_features: int) -> None:
    rows = (*origin.weight, *(origin.weight_low or ()))
    sizes = (
        *((len(part), num_targets) for part in (origin.weight, origin.bias)),
        *((len(part), num_targets) for part in (origin.weight_low, origin.bias_low) if part),
        *((len(part), num_features) for part in rows),
        *((len(part), num_features) for part in (origin.mean,) if part is not None),
    )
    if any(found != expected for found, expected in sizes):
        raise BundleError("origin must have a weight for each target and feature, and a bias")


def _require_among(names: Iterable[str], known: set[str], what: str) -> None:
    if strangers := set(names) - known:
        raise BundleError(f"'{min(strangers)}' is not one of the {what}")


def encode_manifest(manifest: Manifest) -> bytes:
    """Return manifest.json: UTF-8, indented, one trailing newline, fields in a fixed order.

    Raises:
        BundleError: If a number is NaN or infinite, which JSON does not have.
    """
    document = manifest.document()
    place = _find_non_finite(document)
    if place is not None:
        raise BundleError(f"The manifest's {place.lstrip('.')} is not finite.")
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode_manifest(data: bytes) -> Manifest:
    """Parse and check manifest.json.

    Raises:
        BundleError: If it is not JSON, not a manifest, or of a newer format.
    """
    try:
        version = msgspec.json.decode(data, type=_Header).format_version
        if version <= FORMAT_VERSION:
            return msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        told = first_line(error)
        raise BundleError(f"manifest.json is not a bundle's manifest: {told}.") from error
    raise BundleError(
        f"manifest.json has format version {version}, newer than {FORMAT_VERSION}: "
        "upgrade linexport to open this bundle."
    )


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    """What every format version has."""

    format: Literal["linexport-bundle"]
    format_version: Annotated[int, msgspec.Meta(ge=1)]


def _find_non_finite(value: Any) -> str | None:
    """Return the first place of a number that is not finite, as .field[index].field."""
    if isinstance(value, float):
        return None if math.isfinite(value) else ""
    if not isinstance(value, dict | list | tuple):
        return None
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if (found := _find_non_finite(item)) is not None:
            return (f".{key}" if isinstance(value, dict) else f"[{key}]") + found
    return None


def is_bundle(path: Path) -> bool:
    """Tell a bundle's directory, also one that is not there, from a single file."""
    return not path.suffix or path.is_dir()


def read_inputs(directory: str | os.PathLike[str]) -> "tuple[str, ...] | Encoding":
    """Return what `Table.batches` is to read for a bundle: its encoding, or its features' names.

    Only the manifest is looked at, so it takes `read_bundle` to say that they are the model's.

    Raises:
        BundleError: If there is no bundle, or its manifest is damaged or of a newer format.
    """
    manifest = read_at_once(Path(directory), read_manifest)
    return manifest.encoding or tuple(column.name for column in manifest.features)


def read_at_once(path: Path, read: Callable[[int], T]) -> T:
    """Return what is read from the open directory of a bundle, all of it from one bundle.

    Raises:
        BundleError: If there is none, or reading raises an ArtifactError.
    """
    try:
        while True:
            with open_directory(path) as descriptor:
                try:
                    with parsing():
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
            errno.ENOENT: f"there is no bundle here{meant(path)}",
            errno.ENOTDIR: "a bundle is a directory, and this is none.",
        }
        otherwise = f"the bundle cannot be opened: {error.strerror}."
        raise BundleError(reasons.get(error.errno or 0, otherwise)) from error
    try:
        yield descriptor
    finally:
        with suppress(OSError):  # it was only read
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
        BundleError: If it is missing, not a bundle's, or has more than its numbers are worth.
    """
    if not _has(descriptor, MANIFEST_FILE):
        names = sorted(os.listdir(descriptor))
        inside = [name for name in names if _has(descriptor, f"{name}/{MANIFEST_FILE}")]
        raise BundleError(
            f"there is no bundle here; name one that is in it: {listed(inside)}."
            if inside
            else f"there is no bundle here: {MANIFEST_FILE} is missing."
        )
    weights_bytes = size_of(descriptor, WEIGHTS_FILE)
    data = read_file(descriptor, MANIFEST_FILE, largest_manifest(weights_bytes))
    require_proportion(MANIFEST_FILE, data, weights_bytes)
    return decode_manifest(data)


def _has(descriptor: int, name: str) -> bool:
    return os.access(name, os.F_OK, dir_fd=descriptor)


def read_file(descriptor: int, name: str, limit: int) -> bytes:
    """Read a plain file of an open directory.

    Raises:
        ArtifactError: If it is missing, not a plain file or, then unread, larger than the limit.
    """
    try:
        return read_plain(name, limit, name=name, flags=os.O_NOFOLLOW, within=descriptor)
    except OSError as error:
        reasons = {
            errno.ENOENT: "is missing; export the model again.",
            errno.ELOOP: "is a symbolic link; a bundle holds plain files.",
        }
        otherwise = f"cannot be read: {error.strerror}."
        raise BundleError(f"{name} {reasons.get(error.errno or 0, otherwise)}") from error
