"""Every format that there is, and writing a model in those that are asked for.

What the command line offers, the manifest may list, `verify` opens and the card shows follows from
the one table here.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linexport.errors import ArtifactError, ConfigError
from linexport.formats._format import Format, encoded, stating
from linexport.formats._pt2 import Pt2
from linexport.formats._torchscript import TorchScript
from linexport.formats.onnx import Onnx, OnnxColumns

if TYPE_CHECKING:
    from linexport.encoding import Encoding
    from linexport.fit import FitRecord
    from linexport.model import LinearModel

__all__ = [
    "DEFAULT_FORMATS",
    "FORMATS",
    "artifact_metadata",
    "configured",
    "export",
    "of_path",
    "register",
]

FORMATS: dict[str, Format] = {
    known.name: known for known in (TorchScript(), Onnx(), OnnxColumns(), Pt2())
}
"""By name, in the order in which their runtimes are asked."""
DEFAULT_FORMATS = ("torchscript", "onnx")


def register(new: Format) -> None:
    """Add a format.

    Raises:
        ConfigError: If its name, its file's name or that one's suffix is another format's.
    """
    for known in FORMATS.values():
        if new.name == known.name or Path(new.file_name).suffix == Path(known.file_name).suffix:
            raise ConfigError(f"There is a format '{known.name}' already, for {known.file_name}.")
    FORMATS[new.name] = new


def configured(names: Iterable[str], **settings: Any) -> list[Format]:
    """Return the formats of these names, each with those of the settings that concern it.

    Args:
        names: Of FORMATS; one that is named twice is taken once.
        settings: Of an export, such as `opset_version`; None where it is not given.

    Raises:
        ConfigError: If there is no such format, or it cannot be written so.
    """
    return [_named(name).configured(**settings) for name in dict.fromkeys(names)]


def export(
    model: "LinearModel",
    chosen: Iterable[Format | str] = DEFAULT_FORMATS,
    *,
    metadata: Mapping[str, str],
) -> dict[str, bytes]:
    """Write a model in each format.

    Args:
        model: In the artifacts' dtype and form.
        chosen: Formats, or their names.
        metadata: What the artifacts say of themselves, see `artifact_metadata`.

    Returns:
        Each file's bytes by its name. The same arguments give the same bytes.

    Raises:
        ConfigError: If there is no such format.
        ExportError: If a file cannot be written.
    """
    formats = [each if isinstance(each, Format) else _named(each) for each in chosen]
    return {each.file_name: each.write(model, metadata) for each in formats}


def artifact_metadata(
    model: "LinearModel",
    record: "FitRecord",
    versions: Mapping[str, str],
    encoding: "Encoding | None" = None,
) -> dict[str, str]:
    """Describe a model so that its artifact can be used without the bundle around it.

    docs/format.md lists the keys: columns, how the fit came about and how good it is, and the
    versions that made it; never a path, a name of a user or a host, a time or a row of data.
    """
    return {
        **stating(model, encoding),
        "metrics": encoded(record.metrics),
        "rows": str(record.rows),
        "solver": record.solver,
        "versions": encoded(dict(versions)),
    }


def of_path(path: str | Path) -> Format:
    """Tell an artifact's format by its name; a name of its own is told by its suffix.

    Raises:
        ArtifactError: If it is none of ours.
    """
    formats: dict[str, Format] = {}
    for each in FORMATS.values():
        if each.file_name == Path(path).name:
            return each
        formats.setdefault(Path(each.file_name).suffix, each)
    suffix = Path(path).suffix
    if suffix not in formats:
        raise ArtifactError(
            f"{path}: this is neither a bundle's directory nor a file whose suffix tells its "
            f"format ({', '.join(formats)})."
        )
    return formats[suffix]


def _named(name: str) -> Format:
    if name not in FORMATS:
        raise ConfigError(f"There is no format '{name}': use {', '.join(FORMATS)}.")
    return FORMATS[name]
