"""What a path holds, without running it."""

from dataclasses import dataclass
from pathlib import Path

from linexport import bundle, certificate, onnx_graph
from linexport.certificate import ParityReport
from linexport.errors import ArtifactError
from linexport.manifest import Manifest
from linexport.onnx_graph import OnnxSummary
from linexport.pipeline._files import format_of, is_bundle, read_artifact

__all__ = ["BundleInspection", "inspect"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleInspection:
    """A bundle whose sizes, digests and numbers were checked."""

    path: str
    manifest: Manifest
    certificate: ParityReport | None
    """What the parity check found when the bundle was written, if it covers these files."""


def inspect(path: str | Path) -> BundleInspection | OnnxSummary:
    """Say what a bundle or an ONNX file is.

    Raises:
        ArtifactError: If it is neither, damaged or hostile.
    """
    path = Path(path)
    if not is_bundle(path):
        return _inspect_onnx(path)
    opened = bundle.read_bundle(path)
    report = None
    if "parity.json" in opened.manifest.files:
        report = certificate.decode(opened.read("parity.json"))
        _check_covered(opened.manifest, report)
    return BundleInspection(path=str(path), manifest=opened.manifest, certificate=report)


def _inspect_onnx(path: Path) -> OnnxSummary:
    if format_of(path) != "onnx":
        raise ArtifactError(
            f"{path}: loading this format may run code, so only its bundle can be inspected."
        )
    data = read_artifact(path)
    try:
        return onnx_graph.summarize(data)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error


def _check_covered(manifest: Manifest, report: ParityReport) -> None:
    """Refuse a certificate that speaks of other files than the ones beside it."""
    for name, digest in report.artifacts.items():
        if name not in manifest.files or manifest.files[name].sha256 != digest:
            raise ArtifactError(
                f"parity.json is the proof of another {name}; run `linexport verify`."
            )
