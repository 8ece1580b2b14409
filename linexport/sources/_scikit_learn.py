"""A fitted scikit-learn regressor that is linear, also behind scalers; scikit-learn not imported.

Each class is known by its name and module, and read by the attributes that fitting makes. A class
that is not in the tables below is refused: to have a coef_ is not enough, as a logistic regression
shows.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from linexport.columns import Column
from linexport.errors import ModelError
from linexport.numerics import Mixed, Values, beside, input_columns, linear_model
from linexport.sources._column_transformer import encoded, feature_columns
from linexport.sources._estimators import (
    fitted,
    is_passed_through,
    kind_of,
    numbers,
    require_scaler,
    restored,
    transformed,
)
from linexport.sources._reading import Imported

__all__ = ["INNER", "REGRESSORS", "read"]

REGRESSORS = frozenset({
    "ARDRegression", "BayesianRidge", "ElasticNet", "ElasticNetCV", "HuberRegressor", "Lars",
    "LarsCV", "Lasso", "LassoCV", "LassoLars", "LassoLarsCV", "LassoLarsIC", "LinearRegression",
    "LinearSVR", "MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso",
    "MultiTaskLassoCV", "NuSVR", "OrthogonalMatchingPursuit", "OrthogonalMatchingPursuitCV",
    "PLSRegression", "PassiveAggressiveRegressor", "QuantileRegressor", "Ridge", "RidgeCV",
    "SGDRegressor", "SVR", "TheilSenRegressor", "TweedieRegressor",
})  # fmt: skip
"""They predict x @ coef_.T + intercept_; some on the conditions of `_require_linear`."""
INNER = {
    "GridSearchCV": "best_estimator_",
    "HalvingGridSearchCV": "best_estimator_",
    "HalvingRandomSearchCV": "best_estimator_",
    "RANSACRegressor": "estimator_",
    "RandomizedSearchCV": "best_estimator_",
    "TransformedTargetRegressor": "regressor_",
}
"""They predict with the estimator in this attribute."""
LINKED = frozenset({"GammaRegressor", "PoissonRegressor"})
"""They predict exp(x @ coef_ + intercept_)."""


def read(estimator: Any) -> Imported:
    """Read a model from a fitted estimator.

    Raises:
        ModelError: If it is not fitted, not linear, or of a class that is not known.
    """
    first = _first_step(estimator)
    if kind_of(first) == "ColumnTransformer":
        return _read_encoded(estimator, first)
    if hasattr(first, "predict"):
        _require_known(first)
    else:
        require_scaler(first)
    num_features = int(fitted(first, "n_features_in_"))
    mixed = _predicted(estimator, input_columns(num_features))
    model = linear_model(mixed, num_features)
    names = getattr(first, "feature_names_in_", None)
    columns = model.features
    if names is not None:
        columns = tuple(replace(c, name=str(n)) for c, n in zip(columns, names, strict=True))
    return Imported(
        model=model.with_columns(_with_ranges(columns, first), model.targets),
        source=f"scikit-learn {_described(estimator)}",
        features_named=names is not None,
        values=mixed,
    )


def _read_encoded(estimator: Any, first: Any) -> Imported:
    """Read a model behind a ColumnTransformer, which makes an encoding."""
    encoding, values = encoded(first)
    mixed = _predicted(estimator, values, begun=first)
    model = linear_model(mixed, len(encoding.features))
    return Imported(
        model=model.with_columns(feature_columns(encoding), model.targets),
        source=f"scikit-learn {_described(estimator)}",
        features_named=True,
        encoding=encoding,
        values=mixed,
    )


def _predicted(estimator: Any, values: Values, *, begun: Any = None) -> Mixed:
    """Return what an estimator predicts from values; `begun` is the step that made them."""
    kind = kind_of(estimator)
    if kind == "Pipeline":
        *steps, (_, last) = estimator.steps
        if is_passed_through(last):
            raise ModelError("The Pipeline ends without a regressor.")
        for _, step in steps:
            values = values if step is begun else transformed(step, values)
        return _predicted(last, values, begun=begun)
    if kind == "MultiOutputRegressor":
        parts = [_predicted(part, values) for part in fitted(estimator, "estimators_")]
        return beside(parts).mixed()
    if kind in INNER:
        inner = _predicted(fitted(estimator, INNER[kind]), values, begun=begun)
        if kind == "TransformedTargetRegressor":
            return restored(fitted(estimator, "transformer_"), inner)
        return inner
    return _regressed(estimator, kind, values)


def _regressed(estimator: Any, kind: str, values: Values) -> Mixed:
    """Return values @ coef_.T + intercept_."""
    _require_linear(estimator, kind)
    weight = np.atleast_2d(numbers(estimator, "coef_"))
    bias = np.atleast_1d(numbers(estimator, "intercept_"))
    if weight.shape[1] != values.width or bias.shape not in ((1,), (len(weight),)):
        raise ModelError(
            f"{kind} has coef_ of shape {weight.shape} and intercept_ of shape {bias.shape}, "
            f"where {values.width} features are given."
        )
    if kind == "PLSRegression":  # whose predict subtracts what only this attribute holds
        values = values.plus(-numbers(estimator, "_x_mean"))
    return values.through(weight).plus(bias)


def _require_known(estimator: Any) -> None:
    kind = kind_of(estimator)
    if kind not in REGRESSORS and kind != "MultiOutputRegressor":
        raise ModelError(_refusal(estimator, kind))


def _require_linear(estimator: Any, kind: str) -> None:
    _require_known(estimator)
    if kind in ("SVR", "NuSVR") and estimator.kernel != "linear":
        raise ModelError(
            f"{kind} with the kernel {estimator.kernel!r} is not linear: use kernel='linear'."
        )
    if kind == "TweedieRegressor":
        link = estimator.link
        if not (link == "identity" or (link == "auto" and estimator.power <= 0)):
            raise ModelError(_exponential(kind))


def _refusal(estimator: Any, kind: str) -> str:
    if kind in LINKED:
        return _exponential(kind)
    bases = {base.__name__ for base in type(estimator).__mro__}
    if "ClassifierMixin" in bases:
        return f"{kind} is a classifier: it does not predict x @ coef_.T + intercept_."
    if "RegressorMixin" not in bases:
        return f"{kind} is not a regressor."
    return f"{kind} is not one of the linear regressors that docs/sources.md lists."


def _exponential(kind: str) -> str:
    return (
        f"{kind} predicts exp(x @ coef_ + intercept_), which is not linear: pass its coefficients "
        "as arrays, and take exp of what the model predicts."
    )


def _first_step(estimator: Any) -> Any:
    """Return what the features go into first."""
    kind = kind_of(estimator)
    if kind == "Pipeline":
        steps = [step for _, step in estimator.steps if not is_passed_through(step)]
        if not steps:
            raise ModelError("The Pipeline ends without a regressor.")
        return _first_step(steps[0])
    if kind in INNER:
        return _first_step(fitted(estimator, INNER[kind]))
    return estimator


def _with_ranges(columns: tuple[Column, ...], first: Any) -> tuple[Column, ...]:
    """Add what a min-max scaler saw of the training data."""
    if kind_of(first) != "MinMaxScaler":
        return columns
    ends = (numbers(first, name).tolist() for name in ("data_min_", "data_max_"))
    return tuple(
        replace(column, minimum=low, maximum=high)
        for column, low, high in zip(columns, *ends, strict=True)
    )


def _described(estimator: Any) -> str:
    """Name the classes, as a person would: Pipeline of StandardScaler, Ridge."""
    kind = kind_of(estimator)
    if kind == "Pipeline":
        steps = [step for _, step in estimator.steps if not is_passed_through(step)]
        return f"Pipeline of {', '.join(map(_described, steps))}"
    if kind in INNER:
        return f"{kind} of {_described(getattr(estimator, INNER[kind]))}"
    return kind
