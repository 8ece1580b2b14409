"""What a bundle or a file holds, without running it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from linexport._files import naming
from linexport.bundle import CERTIFICATE_FILE, Bundle, Manifest
from linexport.errors import ArtifactError
from linexport.parity import Certificate, decode_certificate
from linexport.pipeline._opening import artifacts_of, opened

if TYPE_CHECKING:
    from linexport.formats.onnx import OnnxSummary

__all__ = ["BundleInspection", "inspect"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleInspection:
    """A bundle whose sizes, digests and numbers were checked."""

    path: str
    manifest: Manifest
    certificate: Certificate | None
    """What the parity check found when the bundle was written, if it covers these files."""


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
        if not isinstance(found, Bundle):
            summary: OnnxSummary = found.format.summarize(found.data)
            return summary
        certificate = None
        if CERTIFICATE_FILE in found.manifest.files:
            certificate = decode_certificate(found.read(CERTIFICATE_FILE))
            check_covered(found.manifest, certificate)
    return BundleInspection(path=str(found.path), manifest=found.manifest, certificate=certificate)


def check_covered(manifest: Manifest, certificate: Certificate) -> None:
    """Refuse a certificate that speaks of other files than the ones beside it.

    Raises:
        ArtifactError: Naming the file.
    """
    beside = {name: record.sha256 for name, record in artifacts_of(manifest.files).items()}
    for name in sorted(beside.keys() | certificate.artifacts.keys()):
        if beside.get(name) != certificate.artifacts.get(name):
            raise ArtifactError(
                f"parity.json is not the proof of the {name} in this bundle; run "
                "`linexport verify`, and export the model again."
            )
