"""Checking what somebody wrote earlier, here or elsewhere."""

from dataclasses import replace
from pathlib import Path

from linexport import bundle
from linexport._files import naming, read_artifact
from linexport.errors import ConfigError
from linexport.formats import Runtime
from linexport.formats.onnx import OrtRuntime
from linexport.model import LinearModel
from linexport.parity import DEFAULT_PROBE_ROWS, ParityReport, ProbeConfig
from linexport.pipeline._files import ARTIFACTS, format_of, is_bundle
from linexport.pipeline._proof import open_runtimes, prove, trusts
from linexport.pipeline._reference import in_precision_of, read_reference, require_shape

__all__ = ["verify"]


def verify(
    path: str | Path,
    *,
    reference: str | Path | None = None,
    trust: bool = False,
    probe_rows: int = DEFAULT_PROBE_ROWS,
    seed: int = 0,
) -> ParityReport:
    """Check every artifact of a bundle, or a single one, against its reference model.

    Args:
        path: A bundle's directory, or an artifact (.onnx, .pt, .pt2) that any tool wrote.
        reference: The bundle or safetensors file with the model that a single artifact should be.
        trust: Load TorchScript and .pt2 files even if they could run code.
        probe_rows: Rows of the largest probe batch.
        seed: Of the random rows.

    Returns:
        The verdict and what it rests on; `report.require()` raises where it is negative.

    Raises:
        ArtifactError: If something cannot be opened, or would have to be trusted and is not.
        ConfigError: If the reference is missing, of another shape, or given for a bundle, which has
            its own; or if a setting is outside what it may be.
    """
    probes = ProbeConfig(probe_rows=probe_rows, probe_seed=seed)
    path = Path(path)
    notes: tuple[str, ...] = ()
    if is_bundle(path):
        model, artifacts = _read_bundle(path, reference)
    else:
        model, artifacts, notes = _read_single(path, reference, trust=trust)
    with naming(path):
        report = prove(
            model,
            artifacts,
            trusted=trusts(model, trust=trust),
            eager=is_bundle(path),
            probe_rows=probes.probe_rows,
            seed=probes.probe_seed,
        )
    return replace(report, notes=notes)


def _read_bundle(path: Path, reference: str | Path | None) -> tuple[LinearModel, dict[str, bytes]]:
    if reference is not None:
        raise ConfigError(f"{path}: a bundle has its own reference; name one of its artifacts.")
    opened = bundle.read_bundle(path)
    artifacts = {name: opened.read(name) for name in ARTIFACTS if name in opened.manifest.files}
    return opened.model, artifacts


def _read_single(
    path: Path, reference: str | Path | None, *, trust: bool
) -> tuple[LinearModel, dict[str, bytes], tuple[str, ...]]:
    """Read an artifact and its reference, and fit the reference to the artifact's precision."""
    format_name = format_of(path)
    if reference is None:
        raise ConfigError(
            f"{path}: a single artifact needs the model to compare it with: pass --reference "
            "with a bundle or a safetensors file."
        )
    data, model = read_artifact(path), read_reference(Path(reference))

    def opened(judge: LinearModel) -> Runtime:
        return next(open_runtimes(path.name, data, judge, trusts(judge, trust=trust)))

    with naming(path):
        if format_name == "onnx":
            require_shape(OrtRuntime.open(data, num_threads=1), model, path)
        model, notes = in_precision_of(opened, model)
    return model, {path.name: data}, notes
