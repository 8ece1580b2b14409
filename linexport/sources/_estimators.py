"""What is asked of any scikit-learn estimator, and what scalers make of features and targets."""

from typing import Any, NamedTuple

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
    return kind_of(step) == "FunctionTransformer" and step.func is None


class _Scaler(NamedTuple):
    """How a kind of scaler names its numbers, and the settings that leave them out.

    x becomes (x - center) / divisor; or the other way round x * divisor + center.
    """

    center: str | None
    divisor: str
    with_center: str = ""
    with_divisor: str = ""
    stretches: bool = False

    def applied(self, scaler: Any, values: Values, *, back: bool = False) -> Values:
        """Return what a scaler makes of values, or what it made them of.

        Raises:
            ModelError: If it is not fitted, or not linear.
        """
        if getattr(scaler, "clip", False):
            raise ModelError(
                f"{kind_of(scaler)}(clip=True) is not linear: it holds values at the ends of the "
                "range."
            )
        # A step left out may have left numbers nevertheless.
        width = int(fitted(scaler, "n_features_in_"))
        has_center = getattr(scaler, self.with_center, True)
        center = np.zeros(width)
        if self.center and has_center:
            center = numbers(scaler, self.center)
        has_divisor = getattr(scaler, self.with_divisor, True)
        divisor = numbers(scaler, self.divisor) if has_divisor else np.ones(width)
        if back != self.stretches:
            return values.times(divisor).plus(center)
        if not np.all(divisor):
            raise ModelError("A scaler divides by 0.")
        return values.plus(-center).over(divisor)


_SCALERS = {
    "StandardScaler": _Scaler("mean_", "scale_", "with_mean", "with_std"),
    "MinMaxScaler": _Scaler("min_", "scale_", stretches=True),
    "MaxAbsScaler": _Scaler(None, "scale_"),
    "RobustScaler": _Scaler("center_", "scale_", "with_centering", "with_scaling"),
}


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
    return _SCALERS[kind].applied(step, values)


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
    return _SCALERS[kind].applied(transformer, values, back=True).mixed()
