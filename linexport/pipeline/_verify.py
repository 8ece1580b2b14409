"""Checking what somebody wrote earlier, here or elsewhere."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from linexport import bundle
from linexport.certificate import ParityReport
from linexport.errors import ArtifactError, ConfigError
from linexport.forms import Form, artifact_model
from linexport.model import LinearModel
from linexport.parity import DEFAULT_PROBE_ROWS
from linexport.pipeline._files import ARTIFACTS, format_of, is_bundle, read_artifact
from linexport.pipeline._proof import prove, trusts
from linexport.runtimes import OrtRuntime

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
        ConfigError: If the reference is missing, or given for a bundle, which has its own.
    """
    path = Path(path)
    if not is_bundle(path):
        if reference is None:
            raise ConfigError(
                f"{path}: a single artifact needs the model to compare it with: pass --reference "
                "with a bundle or a safetensors file."
            )
        return _verify_artifact(path, Path(reference), trust, probe_rows, seed)
    if reference is not None:
        raise ConfigError(f"{path}: a bundle has its own reference; name one of its artifacts.")
    opened = bundle.read_bundle(path)
    artifacts = {name: opened.read(name) for name in ARTIFACTS if name in opened.manifest.files}
    return prove(
        opened.model,
        artifacts,
        trusted=trusts(opened.model, trust=trust),
        probe_rows=probe_rows,
        seed=seed,
    )


def _verify_artifact(
    path: Path, reference: Path, trust: bool, probe_rows: int, seed: int
) -> ParityReport:
    format_name, data = format_of(path), read_artifact(path)
    model = _reference_model(reference)
    notes: tuple[str, ...] = ()
    if format_name == "onnx":
        model, notes = _in_precision_of(data, model)
    report = prove(
        model,
        {path.name: data},
        trusted=trusts(model, trust=trust),
        eager=False,
        probe_rows=probe_rows,
        seed=seed,
    )
    return replace(report, notes=notes)


def _reference_model(path: Path) -> LinearModel:
    if path.suffix == ".safetensors":
        try:
            return bundle.decode_weights(read_artifact(path))
        except ArtifactError as error:
            raise ArtifactError(f"{path}: {error}") from error
    return bundle.read_bundle(path).model


def _in_precision_of(data: bytes, model: LinearModel) -> tuple[LinearModel, tuple[str, ...]]:
    """Round a float64 reference for a float32 artifact, which cannot hold it."""
    dtype = OrtRuntime.open(data, num_threads=1).dtype
    if dtype == model.dtype:
        return model, ()
    if dtype == np.float64:
        raise ConfigError("The artifact is float64, the reference float32: it cannot judge it.")
    form: Form = "standardized" if model.standardized else "folded"
    return artifact_model(model, dtype, form), ("The float64 reference was rounded to float32.",)
