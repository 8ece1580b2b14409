"""The one question that every source is asked: does the bundle predict what the source predicts?

Both stand within a derived distance of the model's exact meaning. The bundle: within its error
budget, over the range of the rows asked for. The source: within the rounding of its own arithmetic,
which takes at most D + 8 roundings in a row (subtract, divide, two factors and a term before D
products and sums, and a factor and a term after; one more is the reciprocal that stands for a
division) of magnitudes that add up to |x| |W| + |b|, the terms of the mean included.
"""

import warnings
from pathlib import Path

import numpy as np

import linexport
from linexport import ExportConfig, Exported, LinearModel
from linexport.numerics._bounds import FLOAT64, Precision, gamma


def export(source, path: Path, *, dtype="float32", ranges=None, **settings) -> Exported:
    config = ExportConfig(formats=("onnx",), dtype=dtype, probe_rows=8)
    exported = linexport.export(source, path, config=config, ranges=ranges, **settings)
    assert exported.certificate.verdict == "proven"
    return exported


def fitted(estimator, rows, target):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it thinks of the data is not the matter here
        return estimator.fit(rows, target)


def magnitude(model: LinearModel, rows: np.ndarray) -> np.ndarray:
    """|x| |W| + |b| with the mean's terms, shape (N, K)."""
    mean = np.zeros(model.num_features) if model.mean is None else model.mean
    return (np.abs(rows) + np.abs(mean)) @ np.abs(model.weight).T + np.abs(model.bias)


def assert_agrees(
    source,
    expected: np.ndarray,
    rows: np.ndarray,
    path: Path,
    *,
    dtype: str = "float32",
    precision: Precision = FLOAT64,
    sizes: np.ndarray | float | None = None,
    **settings,
) -> Exported:
    """Export a source and compare, given its own predictions for rows that float32 holds exactly.

    `precision` is that of the source's own arithmetic; `sizes` are magnitudes in it that the
    model no longer shows, because they cancelled when it was composed.
    """
    assert (rows == rows.astype(np.float32)).all()
    imported = linexport.read_model(source)
    names = imported.model.feature_names
    exported = export(
        source, path, dtype=dtype, ranges=dict(zip(names, rows.T, strict=True)), **settings
    )
    predicted = linexport.load(path).predict(rows).astype(np.float64)
    expected = np.asarray(expected, np.float64).reshape(predicted.shape)
    budget = np.array([budget.total for budget in exported.error_budget.values()])
    own = magnitude(imported.model, rows) + (0.0 if sizes is None else sizes)
    own = own * gamma(rows.shape[1] + 8, unit_roundoff=precision.unit_roundoff)
    apart = np.abs(predicted - expected)
    assert (apart <= budget + own).all(), (apart.max(), budget, own.max())
    # And the comparison can fail: a weight that is a thousandth off is seen.
    assert (budget + own).max() < 1e-3 * np.abs(expected).max()
    return exported
