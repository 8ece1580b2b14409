"""Proving what was just written, and what somebody wrote earlier, here or elsewhere."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from linexport import bundle, formats, parity, sources
from linexport._files import naming, parsing
from linexport.bundle import Bundle, ErrorBudget
from linexport.errors import ArtifactError, ConfigError, ModelError
from linexport.fit import FitRecord
from linexport.formats import Format, Runtime, Statement
from linexport.model import LinearModel
from linexport.numerics import Form, artifact_model
from linexport.parity import (
    DEFAULT_PROBE_ROWS,
    Certificate,
    DoubleReference,
    ProbeConfig,
    StatementResult,
)
from linexport.pipeline._opening import Artifact, artifacts_of, opened

__all__ = ["prove", "told_by", "verify"]

Opener = Callable[[Format, bytes, LinearModel], Iterator[Runtime]]


def verify(
    given: Any,
    *,
    reference: Any = None,
    trust: bool = False,
    probe_rows: int = DEFAULT_PROBE_ROWS,
    probe_seed: int = 0,
) -> Certificate:
    """Check every artifact of a bundle, or a single one, against its reference model.

    Args:
        given: A bundle: what `read_bundle` or `export` returned, or its directory; or the path of
            an artifact (.onnx, .pt, .pt2) that any tool wrote.
        reference: The model that a single artifact should be: whatever `read_model` takes.
        trust: Load TorchScript and .pt2 files even if they could run code.
        probe_rows: Rows of the largest probe batch.
        probe_seed: Of the random rows.

    Returns:
        The verdict and what it rests on; `certificate.require()` raises where it is negative.

    Raises:
        ArtifactError: If something cannot be opened, or would have to be trusted and is not.
        ConfigError: If the reference is missing, of another shape, or given for a bundle, which has
            its own; or if a setting is outside what it may be.
    """
    probes = ProbeConfig(probe_rows=probe_rows, probe_seed=probe_seed)
    found, opener = opened(given), partial(open_judged, trust=trust)
    model = _reference(found, reference)
    notes: tuple[str, ...] = ()
    with naming(found.path):
        if isinstance(found, Bundle):
            artifacts = artifacts_of(found.contents)
        else:
            artifacts = {found.path.name: found.data}
            model, notes = _as_written(found, model, opener)
        certificate = prove(
            model,
            artifacts,
            probes,
            opener=opener,
            told=_told(found),
        )
    return replace(certificate, notes=notes)


def prove(
    model: LinearModel,
    artifacts: Mapping[str, bytes],
    probes: ProbeConfig,
    *,
    opener: Opener,
    told: StatementResult | None,
) -> Certificate:
    """Check every artifact against a model, and that the check notices planted faults.

    Args:
        model: The reference, in the artifacts' dtype and form.
        artifacts: Files by name; the suffix tells the format.
        probes: What is asked.
        opener: Opens a file in every runtime that is to be asked.
        told: What the manifest of a bundle says, see `told_by`; None for a single artifact, beside
            which eager PyTorch is not asked, and which may leave columns without a name.
    """
    is_bundle = told is not None
    runtimes: list[Runtime] = [formats.eager(model)] if is_bundle else []
    against = bundle.MANIFEST_FILE if is_bundle else "the reference"
    compare = partial(parity.compare_statement, model=model, against=against, exact=is_bundle)
    statements = [told] if told is not None else []
    for name, data in artifacts.items():
        kind = formats.of_path(name)
        opened = list(opener(kind, data, model))
        with parsing():
            said = formats.stated(kind.metadata(data))
        statements.append(compare(name, said, runtime=opened[0]))
        runtimes += opened
    certificate = parity.check(
        DoubleReference(model),
        runtimes,
        _canaries(model, artifacts, compare),
        statements=statements,
        probe_rows=probes.probe_rows,
        probe_seed=probes.probe_seed,
    )
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in artifacts.items()}
    return replace(certificate, artifacts=digests)


def told_by(
    record: FitRecord, budgets: Mapping[str, ErrorBudget], model: LinearModel
) -> StatementResult:
    """Compare the coefficients that a bundle's manifest states by name with its numbers."""
    return parity.compare_coefficients(
        bundle.MANIFEST_FILE,
        record.coefficients,
        model,
        export={target: budget.export for target, budget in budgets.items()},
    )


def open_written(kind: Format, data: bytes, model: LinearModel) -> Iterator[Runtime]:
    """Open a file that was just written here."""
    return kind.open(data, model, ours=True)


def open_judged(kind: Format, data: bytes, model: LinearModel, *, trust: bool) -> Iterator[Runtime]:
    """Open a file that may be anything, if that is safe or it is trusted.

    Raises:
        ArtifactError: If it is damaged, hostile or not trusted.
    """
    with parsing():
        ours = kind.runs_code and kind.is_ours(data, model)
    if kind.runs_code and not (ours or trust):
        raise ArtifactError(
            f"The {kind.name} file is not, byte for byte, what this version of linexport and "
            "PyTorch writes for the model, so loading it might run other code. If you know where "
            "it comes from, pass --trust (trust=True)."
        )
    with parsing():
        yield from kind.open(data, model, ours=ours)


def _told(found: Bundle | Artifact) -> StatementResult | None:
    if not isinstance(found, Bundle):
        return None
    return told_by(found.manifest.record, found.manifest.error_budget, found.model)


def _canaries(
    model: LinearModel,
    artifacts: Mapping[str, bytes],
    compare: Callable[[str, Statement], StatementResult],
) -> Iterator[parity.OpenedCanary]:
    """Open a copy of the ONNX artifact, of which canaries are made, for each planted fault."""
    onnx = formats.FORMATS["onnx"]
    for canary in parity.canaries(artifacts.get(onnx.file_name), model):
        runtime, statement = None, None
        if canary.artifact is not None:
            runtime = next(onnx.open(canary.artifact, model, ours=False))
            said = formats.stated(onnx.metadata(canary.artifact))
            statement = compare(onnx.file_name, said)
        yield parity.OpenedCanary(
            name=canary.name,
            runtime=runtime,
            meaning=canary.meaning,
            statement=statement,
            skipped=canary.skipped,
        )


def _reference(found: Bundle | Artifact, given: Any) -> LinearModel:
    """Return what a bundle or an artifact should be.

    Raises:
        ConfigError: If a bundle is given another, or an artifact none or itself.
    """
    if isinstance(found, Bundle):
        if given is not None:
            raise ConfigError(
                f"{found.path}: a bundle has its own reference; name one of its artifacts."
            )
        return found.model
    if given is None:
        raise ConfigError(
            f"{found.path}: a single artifact needs the model to compare it with: pass --reference "
            "with a bundle or a file of its numbers."
        )
    if isinstance(given, str | os.PathLike) and Path(given) == found.path:
        raise ConfigError(
            f"{found.path}: this is the artifact itself; name the model that it should be."
        )
    return sources.read_reference(Path(given) if isinstance(given, os.PathLike) else given)


def _as_written(
    artifact: Artifact, model: LinearModel, opener: Opener
) -> tuple[LinearModel, tuple[str, ...]]:
    """Return the reference in the precision and the form that an artifact has, and what that took.

    A TorchScript or .pt2 file is known as ours by the model it should hold, and claims the dtype of
    that, so it is asked for one row to learn whether it really takes it.

    Raises:
        ConfigError: If the artifact states another shape.
        ModelError: If a number is too large for the artifact's dtype.
    """
    path, kind, data = artifact
    _require_shape(path, kind.shape(data), model)
    for other, notes in _readings(model):
        try:
            runtime = next(opener(kind, data, other))
            answer = runtime.predict(np.zeros((1, other.num_features), other.dtype))
        except ArtifactError:  # whoever proves it next says so, if it is so in each of them
            continue
        stated = runtime.structure or other
        # What does not say how it sums is taken to do so in its dtype, as most files do.
        if stated is other is not model and other.accumulate != other.dtype:
            continue
        held = (runtime.dtype, answer.dtype, stated.accumulate, stated.form)
        if held == (other.dtype, other.dtype, other.accumulate, other.form):
            return other, notes
    return model, ()


def _readings(model: LinearModel) -> Iterator[tuple[LinearModel, tuple[str, ...]]]:
    """Yield what an artifact of a model may hold, the model itself first.

    Raises:
        ModelError: At the end, if numbers are too large for some of it.
    """
    own = (model.dtype.name, model.accumulate.name)
    pairs = (own, ("float32", "float32"), ("float64", "float64"), ("float32", "float64"))
    forms: tuple[Form, ...] = (model.form, "folded")
    refused: ModelError | None = None
    for form in dict.fromkeys(forms):
        folded = ("The reference was folded, as the artifact is.",) if form != model.form else ()
        for pair in dict.fromkeys(pairs):
            if form == model.form and pair == own:
                yield model, ()
                continue
            dtype, accumulate = map(np.dtype, pair)
            try:
                other = artifact_model(model, dtype, form, accumulate=accumulate)
            except ModelError as error:
                refused = error
            else:
                yield other, (*_converted(model, other), *folded)
    if refused:
        raise refused


def _converted(model: LinearModel, other: LinearModel) -> Iterator[str]:
    """Say what became of the numbers of a reference that were taken in another dtype."""
    if other.accumulate.itemsize > model.accumulate.itemsize:
        yield f"The {model.accumulate} reference was taken as float64, which holds it exactly."
    same = other.form == model.form and other.widened().same_numbers(model)
    if other.accumulate.itemsize < model.accumulate.itemsize and not same:
        yield f"The {model.accumulate} reference was rounded to float32."


def _require_shape(path: Path, stated: tuple[int, int | None] | None, model: LinearModel) -> None:
    """Refuse a reference that is the model of something else."""
    if stated is None:
        return
    num_features, num_targets = stated[0], stated[1] or model.num_targets
    if (num_features, num_targets) != (model.num_features, model.num_targets):
        raise ConfigError(
            f"{path}: the model has {_count(num_features, num_targets)}, the reference "
            f"{_count(model.num_features, model.num_targets)}: name the reference of this model."
        )


def _count(num_features: int, num_targets: int) -> str:
    return (
        f"{num_features} feature{'s'[: num_features != 1]} and "
        f"{num_targets} target{'s'[: num_targets != 1]}"
    )
