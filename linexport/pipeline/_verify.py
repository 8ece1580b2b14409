"""Proving what was just written, and what somebody wrote earlier, here or elsewhere."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from linexport import bundle, formats, parity, sources
from linexport._asked import asked
from linexport._files import naming, parsing
from linexport.bundle import Bundle, Manifest
from linexport.columns import default_columns
from linexport.encoding import Encoding
from linexport.errors import ArtifactError, ConfigError, NotCheckedError, PrecisionError
from linexport.fit import FitRecord
from linexport.formats import ExternalConfig, Format, Runtime, Statement, onnx
from linexport.model import LinearModel
from linexport.numerics import largest_distance
from linexport.parity import (
    DEFAULT_PROBE_ROWS,
    Canary,
    Certificate,
    DoubleReference,
    OpenedCanary,
    OwnReference,
    ProbeConfig,
    StatementResult,
)
from linexport.pipeline._aligned import aligned
from linexport.pipeline._external import with_external
from linexport.pipeline._judging import Opener, judged
from linexport.pipeline._opening import Artifact, artifacts_of, opened
from linexport.pipeline._precision import fitness_of, fitness_of_file, narrowing
from linexport.pipeline._readings import source_of
from linexport.sources import Imported

__all__ = ["planted", "prove", "told_by", "verify"]

Compare = Callable[[str, Statement], StatementResult]


def verify(
    given: Any,
    *,
    reference: Any = None,
    trust: bool = False,
    probe_rows: int = DEFAULT_PROBE_ROWS,
    probe_seed: int = 0,
    accept_coarse: bool = False,
    external: str | Sequence[str] | None = None,
    external_timeout: float = 60.0,
    graph_output: str | None = None,
) -> Certificate:
    """Check every artifact of a bundle, or a single one, against its reference model.

    Args:
        given: A bundle: what `read_bundle` or `export` returned, or its directory; or the path of
            an artifact (.onnx, .pt, .pt2) that any tool wrote.
        reference: The model that a single artifact should be: whatever `read_model` takes.
        trust: Load TorchScript and .pt2 files even if they could run code.
        probe_rows: Rows of the largest probe batch.
        probe_seed: Of the random rows.
        accept_coarse: Take numbers whose rounding is not small beside what they explain.
        external: A runtime of your own to prove as well, or several: a command with `{input}` and
            `{output}`, .npy files of features and predictions, and `{model}`, the artifact; of a
            bundle its model.onnx, or its first where there is none. It is run without a shell.
        external_timeout: Seconds that such a command may take at a time.
        graph_output: Which output of an ONNX graph that has several.

    Returns:
        The verdict and what it rests on; `certificate.require()` raises where it is negative.

    Raises:
        ArtifactError: If something cannot be opened, or would have to be trusted and is not.
        ConfigError: If the reference is missing, of another shape, or given for a bundle, which has
            its own; or if a setting is outside what it may be.
        UnavailableError: If a command's program is not there.
    """
    probes = ProbeConfig(probe_rows=probe_rows, probe_seed=probe_seed, accept_coarse=accept_coarse)
    commands = (external,) if isinstance(external, str) else tuple(external or ())
    own = ExternalConfig(external=commands or None, external_timeout=external_timeout)
    found = _with_one_output(opened(given), graph_output)
    opener = with_external(partial(open_judged, trust=trust), found, own)
    with naming(found.path):
        if isinstance(found, Bundle):
            if reference is not None:
                files = " or ".join(str(found.path / name) for name in artifacts_of(found.contents))
                raise ConfigError(
                    f"{found.path}: a bundle has its own reference; name one of its files, {files}."
                )
            artifacts, told = artifacts_of(found.contents), _told(found)
            certificate = prove(
                DoubleReference(found.model), artifacts, probes, opener=opener, told=told,
                encoding=found.manifest.encoding,
            )  # fmt: skip
            manifest = found.manifest
            fitness = fitness_of(found.model, manifest.record, manifest.error_budget)
            return certificate.judged(fitness, accept_coarse=accept_coarse)
        return _judged(found, _reference(found, reference), probes, opener)


def _with_one_output(found: Bundle | Artifact, output: str | None) -> Bundle | Artifact:
    """Return an artifact of one output alone.

    Raises:
        ArtifactError: If it is damaged or hostile.
        ConfigError: If there is no such output, or several and none is named.
    """
    if isinstance(found, Artifact) and isinstance(found.format, onnx.Onnx):
        with naming(found.path), parsing():
            return found._replace(data=found.format.selected(found.data, output))
    if output is not None:
        raise ConfigError(f"{found.path}: only an ONNX file has outputs to choose from.")
    return found


def _judged(
    artifact: Artifact, reference: Imported, probes: ProbeConfig, opener: Opener
) -> Certificate:
    """Check a single artifact, or say why that cannot be done."""
    name, reference = artifact.path.name, _encoded_as(artifact, reference)
    try:
        listed, matched = aligned(artifact, reference.model)
        files, against = {name: listed.data}, judged(listed, reference, opener)
        ask = partial(prove, opener=opener, told=None, encoding=reference.encoding)
        certificate = ask(against.reference, files, probes)
        if certificate.verdict == "disagrees" and against.otherwise is not None:
            other = ask(against.otherwise.reference, files, probes)
            if other.passed:
                against, certificate = against.otherwise, other
    except (NotCheckedError, PrecisionError) as error:
        return not_checked(reference.model, str(error), probes)
    record = reference.record or FitRecord(solver="imported", rows=0)
    fitness = fitness_of_file(against.reference, source_of(reference), record)
    notes = (*matched, *against.notes, *narrowing(against.reference), *certificate.notes)
    digests = {name: hashlib.sha256(artifact.data).hexdigest()}
    certificate = replace(certificate, notes=notes, artifacts=digests)
    return certificate.judged(fitness, accept_coarse=probes.accept_coarse)


def _encoded_as(artifact: Artifact, reference: Imported) -> Imported:
    """Return a reference with the file's encoding, where it has none of its own to differ from."""
    model = reference.model
    with parsing():
        said = formats.stated(artifact.format.metadata(artifact.data)).encoding
    if said is None or reference.encoding is not None:
        return reference
    unnamed = tuple(column.name for column in default_columns("x", len(said.features)))
    if model.feature_names not in (said.features, unnamed):
        return reference
    named = [
        replace(column, name=name)
        for column, name in zip(model.features, said.features, strict=True)
    ]
    model = model.with_columns(tuple(named), model.targets)
    return replace(reference, encoding=said, model=model)


def not_checked(model: LinearModel, reason: str, probes: ProbeConfig) -> Certificate:
    """Return the certificate of what could not be asked, or not be judged."""
    return Certificate(
        verdict="not checked",
        dtype="float32" if model.dtype == np.float32 else "float64",
        form=model.form,
        num_features=model.num_features,
        num_targets=model.num_targets,
        probe_rows=probes.probe_rows,
        probe_seed=probes.probe_seed,
        runtimes=(),
        canaries=(),
        not_checked=reason,
    )


def prove(
    reference: DoubleReference | OwnReference,
    artifacts: Mapping[str, bytes],
    probes: ProbeConfig,
    *,
    opener: Opener,
    told: StatementResult | None,
    encoding: Encoding | None,
) -> Certificate:
    """Check every artifact against a model, and that the check notices planted faults.

    Args:
        reference: The model, in the artifacts' dtype and form; or a function, in that of a file.
        artifacts: Files by name; the suffix tells the format.
        probes: What is asked.
        opener: Opens a file in every runtime that is to be asked.
        told: What the manifest of a bundle says, see `told_by`; None for a single artifact, beside
            which eager PyTorch is not asked, and which may leave columns without a name.
        encoding: What makes the features of a table's columns; None where they are its columns.
    """
    is_bundle, model = told is not None, reference.model
    runtimes: list[Runtime] = [formats.eager(model)] if is_bundle else []
    by_columns: list[Runtime] = []
    against = bundle.MANIFEST_FILE if is_bundle else "the reference"
    compare = partial(
        parity.compare_statement, model=model, encoding=encoding, against=against, exact=is_bundle
    )
    statements = [told] if told is not None else []
    for name, data in artifacts.items():
        kind = formats.of_path(name).configured(encoding=encoding)
        opened = list(opener(kind, data, model))
        with parsing():
            said = formats.stated(kind.metadata(data))
        statements.append(compare(name, said, runtime=opened[0]))
        (by_columns if kind.takes_columns else runtimes).extend(opened)
    check = partial(parity.check, probe_rows=probes.probe_rows, probe_seed=probes.probe_seed)
    onnx_kind = formats.FORMATS["onnx"]
    faults = parity.canaries(artifacts.get(onnx_kind.file_name), model)
    faulty = planted(faults, onnx_kind, model, compare)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in artifacts.items()}
    if by_columns:
        columns = encoding or onnx.columns.encoding_of(model.feature_names)
        kind = formats.FORMATS["onnx-columns"].configured(encoding=encoding)
        misread = planted(parity.column_canaries(model, columns), kind, model, compare)
        of_columns = check(DoubleReference(model), by_columns, misread, encoding=columns)
        if not runtimes:
            return replace(of_columns, statements=tuple(statements), artifacts=digests)
    if isinstance(reference, OwnReference):  # faults are planted in graphs of ours
        caught = check(DoubleReference(model), (), faulty)
        certificate = check(reference, runtimes, statements=statements)
        verdict = certificate.verdict if caught.passed else caught.verdict
        certificate = replace(certificate, canaries=caught.canaries, verdict=verdict)
    else:
        certificate = check(reference, runtimes, faulty, statements=statements)
    if by_columns:
        certificate = parity.joined(certificate, of_columns)
    return replace(certificate, artifacts=digests)


def told_by(manifest: Manifest, model: LinearModel) -> StatementResult:
    """Compare the coefficients that a bundle's manifest states by name with its numbers."""
    return parity.compare_coefficients(
        bundle.MANIFEST_FILE,
        manifest.record.coefficients,
        model,
        export={target: budget.export for target, budget in manifest.error_budget.items()},
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
            f"it comes from, pass {asked(trust=True)}."
        )
    with parsing():
        yield from kind.open(data, model, ours=ours)


def _told(found: Bundle) -> StatementResult:
    manifest, model = found.manifest, found.model
    told = told_by(manifest, model)
    origin = bundle.exact_origin(manifest)
    if told.failure or origin is None:
        return told
    # What it was made from is as far from its numbers as the error budget says, or the bundle is of
    # two models; 2**-30 covers that sums may be taken in another order.
    failure, apart = None, largest_distance(origin.model(model), model)
    for target, distance in zip(model.target_names, apart, strict=True):
        budget = manifest.error_budget.get(target)
        if budget is not None and distance > budget.export * (1 + 2.0**-30):
            failure = (
                f"'{bundle.MANIFEST_FILE}' states an origin whose predictions of '{target}' are up "
                f"to {distance:.2g} from those of the weights, where rounding explains "
                f"{budget.export:.2g}: the bundle's numbers are not those it was made from."
            )
    return replace(told, states=(*told.states, "origin"), failure=failure)


def planted(
    faults: Iterable[Canary], kind: Format, model: LinearModel, compare: Compare
) -> Iterator[OpenedCanary]:
    """Open each artifact with a fault."""
    for fault in faults:
        runtime, statement = None, None
        if fault.artifact is not None:
            runtime = next(kind.open(fault.artifact, model, ours=False))
            statement = compare(kind.file_name, formats.stated(kind.metadata(fault.artifact)))
        yield OpenedCanary(
            name=fault.name,
            runtime=runtime,
            meaning=fault.meaning,
            statement=statement,
            skipped=fault.skipped,
        )


def _reference(found: Artifact, given: Any) -> Imported:
    """Return what an artifact should be.

    Raises:
        ConfigError: If that is not given, or is the artifact itself.
    """
    if given is None:
        how = f"{asked(reference=...)} with a bundle or a file of its numbers"
        if around := bundle.bundle_around(found.path):
            how = f"{asked(reference=str(around))}, its bundle"
        raise ConfigError(
            f"{found.path}: a single artifact needs the model to compare it with: pass {how}."
        )
    if isinstance(given, str | os.PathLike) and Path(given) == found.path:
        raise ConfigError(
            f"{found.path}: this is the artifact itself; name the model that it should be."
        )
    return sources.read_reference(Path(given) if isinstance(given, os.PathLike) else given)
