"""What a verb is given, a bundle or one artifact, and what that holds. No engine is loaded."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from linexport import bundle, formats, parity, sources, tables
from linexport._asked import asked, asked_of_command
from linexport._documented import documented
from linexport._files import naming, parsing
from linexport._shown import Shown
from linexport.columns import listed
from linexport.errors import ArtifactError, ConfigError, DataError

if TYPE_CHECKING:
    from linexport.bundle import Bundle, Manifest
    from linexport.encoding import Encoding
    from linexport.formats import Format
    from linexport.formats.onnx import OnnxSummary
    from linexport.parity import Certificate
    from linexport.tables import Dialect, OnRead, Table

__all__ = ["BundleInspection", "inspect"]


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
        return _artifact(path)
    if isinstance(given, bundle.Bundle):
        return given
    raise ConfigError(f"{type(given).__name__} is neither a bundle nor a path: export it first.")


def _artifact(path: Path) -> Artifact:
    """Read one file, or say what to do with one that holds a model and is no artifact."""
    try:
        kind = formats.of_path(path)
    except ArtifactError as error:
        around, said = bundle.bundle_around(path), str(error).removesuffix(".")
        if around:
            raise ArtifactError(f"{said}; it lies in a bundle: name that, {around}.") from error
        if sources.is_source_file(path):
            raise ArtifactError(f"{said}; if it holds a model, {_exporting(path)}.") from error
        raise
    data = kind.load(path)
    if kind.runs_code and sources.is_saved_by_torch(data):
        raise ArtifactError(
            f"{path}: this is a state_dict, or what else torch.save writes, and no program: "
            f"{_exporting(path)}."
        )
    return Artifact(path, kind, data)


def _exporting(path: Path) -> str:
    export = asked_of_command("export", str(path), output="bundle")
    return f"export it, `{export}`, and name the bundle"


def open_table(
    table: Any,
    dialect: "Dialect | None" = None,
    on_read: "OnRead | None" = None,
    *,
    model: Any = None,
    in_order: "Callable[[str, str], str] | None" = None,
) -> "Table":
    """Open a table as `tables.open_table` does, and say where it is a model instead.

    Args:
        table: Whatever that takes.
        dialect: As there.
        on_read: As there.
        model: What is to predict its rows.
        in_order: Says what to do with a model and a table, in that order.

    Raises:
        DataError: As there, and if it is a bundle or an artifact.
    """
    for name in table if isinstance(table, list | tuple) else [table]:
        if not (isinstance(name, str | os.PathLike) and _is_model(name)):
            continue
        told = f"{asked_of_command('inspect', str(name))} says what it holds"
        if in_order and isinstance(model, str | os.PathLike) and not _is_model(model):
            told = f"the model comes first: {in_order(str(name), str(model))}"
        raise DataError(f"This is a model, not a table; {told}.", source=str(name))
    return tables.open_table(table, dialect=dialect, on_read=on_read)


def _is_model(path: str | os.PathLike[str]) -> bool:
    """Tell the directory of a bundle, or an artifact by its suffix."""
    place = Path(path)
    if not place.is_file():
        return (place / bundle.MANIFEST_FILE).exists()
    with suppress(ArtifactError):
        formats.of_path(place)
        return True
    return False


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
        f"which predicting needs; export the model with {asked(formats=[usable[0].name])} too."
    )


def digest_of(artifact: bytes, encoding: "Encoding | None") -> str:
    """Return the SHA-256, in hexadecimal, of all that predictions from a table depend on."""
    import hashlib  # only for whoever names a version or parts

    said = b"" if encoding is None else msgspec.json.encode(encoding)
    return hashlib.sha256(artifact + said).hexdigest()


@documented
@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class BundleInspection(Shown):
    """A bundle whose sizes, digests and numbers were checked."""

    path: str
    manifest: "Manifest"
    certificate: "Certificate | None"
    """What the parity check found when the bundle was written, if it covers these files."""

    def __repr__(self) -> str:
        return f"BundleInspection({self.path!r})"


def inspect(given: Any) -> "BundleInspection | OnnxSummary":
    """Say what a bundle or an artifact is.

    Args:
        given: A bundle: what `read_bundle` or `export` returned, or its directory; or the path of
            an ONNX file.

    Raises:
        ArtifactError: If it is neither, damaged or hostile.
        ConfigError: If it is no path.
    """
    found = opened(given)
    with naming(found.path):
        if not isinstance(found, bundle.Bundle):
            with parsing():
                summary: OnnxSummary = found.format.summarize(found.data)
            return summary
        certificate = None
        if bundle.CERTIFICATE_FILE in found.manifest.files:
            certificate = parity.decode_certificate(found.read(bundle.CERTIFICATE_FILE))
            check_covered(found.manifest, certificate)
    return BundleInspection(path=str(found.path), manifest=found.manifest, certificate=certificate)


def check_covered(manifest: "Manifest", certificate: "Certificate") -> None:
    """Refuse a certificate that speaks of other files than the ones beside it, or other columns.

    Raises:
        ArtifactError: Naming the file, or the column.
    """
    beside = {name: record.sha256 for name, record in artifacts_of(manifest.files).items()}
    for name in sorted(beside.keys() | certificate.artifacts.keys()):
        if beside.get(name) != certificate.artifacts.get(name):
            raise ArtifactError(
                f"parity.json is not the proof of the {name} in this bundle; run "
                "`linexport verify`, and export the model again."
            )
    for what in ("features", "targets"):
        proven = getattr(certificate, what)
        stated = tuple(column.name for column in getattr(manifest, what))
        if proven and proven != stated:
            raise ArtifactError(
                f"parity.json is the proof of the {what} {listed(proven)}, and manifest.json "
                f"states {listed(stated)}; run `linexport verify`, and export the model again."
            )
