"""From a model in memory to a proven bundle."""

import os
import platform
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from linexport import bundle, formats, reporting, sources, tables
from linexport._asked import asked
from linexport._digits import written_range
from linexport._documented import documented
from linexport._shown import Result
from linexport.bundle import CARD_FILE, CERTIFICATE_FILE, ErrorBudget, Manifest
from linexport.columns import Column, listed
from linexport.errors import AssumedRangeWarning, ConfigError, DataError, NotWrittenWarning
from linexport.fit import Fit, FitRecord
from linexport.model import LinearModel
from linexport.numerics import (
    assumed_ranges,
    coefficients_of,
    largest_distance,
    stated_model,
)
from linexport.parity import Certificate, DoubleReference, encode_certificate
from linexport.pipeline._config import ExportConfig, chosen_formats
from linexport.pipeline._precision import advice, to_write
from linexport.pipeline._verify import open_written, prove, told_by
from linexport.rows import as_array
from linexport.sources import Imported

__all__ = ["Exported", "export"]

_MOST_RANGES = 5


@documented
@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class Exported(Result):
    """A bundle and its proof."""

    path: Path | None
    """Where it was written; None where parity failed, and nothing was."""
    stated: Manifest
    """What a manifest says of it; it lists no files where parity failed."""
    model: LinearModel
    """The artifacts' numbers."""
    precision: str
    """In a line: their dtype, and why it is that."""
    certificate: Certificate
    origin: Imported
    """What was exported, before it was rounded to the artifacts' dtype."""
    fit: Fit | None = None
    """Where the model was trained here."""
    warnings: tuple[str, ...] = ()
    """Sentences for the user: what falls short and what to do about it."""

    def __fspath__(self) -> str:
        """Return where the bundle is, so that whatever takes its path takes this too.

        Raises:
            ParityError: If nothing was written, with the reason.
        """
        self.certificate.require()
        return str(self.path)

    @property
    def record(self) -> FitRecord:
        """How the model came about."""
        return self.stated.record

    @property
    def error_budget(self) -> dict[str, ErrorBudget]:
        """By target name."""
        return self.stated.error_budget

    @property
    def manifest(self) -> Manifest | None:
        """That of the bundle; None where parity failed."""
        return None if self.path is None else self.stated

    @property
    def losses(self) -> tuple[float, ...]:
        """After each epoch, or the last hundred of them: as `Fit.losses`."""
        return self.record.losses

    def __repr__(self) -> str:
        path = None if self.path is None else str(self.path)
        return f"Exported({path!r}, {self.certificate!r})"


def export(
    source: Any,
    output: str | Path,
    *,
    config: ExportConfig | None = None,
    features: str | Sequence[Column | str] = (),
    targets: str | Sequence[Column | str] = (),
    ranges: Any = None,
    overwrite: bool = False,
    graph_output: str | None = None,
) -> Exported:
    """Write a model as a bundle, once every artifact is proven to predict the same.

    Args:
        source: What `train`, `read_bundle` or this returned, or a model from elsewhere: whatever
            `read_model` takes. The record of a fit that was made here is kept.
        output: The bundle's directory.
        config: What to write.
        features: Names in the order of the input, where the source has none; a Column states a
            unit or a range too.
        targets: Likewise, in the order of the output.
        ranges: The training data, or a table with the features, over whose range the error budget
            of a model from elsewhere is to hold; without it a range may have to be assumed. An
            array (N, D) has the features in their order.
        overwrite: Replace a bundle that is there.
        graph_output: Which output of an ONNX graph that has several.

    Returns:
        The bundle and its proof. If a runtime disagrees nothing is written, and `path` is None.

    Raises:
        BundleError: If the directory is taken or cannot be written.
        ExportError: If an artifact cannot be written.
        ModelError: If a number is too large for the dtype, or the source is no linear model.
        ArtifactError: If the source is a file that cannot be used.
    """
    config = config or ExportConfig()
    if not isinstance(output, str | os.PathLike):
        raise ConfigError(
            f"The second argument is the bundle's directory, got a {type(output).__name__}: "
            'export(model, "models/mine").'
        )
    given = source.fit if isinstance(source, Exported) else source
    fit = given if isinstance(given, Fit) else None
    if isinstance(source, Fit) and (len(features) or len(targets) or ranges is not None):
        raise ConfigError("What train returned has its names and ranges; leave them out.")
    origin = sources.read_model(
        source, features=features, targets=targets, graph_output=graph_output
    )
    if ranges is not None:
        origin = _over_ranges(origin, ranges)
    record = origin.record or _imported(origin)
    bundle.check_destination(output, overwrite=overwrite)
    written = to_write(origin, record, config)
    model = written.model
    assumed = assumed_ranges(model)
    if assumed:
        warnings.warn(_assumption(assumed), AssumedRangeWarning, stacklevel=2)
    versions = _versions()
    artifacts = formats.export(
        model,
        chosen_formats(config, origin.encoding),
        metadata=formats.artifact_metadata(model, record, versions, origin.encoding),
    )
    manifest = bundle.manifest_of(
        model,
        record,
        written.budgets,
        origin=sources.exact_function(origin),
        fitness=written.fitness,
        assumed_ranges=assumed,
        versions=versions,
        encoding=origin.encoding,
    )
    told = told_by(manifest, model)
    certificate = prove(
        DoubleReference(model), artifacts, config, opener=open_written, told=told,
        encoding=origin.encoding,
    )  # fmt: skip
    certificate = certificate.judged(written.fitness, accept_coarse=config.accept_coarse)
    if certificate.passed:
        card = reporting.model_card(model, manifest, certificate)
        files = {**artifacts, CERTIFICATE_FILE: encode_certificate(certificate), CARD_FILE: card}
        manifest = bundle.write_bundle(output, manifest, model, files, overwrite=overwrite)
        bundle.read_bundle(output)  # what was proven is what is on the disk
    else:
        # Whoever goes on with the directory's name would take an older bundle there for this one.
        said = f"No bundle was written to {output}: the verdict is '{certificate.verdict}'"
        why = "what this returned has the reason (certificate.require() raises it)"
        warnings.warn(f"{said}; {why}.", NotWrittenWarning, stacklevel=2)
    return Exported(
        path=Path(output) if certificate.passed else None,
        stated=manifest,
        model=model,
        precision=written.why,
        certificate=certificate,
        origin=origin,
        fit=fit,
        warnings=(
            *(() if fit is None else fit.warnings),
            *advice(written, origin, record, config),
            *([_assumption(assumed)] if assumed else []),
        ),
    )


def _over_ranges(origin: Imported, ranges: Any) -> Imported:
    """Return a model with other ranges, and what it was rounded by before over these."""
    model, known = _with_ranges(origin, ranges), origin.record
    if known is None or not known.coefficients.keys() >= set(model.target_names):
        return replace(origin, model=model)
    stated = stated_model(known.coefficients, model.features, model.target_names)
    moved = largest_distance(model, stated).tolist()
    return replace(origin, model=model, rounded=dict(zip(model.target_names, moved, strict=True)))


def _with_ranges(origin: Imported, source: Any) -> LinearModel:
    """Return the model with its features' ranges as a table has them; read in constant memory.

    Missing and non-finite values are left out.

    Raises:
        DataError: If the table cannot be read, lacks a feature, or has no value of one.
    """
    model = origin.model
    table = tables.open_table(_by_name(source, model.feature_names))
    lower, upper = (np.full(model.num_features, end) for end in (np.inf, -np.inf))
    for batch in table.batches(origin.encoding or model.feature_names):
        values = batch.numbers()
        values = np.where(np.isfinite(values), values, np.nan)
        # fmin and fmax pass over NaN.
        lower = np.fmin(lower, np.fmin.reduce(values, axis=0, initial=np.inf))
        upper = np.fmax(upper, np.fmax.reduce(values, axis=0, initial=-np.inf))
    for name, low, high in zip(model.feature_names, lower, upper, strict=True):
        if low > high:
            raise DataError("there is no number, so no range.", source=table.source, column=name)
    features = tuple(
        replace(column, minimum=low, maximum=high)
        for column, low, high in zip(model.features, lower.tolist(), upper.tolist(), strict=True)
    )
    return model.with_columns(features, model.targets)


def _by_name(source: Any, names: Sequence[str]) -> Any:
    """Return an array or tensor (N, D) as columns by name, anything else as it is."""
    if getattr(source, "ndim", None) != 2 or hasattr(source, "__arrow_c_stream__"):
        return source
    array = as_array(source, "ranges")
    if array.shape[1] != len(names):
        raise DataError(f"ranges has {array.shape[1]} columns; the features are {listed(names)}.")
    return dict(zip(names, array.T, strict=True))


def _imported(origin: Imported) -> FitRecord:
    """Return what is known of a model that came about elsewhere."""
    return FitRecord(
        solver="imported",
        rows=0,
        settings={"source": origin.source},
        coefficients=coefficients_of(origin.model),
    )


def _assumption(assumed: Mapping[str, tuple[float, float]]) -> str:
    """Say which ranges were assumed, the first of many."""
    shown = [f"'{name}' ({written_range(*ends)})" for name, ends in assumed.items()]
    more = f" and {len(shown) - _MOST_RANGES} more" if len(shown) > _MOST_RANGES else ""
    named = ", ".join(shown[:_MOST_RANGES]) + more
    ranges, them = "The ranges of {} are assumed, as they are", "them"
    if len(shown) == 1:
        ranges, them = "The range of {} is assumed, as it is", "it"
    return (
        f"{ranges.format(named)} not known. The error budget and the choice of a dtype rest on "
        f"{them}: {asked(ranges=...)} takes {them} from the training data."
    )


def _versions() -> dict[str, str]:
    packages = ["linexport", "numpy", "torch", "onnx", "onnxruntime", "safetensors"]
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
