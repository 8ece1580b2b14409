"""What a scikit-learn transformer makes of values, where that is affine; and of a target, back.

Each class is known by its name and module, and followed as its `transform` is written. What is not
in the tables is refused by name.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from linexport.errors import ModelError
from linexport.numerics import Mixed, Values, beside
from linexport.sources._cells import Cells, filled, numbers_of
from linexport.sources._estimators import bases_of, fitted, is_passed_through, kind_of, numbers
from linexport.sources._one_hot import one_hot
from linexport.sources._projections import INVERSES, PROJECTIONS
from linexport.sources._scalers import SCALERS

__all__ = ["TRANSFORMERS", "restored", "steps_of", "transformed"]

_REASONS = {
    "Binarizer": "compares values with a threshold",
    "KBinsDiscretizer": "puts values into bins",
    "KNNImputer": "fills in from other rows",
    "Normalizer": "divides each row by its own length",
    "OrdinalEncoder": "numbers levels",
    "PolynomialFeatures": "multiplies features",
    "PowerTransformer": "raises values to a power",
    "QuantileTransformer": "ranks values",
    "SplineTransformer": "computes pieces of polynomials",
    "TargetEncoder": "puts a number for each level",
}


def transformed(step: Any, values: Cells | Values) -> Cells | Values:
    """Return what a step makes of values.

    Raises:
        ModelError: If it is not affine, not known to be, or not fitted.
    """
    if is_passed_through(step):
        return values
    kind = kind_of(step)
    if kind in _OF_CELLS:
        return _OF_CELLS[kind](step, values)
    if not (kind in TRANSFORMERS or _is_selector(step)):
        raise ModelError(_refusal(step, kind))
    fitted_width = getattr(step, "n_features_in_", None)
    given = numbers_of(values)
    if fitted_width not in (None, given.width):
        raise ModelError(f"{kind} was fitted on {fitted_width} values and given {given.width}.")
    if kind == "MinMaxScaler" and isinstance(values, Cells):
        low, high = (numbers(step, name) for name in ("data_min_", "data_max_"))
        values.table.saw(values.places, low, high)
    return TRANSFORMERS[kind](step, given) if kind in TRANSFORMERS else _selected(step, given)


def restored(transformer: Any, values: Mixed) -> Mixed:
    """Return a target in its own unit, from predictions of the transformed target.

    Raises:
        ModelError: If what transforms it is not known to be affine.
    """
    if transformer is None or isinstance(transformer, str):
        return values  # a Pipeline's step that does nothing
    kind, inverse = kind_of(transformer), getattr(transformer, "inverse_func", None)
    if kind == "FunctionTransformer" and inverse is None:
        return values
    if kind == "Pipeline":
        for _, step in reversed(transformer.steps):
            values = restored(step, values)
        return values
    if kind in SCALERS:
        return SCALERS[kind].applied(transformer, values, back=True).mixed()
    if kind not in INVERSES:
        raise ModelError(
            f"TransformedTargetRegressor predicts through {getattr(inverse, '__name__', kind)}, "
            "which is not known to be affine: pass its regressor_, which predicts the transformed "
            "target."
        )
    return INVERSES[kind](transformer, values)


def steps_of(pipeline: Any) -> list[Any]:
    """Return a Pipeline's steps that do something."""
    return [step for _, step in pipeline.steps if not is_passed_through(step)]


def _in_turn(pipeline: Any, values: Cells | Values) -> Cells | Values:
    for step in steps_of(pipeline):
        values = transformed(step, values)
    return values


def _by_columns(step: Any, values: Cells | Values) -> Values:
    """Return what a ColumnTransformer makes of values, in the order of its parts."""
    parts = fitted(step, "transformers_")
    taken = fitted(step, "_transformer_to_input_indices")
    kept = [(name, part) for name, part, _ in parts if _is_kept(part) and len(taken[name])]
    return _joined(step, [(name, part, values.taken(taken[name])) for name, part in kept])


def _by_parts(step: Any, values: Cells | Values) -> Values:
    """Return what a FeatureUnion makes of values, in the order of its parts."""
    parts = [(name, part) for name, part in step.transformer_list if _is_kept(part)]
    return _joined(step, [(name, part, values) for name, part in parts])


def _joined(step: Any, parts: Sequence[tuple[str, Any, Cells | Values]]) -> Values:
    weights = step.transformer_weights or {}
    made = []
    for name, part, given in parts:
        values = numbers_of(transformed(part, given))
        made.append(values.times(np.array(float(weights[name]))) if name in weights else values)
    if not made:
        raise ModelError(f"The {kind_of(step)} keeps no column: its model is a constant.")
    return beside(made)


def _is_kept(part: Any) -> bool:
    return not (isinstance(part, str) and part == "drop")


def _is_selector(step: Any) -> bool:
    return "SelectorMixin" in bases_of(step)


def _selected(step: Any, values: Values) -> Values:
    try:
        places = np.flatnonzero(step.get_support())
    except (AttributeError, ValueError) as error:  # NotFittedError is both
        raise ModelError(f"{kind_of(step)} is not fitted: call fit first.") from error
    return values.taken(places)


def _first_powers(step: Any, values: Values) -> Values:
    """Return what PolynomialFeatures makes, where each of its values has degree 1 or 0."""
    if int(fitted(step, "n_output_features_")) > values.width + 1:
        raise ModelError(_refusal(step, kind_of(step)))
    powers = np.asarray(step.powers_, np.float64)
    if powers.sum(axis=1).max(initial=0) > 1:
        raise ModelError(_refusal(step, kind_of(step)))
    return values.through(powers).plus((powers.sum(axis=1) == 0).astype(np.float64))


def _refusal(step: Any, kind: str) -> str:
    reason = _REASONS.get(kind)
    if kind == "FunctionTransformer":
        reason = f"applies {getattr(step.func, '__name__', 'a function')}"
    if reason is None:
        return (
            f"{kind} is none of the transformers that are known to be affine (docs/sources.md "
            "lists them): transform the features beforehand, and fit on those."
        )
    return (
        f"{kind} is not affine, as it {reason}: transform the features beforehand, and fit the "
        "rest on those."
    )


TRANSFORMERS: dict[str, Callable[[Any, Values], Values]] = {
    **{kind: scaler.applied for kind, scaler in SCALERS.items()},
    **PROJECTIONS,
    "PolynomialFeatures": _first_powers,
}
"""They take numbers; so do those that select columns."""
_OF_CELLS: dict[str, Callable[[Any, Cells | Values], Cells | Values]] = {
    "ColumnTransformer": _by_columns,
    "FeatureUnion": _by_parts,
    "FrozenEstimator": lambda frozen, values: transformed(frozen.estimator, values),
    "OneHotEncoder": one_hot,
    "Pipeline": _in_turn,
    "SimpleImputer": filled,
}
"""They take columns of a table too."""
