"""What is asked of any scikit-learn estimator, and what scalers make of features and targets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from linexport._arrays import Float64Array
from linexport.errors import ModelError
from linexport.numerics import Mixed, Values
from linexport.sources._arrays import as_float64


def kind_of(estimator: Any) -> str:
    """Return the class's name, if it is one of scikit-learn's own.

    Raises:
        ModelError: If it is derived from one: it may predict otherwise.
    """
    kind = type(estimator)
    if kind.__module__.partition(".")[0] != "sklearn":
        raise ModelError(
            f"{kind.__name__} is not a class of scikit-learn itself, so what it predicts is not "
            "known: pass its coefficients as arrays."
        )
    return str(kind.__name__)


def fitted(estimator: Any, attribute: str) -> Any:
    """Return an attribute that fitting makes.

    Raises:
        ModelError: If it is not there.
    """
    if not hasattr(estimator, attribute):
        raise ModelError(
            f"{kind_of(estimator)} is not fitted (it has no {attribute}): call fit first."
        )
    return getattr(estimator, attribute)


def numbers(estimator: Any, attribute: str) -> Float64Array:
    """Return numbers that fitting makes, in float64.

    Raises:
        ModelError: If they are not there, or no numbers.
    """
    value = fitted(estimator, attribute)
    if hasattr(value, "toarray"):  # SGDRegressor.sparsify
        value = value.toarray()
    return as_float64(value, f"{kind_of(estimator)}.{attribute}")


def is_passed_through(step: Any) -> bool:
    """Tell a Pipeline's step that does nothing."""
    if step is None or isinstance(step, str):  # the one string that a fitted Pipeline has
        return True
    return type(step).__name__ == "FunctionTransformer" and step.func is None


class _Scaler(Protocol):
    def transform(self, values: Values) -> Values: ...

    def inverse_transform(self, values: Mixed) -> Mixed: ...


@dataclass(frozen=True, slots=True)
class _Centering:
    """(x - center) / divisor."""

    center: Float64Array
    divisor: Float64Array

    def transform(self, values: Values) -> Values:
        return values.plus(-self.center).times(_reciprocal(self.divisor))

    def inverse_transform(self, values: Mixed) -> Mixed:
        return values.times(self.divisor).plus(self.center)


@dataclass(frozen=True, slots=True)
class _Stretching:
    """x * factor + term."""

    factor: Float64Array
    term: Float64Array

    def transform(self, values: Values) -> Values:
        return values.times(self.factor).plus(self.term)

    def inverse_transform(self, values: Mixed) -> Mixed:
        return values.plus(-self.term).times(_reciprocal(self.factor))


def transformed(step: Any, values: Values) -> Values:
    """Return what a step before the regressor makes of values.

    Raises:
        ModelError: If it is not one of the scalers, or not linear, or not fitted.
    """
    if is_passed_through(step):
        return values
    kind = kind_of(step)
    if kind == "Pipeline":
        for _, inner in step.steps:
            values = transformed(inner, values)
        return values
    require_scaler(step)
    return _SCALERS[kind](step).transform(values)


def require_scaler(step: Any) -> None:
    """Refuse a step that is not one of the scalers.

    Raises:
        ModelError: If it is none.
    """
    kind = kind_of(step)
    if kind not in _SCALERS:
        raise ModelError(
            f"A {kind} is none of the scalers that are taken before a regressor "
            f"({', '.join(_SCALERS)}): transform the features beforehand, and fit on those."
        )


def restored(transformer: Any, values: Mixed) -> Mixed:
    """Return a target in its own unit, from predictions of the transformed target.

    Raises:
        ModelError: If what transforms it is not one of the scalers.
    """
    kind = kind_of(transformer)
    if kind == "FunctionTransformer" and transformer.inverse_func is None:
        return values
    if kind not in _SCALERS:
        how = getattr(getattr(transformer, "inverse_func", None), "__name__", kind)
        raise ModelError(
            f"TransformedTargetRegressor predicts through {how}, which is not known to be linear: "
            "pass its regressor_, which predicts the transformed target."
        )
    return _SCALERS[kind](transformer).inverse_transform(values)


def _standard(scaler: Any) -> _Scaler:
    return _centering(scaler, scaler.with_mean and "mean_", scaler.with_std and "scale_")


def _robust(scaler: Any) -> _Scaler:
    return _centering(scaler, scaler.with_centering and "center_", scaler.with_scaling and "scale_")


def _max_abs(scaler: Any) -> _Scaler:
    _require_unclipped(scaler)
    return _centering(scaler, False, "scale_")


def _min_max(scaler: Any) -> _Scaler:
    _require_unclipped(scaler)
    return _Stretching(numbers(scaler, "scale_"), numbers(scaler, "min_"))


def _centering(scaler: Any, center: Any, divisor: Any) -> _Scaler:
    """Take the attributes that are named; a step left out may have left numbers nevertheless."""
    width = int(fitted(scaler, "n_features_in_"))
    return _Centering(
        numbers(scaler, center) if center else np.zeros(width),
        numbers(scaler, divisor) if divisor else np.ones(width),
    )


_SCALERS: dict[str, Callable[[Any], _Scaler]] = {
    "StandardScaler": _standard,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _max_abs,
    "RobustScaler": _robust,
}


def _require_unclipped(scaler: Any) -> None:
    if getattr(scaler, "clip", False):
        raise ModelError(
            f"{kind_of(scaler)}(clip=True) is not linear: it holds values at the ends of the range."
        )


def _reciprocal(divisor: Float64Array) -> Float64Array:
    if not np.all(divisor):
        raise ModelError("A scaler divides by 0.")
    return np.asarray(1 / divisor)
