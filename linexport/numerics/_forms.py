"""From float64 numbers to an artifact's numbers: fold the mean or keep it, and what that costs.

A fit is a LinearModel in float64, centred or folded. Its artifact is float32, float64, or float32
with a sum in float64, in one of the same two forms. The form with the smaller worst-case error over
the range of the training data is chosen: folding a feature at 1e6 +- 1 would leave float32 no
digits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from linexport._arrays import Float64Array, FloatArray, FloatDType
from linexport.columns import Column
from linexport.errors import ModelError
from linexport.fit import Coefficients, coefficients_by_target
from linexport.model import LinearModel
from linexport.numerics import double_double as dd
from linexport.numerics._bounds import (
    FLOAT64,
    Affine,
    gamma,
    half_ulp,
    own_slack,
    precision_of,
    rounded_result,
    rounding_error_bound,
)
from linexport.numerics.double_double import DoubleDouble

__all__ = [
    "Form",
    "RoundingBudget",
    "affine_of",
    "artifact_model",
    "assumed_ranges",
    "coefficients_of",
    "far_corner",
    "half_widths",
    "input_rounding",
    "largest_distance",
    "range_of",
    "raw_coefficients",
    "rounding_budget",
    "stated_model",
]

Form = Literal["auto", "folded", "centred"]

ASSUMED_DEVIATIONS = 4.0
"""Half-width of a range that is not known, in standard deviations: all but 6e-5 of normal data."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundingBudget:
    """The largest errors over the training range, per target, in target units."""

    export: tuple[float, ...]
    """Distance between the float64 fit and the artifact's exact meaning."""
    runtime: tuple[float, ...]
    """Bound on the rounding error while predicting."""


def affine_of(model: LinearModel) -> Affine:
    """Return the model's numbers in float64, exactly."""
    wide = {name: array.astype(np.float64) for name, array in model.arrays().items()}
    return Affine(weight=wide["weight"], bias=wide["bias"], mean=wide.get("mean"))


def raw_coefficients(model: LinearModel) -> tuple[Float64Array, Float64Array]:
    """Return weight (K, D) and bias (K,) in raw feature units, in float64.

    The weight is the model's own. The bias is a sum in double-double: it is rounded once, unless it
    is 2**50 times smaller than the largest of its terms.
    """
    return affine_of(model).weight, _bias_at_zero(model).high


def stated_model(
    coefficients: Mapping[str, Coefficients], features: tuple[Column, ...], targets: Sequence[str]
) -> LinearModel:
    """Return the folded float64 model that coefficients state by name, of some of the targets."""
    stated = [coefficients[target] for target in targets]
    return LinearModel(
        weight=np.array([[one.features[each.name] for each in features] for one in stated]),
        bias=np.array([one.intercept for one in stated]),
        features=features,
        targets=tuple(Column(name=target) for target in targets),
    )


def coefficients_of(model: LinearModel) -> dict[str, Coefficients]:
    """Return `raw_coefficients` by the names of targets and features."""
    weight, bias = raw_coefficients(model)
    return coefficients_by_target(
        model.feature_names, model.target_names, weight.tolist(), bias.tolist()
    )


def artifact_model(
    fit: LinearModel,
    dtype: FloatDType,
    form: Form = "auto",
    *,
    accumulate: FloatDType | None = None,
) -> LinearModel:
    """Round a float64 fit to an artifact's numbers, in the form asked for or the better one.

    Args:
        fit: In float64.
        dtype: Of the artifact's input and output.
        form: Folded, centred, or the one with the smaller error.
        accumulate: Of its numbers, and of the sum: `dtype` if not given.

    Raises:
        ModelError: If a number is beyond what the artifact's numbers can be, or a mean is asked for
            and not there.
    """
    accumulate = dtype if accumulate is None else accumulate
    if form == "centred" and fit.mean is None:
        raise ModelError("This model has no mean to keep; use the folded form.")
    candidates, refusals = [], []
    for name, write in (("folded", _folded), ("centred", _centred)):
        if form == name or (form == "auto" and (name == "folded" or fit.mean is not None)):
            try:
                written = replace(write(fit, accumulate), dtype=dtype)
                candidates.append(_without_underflow(fit, written))
            except ModelError as error:
                refusals.append(error)
    if not candidates:
        raise refusals[-1]
    return min(candidates, key=lambda candidate: _cost(fit, candidate))


def rounding_budget(fit: LinearModel, artifact: LinearModel) -> RoundingBudget:
    """Bound what the artifact and its runtime add to the fit, over the training range."""
    affine = affine_of(artifact)
    corner = far_corner(fit, affine)[None]
    runtime = rounding_error_bound(corner, affine, precision=precision_of(artifact.accumulate))[0]
    if artifact.accumulate != artifact.dtype:
        largest = _largest_prediction(fit, artifact)
        runtime = rounded_result(runtime, largest, precision=precision_of(artifact.dtype))
    export = largest_distance(fit, artifact)
    return RoundingBudget(export=tuple(export.tolist()), runtime=tuple(runtime.tolist()))


def largest_distance(fit: LinearModel, other: LinearModel) -> Float64Array:
    """Bound how far the predictions of two models are apart, over the range of the first.

    Both are affine, and so is their difference: |at the middle| + |slopes| @ half the width. All of
    it is computed, and rounded up, as docs/bounds.md has it: "From the optimum to the artifact".

    Returns:
        Shape (K,), target units.
    """
    if other.same_numbers(fit):
        return np.zeros(fit.num_targets)
    slope = dd.two_sum(affine_of(other).weight, -affine_of(fit).weight)
    lower, upper = range_of(fit)
    middle = lower / 2 + upper / 2
    half_width = np.nextafter(np.maximum(upper - middle, middle - lower), np.inf)
    # At the middle the offset and the slopes may cancel: that sum is taken in double-double.
    terms = dd.multiply(slope, dd.exact(np.broadcast_to(middle, slope.high.shape)))
    offset = dd.subtract(_bias_at_zero(other), _bias_at_zero(fit))
    at_middle = dd.add(offset, dd.total(terms))
    distance = np.abs(at_middle.high) + np.abs(slope.high) @ half_width
    # The terms' own errors.
    u = FLOAT64.unit_roundoff
    magnitude = sum(_magnitude_at_zero(model) for model in (fit, other))
    magnitude = magnitude + np.abs(terms.high).sum(axis=-1)
    relative = (3 * (fit.num_features - 1).bit_length() + 12) * u**2
    slack = own_slack(fit.num_features + 8)
    return np.asarray((distance + relative * magnitude) * slack)


def input_rounding(fit: LinearModel, artifact: LinearModel) -> tuple[float, ...]:
    """Bound what converting float64 inputs to the artifact's dtype moves its predictions by.

    Per target, in target units, over the training range. Of a float64 artifact it is what integers
    beyond 2**53 lose, as a table of nanoseconds has them; 0 for all others.
    """
    affine, moved = affine_of(artifact), _largest_input_rounding(fit, artifact)
    # The moved inputs may leave the range, by which the two other distances grow in proportion.
    u = precision_of(artifact.accumulate).unit_roundoff
    growth = 1 + gamma(affine.num_roundings + 1, unit_roundoff=u)
    slack = own_slack(artifact.num_features + 8)
    with np.errstate(invalid="ignore"):  # infinity times 0
        return tuple((np.abs(affine.weight) @ moved * growth * slack).tolist())


def _cost(fit: LinearModel, artifact: LinearModel) -> float:
    """The worst relative cost over the targets, so that targets in different units compare."""
    budget = rounding_budget(fit, artifact)
    total = np.array(budget.export) + np.array(budget.runtime)
    lower, upper = range_of(fit)
    spread = np.abs(affine_of(fit).weight) @ (upper - lower)
    return float((total / np.where(spread > 0, spread, 1.0)).max())


def _largest_input_rounding(fit: LinearModel, artifact: LinearModel) -> Float64Array:
    """By how much a feature moves at most, within its range, to be one of the artifact's inputs.

    Infinity where that cannot hold it.
    """
    lower, upper = range_of(fit)
    ends, precision = np.maximum(np.abs(lower), np.abs(upper)), precision_of(artifact.dtype)
    moved = half_ulp(ends, precision=precision)
    if precision is FLOAT64:  # as which a table's numbers are read: integers alone may move
        return np.where(ends > 2.0**FLOAT64.digits, moved, 0.0)
    return np.where(ends <= precision.largest, moved, np.inf)


def _largest_prediction(fit: LinearModel, artifact: LinearModel) -> Float64Array:
    """Bound what the artifact means over the range, and where rounded inputs may lie beside it."""
    lower, upper = range_of(fit)
    middle, affine = (lower / 2 + upper / 2)[None], affine_of(artifact)
    reach = np.maximum(upper - middle[0], middle[0] - lower) + _largest_input_rounding(
        fit, artifact
    )
    slack = own_slack(fit.num_features + 8)
    with np.errstate(over="ignore", invalid="ignore"):  # then there is no bound
        at_middle = np.abs(affine.evaluate(middle))[0]
        at_middle += rounding_error_bound(middle, affine, precision=FLOAT64)[0]
        return np.asarray((at_middle + np.abs(affine.weight) @ reach) * slack)


def _magnitude_at_zero(model: LinearModel) -> Float64Array:
    affine = affine_of(model)
    size = np.abs(affine.bias)
    return size if affine.mean is None else size + np.abs(affine.weight) @ np.abs(affine.mean)


def far_corner(fit: LinearModel, affine: Affine) -> Float64Array:
    """The corner of the range at which the bound is largest: it is convex in each feature."""
    lower, upper = range_of(fit)
    below, above = (np.abs(affine.differences(end)) for end in (lower, upper))
    return np.where(below > above, lower, upper)


def half_widths(features: Sequence[Column]) -> Float64Array:
    """Return half the width of each feature's training range, or of the one assumed, (D,)."""
    return np.array(
        [
            ASSUMED_DEVIATIONS * (column.standard_deviation or 1.0)
            if column.minimum is None or column.maximum is None
            else column.maximum / 2 - column.minimum / 2
            for column in features
        ]
    )


def range_of(model: LinearModel) -> tuple[Float64Array, Float64Array]:
    """The training range of each feature, or an assumed one around its mean."""
    lower, upper = np.empty((2, model.num_features))
    means = [column.mean or 0.0 for column in model.features]
    centres = means if model.mean is None else model.mean.tolist()
    for index, (column, centre, half_width) in enumerate(
        zip(model.features, centres, half_widths(model.features), strict=True)
    ):
        if column.minimum is not None and column.maximum is not None:
            lower[index], upper[index] = column.minimum, column.maximum
        else:
            lower[index], upper[index] = centre - half_width, centre + half_width
    return lower, upper


def assumed_ranges(model: LinearModel) -> dict[str, tuple[float, float]]:
    """Return, by feature name, the ends of each range that is not known and had to be assumed."""
    lower, upper = (ends.tolist() for ends in range_of(model))
    return {
        column.name: (low, high)
        for column, low, high in zip(model.features, lower, upper, strict=True)
        if column.minimum is None
    }


def _bias_at_zero(model: LinearModel) -> DoubleDouble:
    """The prediction where every feature is zero, in double-double."""
    affine = affine_of(model)
    if affine.mean is None:
        return dd.exact(affine.bias)
    return _moved(affine.bias, affine.weight, -affine.mean)


def _moved(bias: Float64Array, weight: Float64Array, step: Float64Array) -> DoubleDouble:
    """Return bias (K,) + weight (K, D) @ step (D,), of exact products."""
    terms = dd.two_product(weight, np.broadcast_to(step, weight.shape))
    return dd.add_float(dd.total(terms), bias)


def _folded(fit: LinearModel, dtype: FloatDType) -> LinearModel:
    return LinearModel(
        weight=_round(affine_of(fit).weight, dtype, "weight"),
        bias=_round(_bias_at_zero(fit).high, dtype, "bias"),
        features=fit.features,
        targets=fit.targets,
    )


def _centred(fit: LinearModel, dtype: FloatDType) -> LinearModel:
    """Round the mean first; the bias then makes up for what that changed.

    The shift is taken with the weight as rounded: its error then vanishes at the fit's own mean.
    """
    affine = affine_of(fit)
    assert affine.mean is not None
    weight, mean = _round(affine.weight, dtype, "weight"), _round(affine.mean, dtype, "mean")
    # Exact: the mean and what it is rounded to are within a factor of 2, or one of them is 0.
    step = mean.astype(np.float64) - affine.mean
    bias = _moved(affine.bias, weight.astype(np.float64), step)
    return LinearModel(
        weight=weight,
        bias=_round(bias.high, dtype, "bias"),
        mean=mean,
        features=fit.features,
        targets=fit.targets,
    )


def _without_underflow(fit: LinearModel, artifact: LinearModel) -> LinearModel:
    """Return the artifact, unless a weight lost more than rounding takes, and predictions show it.

    They do where over the training range it makes up for more than the last rounding of all.
    """
    weight, affine = fit.weight, affine_of(artifact)
    unit_roundoff = precision_of(artifact.accumulate).unit_roundoff
    reach = np.abs(affine.differences(far_corner(fit, affine)))
    lost = np.abs(affine.weight - weight)
    magnitude = np.abs(weight) @ reach + np.abs(affine.bias)
    wrong = (lost > unit_roundoff * np.abs(weight)) & (
        lost * reach > unit_roundoff * magnitude[:, None]
    )
    for target, feature in np.argwhere(wrong):
        raise ModelError(
            f"weight {weight[target, feature]:.6g} of '{fit.features[feature].name}' is too small "
            f"for {artifact.accumulate}; use float64."
        )
    return artifact


def _round(values: Float64Array, dtype: FloatDType, name: str) -> FloatArray:
    with np.errstate(over="ignore"):
        rounded: FloatArray = values.astype(dtype)
    if not np.isfinite(rounded).all():
        worst = float(values.flat[int(np.abs(values).argmax())])
        raise ModelError(f"{name} {worst:.6g} is too large for {np.dtype(dtype)}; use float64.")
    return rounded
