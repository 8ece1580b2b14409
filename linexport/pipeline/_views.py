"""What values show of themselves, and do by themselves: see `linexport._shown`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from linexport import reporting
from linexport._digits import TABLE_DIGITS, written_coefficients
from linexport.bundle import Bundle
from linexport.columns import listed
from linexport.errors import DataError
from linexport.fit import Fit
from linexport.formats.onnx import OnnxSummary
from linexport.model import LinearModel
from linexport.numerics import coefficients_of
from linexport.parity import Certificate
from linexport.pipeline._evaluate import evaluate
from linexport.pipeline._export import Exported
from linexport.pipeline._opening import BundleInspection, inspect
from linexport.pipeline._predict import load
from linexport.pipeline._report import look
from linexport.predicting import Evaluation, Predictor
from linexport.reporting import Block, Text
from linexport.rows import as_array
from linexport.tables import TableLook

__all__ = ["drawn", "score", "shown", "summarized"]


def shown(value: Any) -> Text:
    """Return what the terminal prints of a value."""
    blocks = next(blocks for kind, blocks in _BLOCKS.items() if isinstance(value, kind))
    return Text(blocks(value))


def summarized(result: Fit | Exported) -> Text:
    """Return all that is known of a fit, or of what was exported."""
    if isinstance(result, Fit):
        model = result.model
        fitted = reporting.fit_blocks(result.record, model.features, model.targets)
        encoded = reporting.encoding_blocks(result.encoding)
        return Text([*encoded, *fitted, *_warnings(result)])
    blocks = reporting.training_blocks(result.stated, result.certificate, result.precision)
    return Text([*blocks, *_end(result)])


def drawn(result: Fit | Exported, data: Any) -> list[Any]:
    """Draw a fit, and the proof if there is one."""
    record, model = result.record, result.model
    seen = None if data is None else look(load(result), record, data)
    figures = list(reporting.figures_of_fit(record, model.features, model.targets, seen))
    if isinstance(result, Exported):
        figures += reporting.figures_of_proof(result.certificate, result.error_budget)
    return reporting.draw_all(figures)


def score(result: Fit | Exported, features: Any, target: Any) -> float:
    """Return R2, the mean over targets.

    Raises:
        DataError: If rows cannot be used, or a truth does not vary.
    """
    if target is None or isinstance(target, str):
        found = evaluate(result, features).targets.values()
        r2 = [None if each.r2 is None else each.r2.value for each in found]
    else:
        r2 = _r2(load(result).predict(features).astype(np.float64), as_array(target, "target"))
    if None in r2:
        raise DataError("there is no R2 of a truth that does not vary.", source="target")
    return float(np.mean(np.array(r2, np.float64)))


def _r2(predicted: Any, truth: Any) -> list[float | None]:
    truth = np.asarray(truth, np.float64).reshape(len(truth), -1)
    if truth.shape != predicted.shape:
        raise DataError(
            f"target must have shape {predicted.shape}, got {truth.shape}.", source="target"
        )
    left = ((truth - predicted) ** 2).sum(axis=0)
    total = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    return [1 - part / whole if whole else None for part, whole in zip(left, total, strict=True)]


def _exported(value: Exported) -> list[Block]:
    return [*reporting.short_blocks(value.stated, value.certificate), *_end(value)]


def _end(value: Exported) -> list[str]:
    where = None if value.path is None else str(value.path)
    return [
        reporting.conclusion(value.certificate),
        *reporting.bundle_lines(where),
        *_warnings(value),
    ]


def _warnings(value: Fit | Exported) -> list[str]:
    return [f"warning: {each}" for each in value.warnings]


def _fit(value: Fit) -> list[Block]:
    model = value.model
    blocks = reporting.short_fit_blocks(value.record, model.features, model.targets, value.encoding)
    return [*blocks, *_warnings(value)]


def _certificate(value: Certificate) -> list[Block]:
    return [*reporting.runtime_blocks(value), reporting.conclusion(value)]


def _bundle(value: Bundle | BundleInspection) -> list[Block]:
    found = inspect(value) if isinstance(value, Bundle) else value
    assert isinstance(found, BundleInspection)  # of a bundle it is
    return reporting.bundle_blocks(found.manifest, found.certificate)


def _model(value: LinearModel) -> list[Block]:
    blocks: list[Block] = []
    for target, found in coefficients_of(value).items():
        written = written_coefficients(
            found.intercept, found.features, value.features, fewest=TABLE_DIGITS
        )
        blocks += [f"'{target}', in {value.dtype}", *reporting.estimates(found, written)]
    return blocks


def _predictor(value: Predictor) -> list[Block]:
    runtime = value.runtime
    return [
        f"Predicts {listed(value.target_names)} from {listed(value.column_names)}, in "
        f"{runtime.dtype}, with {runtime.name} {runtime.version} ({runtime.provider})",
        *reporting.column_blocks("feature", value.features),
        *reporting.column_blocks("target", value.targets),
    ]


_BLOCKS: dict[type, Callable[[Any], list[Block]]] = {
    Bundle: _bundle,
    BundleInspection: _bundle,
    Certificate: _certificate,
    Evaluation: reporting.evaluation_blocks,
    Exported: _exported,
    Fit: _fit,
    LinearModel: _model,
    OnnxSummary: reporting.onnx_blocks,
    Predictor: _predictor,
    TableLook: reporting.look_blocks,
}
