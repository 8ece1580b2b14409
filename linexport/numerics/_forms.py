"""From float64 numbers to an artifact's numbers: fold the scaler or keep it, and what that costs.

A fit is a LinearModel in float64, with or without a scaler. Its artifact is float32 or float64, in
one of two forms: *folded* (one affine map) or *standardized* (the scaler as nodes of its own). The
form with the smaller worst-case error over the range of the training data is chosen: folding a
feature at 1e6 +- 1 would leave float32 no digits.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from linexport._arrays import Float64Array, FloatArray, FloatDType
from linexport.errors import ModelError
from linexport.model import LinearModel
from linexport.numerics import double_double as dd
from linexport.numerics._bounds import (
    FLOAT64,
    Affine,
    gamma,
    half_ulp,
    precision_of,
    rounding_error_bound,
)
from linexport.numerics.double_double import DoubleDouble

__all__ = [
    "Form",
    "RoundingBudget",
    "affine_of",
    "artifact_model",
    "input_rounding",
    "raw_coefficients",
    "rounding_budget",
]

Form = Literal["auto", "folded", "standardized"]

ASSUMED_DEVIATIONS = 4.0
"""Half-width of a range that is not known, in units of 1/scale: all but 6e-5 of normal data."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundingBudget:
    """The largest errors over the training range, per target, in target units."""

    export: tuple[float, ...]
    """Distance between the float64 fit and the artifact's exact meaning."""
    runtime: tuple[float, ...]
    """Bound on the rounding error while predicting."""


def affine_of(model: LinearModel) -> Affine:
    """Return the model's numbers in float64, exactly."""
    return Affine(**{name: array.astype(np.float64) for name, array in model.arrays().items()})


def raw_coefficients(model: LinearModel) -> tuple[Float64Array, Float64Array]:
    """Return weight (K, D) and bias (K,) in raw feature units, in float64.

    Each weight is rounded once. The bias is a sum in double-double: it is rounded once too, unless
    it is 2**50 times smaller than the largest of its terms.
    """
    weight, bias = _unscaled(model)
    return weight.high, bias.high


def artifact_model(fit: LinearModel, dtype: FloatDType, form: Form = "auto") -> LinearModel:
    """Round a float64 fit to an artifact's dtype, in the form asked for or the better one.

    Raises:
        ModelError: If a number is too large for the dtype, or a scaler is asked for and not there.
    """
    if form == "standardized" and not fit.standardized:
        raise ModelError("This model has no scaler to keep; use the folded form.")
    if form == "folded" or not fit.standardized:
        return _folded(fit, dtype)
    if form == "standardized":
        return _rounded_standardized(fit, dtype)
    candidates, refusals = [], []
    for write_in_form in (_folded, _rounded_standardized):
        try:
            candidates.append(write_in_form(fit, dtype))
        except ModelError as error:
            refusals.append(error)
    if not candidates:
        raise refusals[-1]
    return min(candidates, key=lambda candidate: _cost(fit, candidate))


def rounding_budget(fit: LinearModel, artifact: LinearModel) -> RoundingBudget:
    """Bound what the artifact and its runtime add to the fit, over the training range."""
    lower, upper = _range(fit)
    export = _largest_distance(fit, artifact, lower, upper)
    runtime = _largest_rounding_error(artifact, lower, upper)
    return RoundingBudget(export=tuple(export.tolist()), runtime=tuple(runtime.tolist()))


def input_rounding(fit: LinearModel, artifact: LinearModel) -> tuple[float, ...]:
    """Bound what converting float64 inputs to the artifact's dtype moves its predictions by.

    Per target, in target units, over the training range; 0 for a float64 artifact.
    """
    precision = precision_of(artifact.dtype)
    if precision is FLOAT64:
        return (0.0,) * artifact.num_targets
    lower, upper = _range(fit)
    moved = half_ulp(np.maximum(np.abs(lower), np.abs(upper)), precision=precision)
    slope, _ = raw_coefficients(artifact)
    # The moved inputs may leave the range, by which the two other distances grow in proportion.
    num_roundings = affine_of(artifact).num_roundings + 1
    growth = 1 + gamma(num_roundings, unit_roundoff=precision.unit_roundoff)
    slack = 1 / (1 - gamma(artifact.num_features + 8, unit_roundoff=FLOAT64.unit_roundoff))
    return tuple((np.abs(slope) @ moved * growth * slack).tolist())


def _cost(fit: LinearModel, artifact: LinearModel) -> float:
    """The worst relative cost over the targets, so that targets in different units compare."""
    budget = rounding_budget(fit, artifact)
    total = np.array(budget.export) + np.array(budget.runtime)
    lower, upper = _range(fit)
    weight, _ = raw_coefficients(fit)
    spread = np.abs(weight) @ (upper - lower)
    return float((total / np.where(spread > 0, spread, 1.0)).max())


def _largest_distance(
    fit: LinearModel, artifact: LinearModel, lower: Float64Array, upper: Float64Array
) -> Float64Array:
    """Both are affine, and so is their difference: |at the middle| + |slopes| @ half the width."""
    if artifact.same_numbers(fit):
        return np.zeros(fit.num_targets)
    (weight, bias), (our_weight, our_bias) = _unscaled(fit), _unscaled(artifact)
    slope = dd.subtract(our_weight, weight)
    middle = lower / 2 + upper / 2
    half_width = np.nextafter(np.maximum(upper - middle, middle - lower), np.inf)
    # At the middle the offset and the slopes may cancel: that sum is taken in double-double.
    terms = dd.multiply(slope, dd.exact(np.broadcast_to(middle, slope.high.shape)))
    at_middle = dd.add(dd.subtract(our_bias, bias), dd.total(terms))
    distance = np.abs(at_middle.high) + np.abs(slope.high) @ half_width
    # The terms' own errors: docs/bounds.md, "From the fit to the artifact".
    u = FLOAT64.unit_roundoff
    magnitude = sum(_magnitude_at_zero(model) for model in (fit, artifact))
    magnitude = magnitude + np.abs(terms.high).sum(axis=-1)
    relative = (3 * (fit.num_features - 1).bit_length() + 18) * u**2
    slack = 1 / (1 - gamma(fit.num_features + 8, unit_roundoff=u))
    return np.asarray((distance + relative * magnitude) * slack)


def _magnitude_at_zero(model: LinearModel) -> Float64Array:
    affine = affine_of(model)
    size = np.abs(affine.bias)
    if affine.mean is not None and affine.scale is not None:
        size = size + np.abs(affine.weight) @ np.abs(affine.scale * affine.mean)
    return size


def _largest_rounding_error(
    model: LinearModel, lower: Float64Array, upper: Float64Array
) -> Float64Array:
    """The bound is convex in each feature: its largest value is at the larger end."""
    affine = affine_of(model)
    centre = np.zeros_like(lower) if affine.mean is None else affine.mean
    corner = np.where(np.abs(lower - centre) > np.abs(upper - centre), lower, upper)
    bound = rounding_error_bound(corner[None], affine, precision=precision_of(model.dtype))
    return np.asarray(bound[0])


def _range(model: LinearModel) -> tuple[Float64Array, Float64Array]:
    """The training range of each feature, or an assumed one around the scaler's mean."""
    mean = np.zeros(model.num_features) if model.mean is None else model.mean
    half_width = np.full(model.num_features, ASSUMED_DEVIATIONS)
    if model.scale is not None:
        # Where the scale is zero the feature does not matter: any width will do.
        half_width /= np.where(model.scale == 0, 1.0, np.abs(model.scale))
    lower, upper = mean - half_width, mean + half_width
    for index, column in enumerate(model.features):
        if column.minimum is not None and column.maximum is not None:
            lower[index], upper[index] = column.minimum, column.maximum
    return lower.astype(np.float64), upper.astype(np.float64)


def _unscaled(model: LinearModel) -> tuple[DoubleDouble, DoubleDouble]:
    """Weight and bias in raw feature units, in double-double."""
    affine = affine_of(model)
    if affine.mean is None or affine.scale is None:
        return dd.exact(affine.weight), dd.exact(affine.bias)
    weight = dd.two_product(affine.weight, np.broadcast_to(affine.scale, affine.weight.shape))
    shift = dd.multiply(weight, dd.exact(np.broadcast_to(affine.mean, affine.weight.shape)))
    return weight, dd.subtract(dd.exact(affine.bias), dd.total(shift))


def _folded(fit: LinearModel, dtype: FloatDType) -> LinearModel:
    weight, bias = _unscaled(fit)
    return LinearModel(
        weight=_round(weight.high, dtype, "weight"),
        bias=_round(bias.high, dtype, "bias"),
        features=fit.features,
        targets=fit.targets,
    )


def _rounded_standardized(fit: LinearModel, dtype: FloatDType) -> LinearModel:
    """Round the scaler first; weight and bias then make up for what that changed."""
    affine = affine_of(fit)
    assert affine.mean is not None
    assert affine.scale is not None
    mean, scale = _round(affine.mean, dtype, "mean"), _round(affine.scale, dtype, "scale")
    if not np.all(scale):
        raise ModelError(f"A feature's scale is too small for {dtype}; use float64.")
    raw_weight, raw_bias = _unscaled(fit)
    weight = _round(raw_weight.high / scale.astype(np.float64), dtype, "weight")
    # Take the shift with the weight as rounded: its error then vanishes at the mean, not at zero.
    used = dd.two_product(
        weight.astype(np.float64), np.broadcast_to(scale.astype(np.float64), weight.shape)
    )
    moved_mean = np.broadcast_to(mean.astype(np.float64), weight.shape)
    centre = np.broadcast_to(affine.mean, weight.shape)
    at_centre = dd.add(raw_bias, dd.total(dd.multiply(raw_weight, dd.exact(centre))))
    step = dd.multiply(used, dd.two_sum(centre, -moved_mean))
    bias = dd.subtract(at_centre, dd.total(step))
    return LinearModel(
        weight=weight,
        bias=_round(bias.high, dtype, "bias"),
        mean=mean,
        scale=scale,
        features=fit.features,
        targets=fit.targets,
    )


def _round(values: Float64Array, dtype: FloatDType, name: str) -> FloatArray:
    with np.errstate(over="ignore"):
        rounded: FloatArray = values.astype(dtype)
    if not np.isfinite(rounded).all():
        worst = float(values.flat[int(np.abs(values).argmax())])
        raise ModelError(f"{name} {worst:.6g} is too large for {np.dtype(dtype)}; use float64.")
    return rounded
