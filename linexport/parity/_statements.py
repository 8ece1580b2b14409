"""Whether all that speak of a model by name say the same: artifacts, manifest, coefficients.

Structure and behaviour know positions only. Names are what tables are predicted by, so a swap of
two of them is as wrong as a swap of two weights.

D features, K targets.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

import numpy as np

from linexport._arrays import Float64Array
from linexport.columns import Column, default_columns
from linexport.encoding import Encoding
from linexport.fit import Coefficients
from linexport.formats import Runtime, Statement
from linexport.model import LinearModel
from linexport.numerics import (
    FLOAT64,
    gamma,
    half_widths,
    largest_distance,
    raw_coefficients,
    stated_model,
)
from linexport.parity._certificate import StatementResult

__all__ = ["compare_coefficients", "compare_statement"]

_FIELDS = ("unit", "minimum", "maximum", "mean", "standard_deviation")


def compare_statement(
    source: str,
    said: Statement,
    model: LinearModel,
    *,
    runtime: Runtime | None = None,
    encoding: Encoding | None = None,
    against: str = "the reference",
    exact: bool = False,
) -> StatementResult:
    """Compare what a file says of its model with the reference, and with what it holds.

    Args:
        source: The file's name.
        said: What it says.
        model: The reference, with its columns.
        runtime: The file, opened.
        encoding: What should make the features.
        against: What states the reference's columns.
        exact: Whether x1, x2, ... are names like any other, and not what stands where a model or a
            file has none.
    """
    differences = (
        *_unlike_held(said, runtime),
        *_unlike_columns("feature", said.features, model.features, against, exact=exact),
        *_unlike_columns("target", said.targets, model.targets, against, exact=exact),
        *_unlike_encoding(said.encoding, encoding, against, exact=exact),
    )
    return StatementResult(
        source=source,
        states=tuple(key for key, value in said._asdict().items() if value is not None),
        failure=f"'{source}' states {differences[0]}." if differences else None,
    )


def compare_coefficients(
    source: str,
    coefficients: Mapping[str, Coefficients],
    model: LinearModel,
    *,
    export: Mapping[str, float],
) -> StatementResult:
    """Compare coefficients by name with a model's numbers, over the range of its features.

    Args:
        source: The file that states them.
        coefficients: By target name, in raw units.
        model: The reference, with its columns.
        export: By target name, in target units: how far the reference is said to be from them.
    """
    places = [k for k, name in enumerate(model.target_names) if name in coefficients]
    failure = _unlike_numbers(coefficients, model, places, export) if places else None
    return StatementResult(
        source=source,
        states=("coefficients",) if places else (),
        failure=f"'{source}' states {failure}." if failure else None,
    )


def _unlike_held(said: Statement, runtime: Runtime | None) -> Iterator[str]:
    if runtime is None:
        return
    held = {"dtype": runtime.dtype.name}
    if runtime.structure is not None:
        held["accumulate"] = runtime.structure.accumulate.name
        held["form"] = runtime.structure.form
    for key, value in held.items():
        word = getattr(said, key)
        if word not in (None, value):
            yield f"the {key} {word}, and is {value}"


def _unlike_columns(
    kind: str,
    said: Sequence[Column] | None,
    ours: Sequence[Column],
    against: str,
    *,
    exact: bool,
) -> Iterator[str]:
    """Yield where columns differ, as far as both sides say something."""
    if said is None or said == ours:
        return
    if len(said) != len(ours):
        yield f"{len(said)} {kind}s, {against} {len(ours)}"
        return
    named = exact or _both_named([c.name for c in said], [c.name for c in ours])
    for place, (theirs, own) in enumerate(zip(said, ours, strict=True), start=1):
        if named and theirs.name != own.name:
            yield (
                f"{kind} {place} to be '{theirs.name}', {against} '{own.name}': by name the "
                "predictions are wrong"
            )
        for field in _FIELDS:
            value, expected = getattr(theirs, field), getattr(own, field)
            if value != expected and not {value, expected} & {None, ""}:
                what = field.replace("_", " ")
                yield f"the {what} of {kind} '{own.name}' as {value}, {against} as {expected}"


def _unlike_encoding(
    said: Encoding | None, ours: Encoding | None, against: str, *, exact: bool
) -> Iterator[str]:
    if said is None or said == ours or (ours is None and not exact):
        return
    if ours is None:
        yield f"an encoding of a table's columns, {against} none"
        return
    for theirs, own in zip_longest(said.columns, ours.columns):
        if theirs != own:
            name = (own or theirs).name
            yield f"another encoding of the column '{name}' than {against}"


def _both_named(said: list[str], ours: list[str]) -> bool:
    """Tell whether neither is x1, x2, ... (y, y1, ...), or they are the same in another order."""
    if sorted(said) == sorted(ours):
        return True
    unnamed = [[column.name for column in default_columns(p, len(said))] for p in ("x", "y")]
    return said not in unnamed and ours not in unnamed


def _unlike_numbers(
    coefficients: Mapping[str, Coefficients],
    model: LinearModel,
    places: Sequence[int],
    export: Mapping[str, float],
) -> str | None:
    """Say where coefficients are further from the model's numbers than the export is said to be."""
    names, widths = [model.target_names[k] for k in places], half_widths(model.features)
    stated = stated_model(coefficients, model.features, names)
    weight, bias = (numbers[places] for numbers in raw_coefficients(model))
    held = LinearModel(weight=weight, bias=bias, features=model.features)
    with np.errstate(over="ignore", invalid="ignore"):
        distance = _distance(stated, held, widths) - _rounding(stated)
        lost = np.abs(stated.weight - weight) * widths
    allowed = np.array([export.get(name, np.inf) for name in names])
    wrong = np.flatnonzero((distance > allowed) & np.isfinite(distance))
    if not len(wrong):
        return None
    k = wrong[0]
    j = lost[k].argmax()
    what, theirs, ours = (
        (f"the coefficient of '{model.feature_names[j]}'", stated.weight[k, j], weight[k, j])
        if lost[k, j]
        else ("the intercept", stated.bias[k], bias[k])
    )
    return (
        f"{what} for '{names[k]}' as {float(theirs)}, the weights as {float(ours)}: the names, or "
        "the numbers, are not of one model"
    )


def _distance(stated: LinearModel, held: LinearModel, widths: Float64Array) -> Float64Array:
    """Return a distance, (K,), that is no larger than the one over the features' range.

    Where a range is not stated, its middle is not known, and the slopes alone are compared: over
    any range the distance is at least |slopes| @ half the width.
    """
    if all(column.minimum is not None for column in stated.features):
        return largest_distance(stated, held)
    columns = tuple(
        Column(name=column.name, minimum=-width, maximum=width)
        for column, width in zip(stated.features, widths.tolist(), strict=True)
    )
    slopes = [
        LinearModel(weight=model.weight, bias=np.zeros_like(model.bias), features=columns)
        for model in (stated, held)
    ]
    return largest_distance(*slopes)


def _rounding(model: LinearModel) -> Float64Array:
    """Bound what rounding coefficients to float64, raw ones from centred, may have moved, (K,)."""
    ends = [max(abs(c.minimum or 0.0), abs(c.maximum or 0.0)) for c in model.features]
    magnitude = np.abs(model.weight) @ np.array(ends) + np.abs(model.bias)
    roundings = 2 * model.num_features + 8
    return np.asarray(magnitude * gamma(roundings, unit_roundoff=FLOAT64.unit_roundoff))
