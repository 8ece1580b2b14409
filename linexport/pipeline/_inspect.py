"""What a path holds, without running it."""

from dataclasses import dataclass
from pathlib import Path

from linexport import bundle
from linexport._files import naming, read_artifact
from linexport.bundle import CERTIFICATE_FILE, Manifest
from linexport.errors import ArtifactError
from linexport.formats.onnx import OnnxSummary
from linexport.formats.onnx import graph as onnx_graph
from linexport.parity import ParityReport, decode_certificate
from linexport.pipeline._files import ARTIFACTS, format_of, is_bundle

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
    if CERTIFICATE_FILE in opened.manifest.files:
        with naming(path):
            report = decode_certificate(opened.read(CERTIFICATE_FILE))
            check_covered(opened.manifest, report)
    return BundleInspection(path=str(path), manifest=opened.manifest, certificate=report)


def _inspect_onnx(path: Path) -> OnnxSummary:
    if format_of(path) != "onnx":
        raise ArtifactError(
            f"{path}: loading this format may run code, so only its bundle can be inspected."
        )
    data = read_artifact(path)
    with naming(path):
        return onnx_graph.summarize(data)


def check_covered(manifest: Manifest, report: ParityReport) -> None:
    """Refuse a certificate that speaks of other files than the ones beside it.

    Raises:
        ArtifactError: Naming the file.
    """
    beside = {name: manifest.files[name].sha256 for name in ARTIFACTS if name in manifest.files}
    for name in sorted(beside.keys() | report.artifacts.keys()):
        if beside.get(name) != report.artifacts.get(name):
            raise ArtifactError(
                f"parity.json is not the proof of the {name} in this bundle; run "
                "`linexport verify`, and export the model again."
            )
