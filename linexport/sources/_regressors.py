"""What a scikit-learn regressor predicts from values, where that is affine.

Each class is known by its name and module, and followed as its `predict` is written. A class that
is not in the tables below is refused: to have a coef_ is not enough, as a logistic regression
shows.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from linexport.errors import ModelError
from linexport.numerics import Mixed, Values, beside
from linexport.sources import _xgboost
from linexport.sources._cells import Cells, numbers_of
from linexport.sources._estimators import (
    bases_of,
    fitted,
    is_passed_through,
    kind_of,
    numbers,
)
from linexport.sources._transformers import restored, transformed

__all__ = ["COMBINING", "INNER", "REGRESSORS", "predicted"]

REGRESSORS = frozenset({
    "ARDRegression", "BayesianRidge", "ElasticNet", "ElasticNetCV", "HuberRegressor", "Lars",
    "LarsCV", "Lasso", "LassoCV", "LassoLars", "LassoLarsCV", "LassoLarsIC", "LinearRegression",
    "LinearSVR", "MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso",
    "MultiTaskLassoCV", "OrthogonalMatchingPursuit", "OrthogonalMatchingPursuitCV",
    "PassiveAggressiveRegressor", "QuantileRegressor", "Ridge", "RidgeCV", "SGDRegressor",
    "TheilSenRegressor", "TweedieRegressor",
})  # fmt: skip
"""They predict x @ coef_.T + intercept_."""
INNER = {
    "FrozenEstimator": "estimator",
    "GridSearchCV": "best_estimator_",
    "HalvingGridSearchCV": "best_estimator_",
    "HalvingRandomSearchCV": "best_estimator_",
    "RANSACRegressor": "estimator_",
    "RandomizedSearchCV": "best_estimator_",
}
"""They predict with the estimator in this attribute."""
LINKED = frozenset({"GammaRegressor", "PoissonRegressor"})
"""They predict exp(x @ coef_ + intercept_)."""


def predicted(estimator: Any, values: Cells | Values) -> Mixed:
    """Return what an estimator predicts from values.

    Raises:
        ModelError: If it is not affine, not known to be, or not fitted.
    """
    kind = kind_of(estimator)
    if kind in INNER:
        return predicted(fitted(estimator, INNER[kind]), values)
    if kind in COMBINING:
        return COMBINING[kind](estimator, values)
    if kind in _OWN:
        return _OWN[kind](estimator, numbers_of(values))
    if kind not in REGRESSORS:
        raise ModelError(_refusal(estimator, kind))
    return _regressed(estimator, numbers_of(values))


def _regressed(estimator: Any, values: Values) -> Mixed:
    """Return values @ coef_.T + intercept_."""
    kind = kind_of(estimator)
    if kind == "TweedieRegressor":
        link = estimator.link
        if not (link == "identity" or (link == "auto" and estimator.power <= 0)):
            raise ModelError(_exponential(kind))
    weight = np.atleast_2d(numbers(estimator, "coef_"))
    bias = np.atleast_1d(numbers(estimator, "intercept_"))
    if weight.shape[1] != values.width or bias.shape not in ((1,), (len(weight),)):
        raise ModelError(
            f"{kind} has coef_ of shape {weight.shape} and intercept_ of shape {bias.shape}, "
            f"where {values.width} features are given: call fit again."
        )
    return values.through(weight).plus(bias)


def _centred(estimator: Any, values: Values) -> Mixed:
    """Return what partial least squares predict, which subtract what only _x_mean holds."""
    return _regressed(estimator, values.plus(-numbers(estimator, "_x_mean")))


def _fitted_here(estimator: Any, values: Values) -> Mixed:
    """Return what our own estimator predicts, which subtracts the mean that its fit has."""
    model = fitted(estimator, "fit_").model
    centred = values if model.mean is None else values.plus(-model.mean)
    return centred.through(model.weight).plus(model.bias)


def _supported(estimator: Any, values: Values) -> Mixed:
    """Return a sum over support vectors, with a linear kernel or a polynomial one of degree 1."""
    kernel = estimator.kernel
    if kernel != "linear" and not (kernel == "poly" and estimator.degree == 1):
        raise ModelError(_of_kernel(estimator, kernel))
    products = values.through(numbers(estimator, "support_vectors_"))
    if kernel == "poly":
        gamma = np.array(float(estimator._gamma))  # noqa: SLF001
        products = products.times(gamma).plus(np.array(float(estimator.coef0)))
    made = products.through(numbers(estimator, "dual_coef_"))
    return made.plus(numbers(estimator, "intercept_"))


def _kernelled(estimator: Any, values: Values) -> Mixed:
    """Return a sum over the training rows, with a linear kernel or a polynomial one of degree 1."""
    kernel = estimator.kernel
    rows = numbers(estimator, "X_fit_")
    dual = numbers(estimator, "dual_coef_").reshape(len(rows), -1).T
    products = values.through(rows)
    if kernel in ("poly", "polynomial") and estimator.degree == 1:
        gamma = 1 / rows.shape[1] if estimator.gamma is None else estimator.gamma
        products = products.times(np.array(float(gamma))).plus(np.array(float(estimator.coef0)))
    elif kernel != "linear":
        raise ModelError(_of_kernel(estimator, kernel))
    return products.through(dual)


def _constant(estimator: Any, values: Values) -> Mixed:
    constant = numbers(estimator, "constant_").reshape(-1)
    return values.through(np.zeros((len(constant), values.width))).plus(constant)


def _piped(pipeline: Any, values: Cells | Values) -> Mixed:
    *steps, last = [step for _, step in pipeline.steps]
    if is_passed_through(last):
        raise ModelError("The Pipeline ends without a regressor: add one as its last step.")
    for step in steps:
        values = transformed(step, values)
    return predicted(last, values)


def _for_each(estimator: Any, values: Cells | Values) -> Mixed:
    """Return the targets of several regressors side by side."""
    return beside([predicted(part, values) for part in fitted(estimator, "estimators_")]).mixed()


def _chained(estimator: Any, values: Cells | Values) -> Mixed:
    """Return the targets of a chain, whose regressors are given those before them too."""
    given = numbers_of(values)
    made: list[Values] = []
    for part in fitted(estimator, "estimators_"):
        made.append(predicted(part, beside([given, *made])))
    return beside(made).taken(np.argsort(estimator.order_)).mixed()


def _voted(estimator: Any, values: Cells | Values) -> Mixed:
    """Return the mean of the predictions, with their weights."""
    parts = fitted(estimator, "estimators_")
    weights = [1.0] * len(parts)
    if estimator.weights is not None:
        pairs = zip(estimator.estimators, estimator.weights, strict=True)
        weights = [float(weight) for (_, part), weight in pairs if not isinstance(part, str)]
    made = beside([predicted(part, values) for part in parts])
    return made.through(np.array([weights])).over(np.array(sum(weights)))


def _bagged(estimator: Any, values: Cells | Values) -> Mixed:
    """Return the mean of predictions, each from some of the features."""
    given = numbers_of(values)
    chosen = zip(fitted(estimator, "estimators_"), estimator.estimators_features_, strict=True)
    made = [predicted(part, given.taken(np.asarray(places))) for part, places in chosen]
    sums = np.tile(np.eye(made[0].width), len(made))
    return beside(made).through(sums).over(np.array(float(len(made))))


def _stacked(estimator: Any, values: Cells | Values) -> Mixed:
    """Return what the last regressor predicts from the others' predictions."""
    made: list[Values] = [predicted(part, values) for part in fitted(estimator, "estimators_")]
    if estimator.passthrough:
        made.append(numbers_of(values))
    return predicted(fitted(estimator, "final_estimator_"), beside(made))


def _after_selecting(estimator: Any, values: Cells | Values) -> Mixed:
    inner = fitted(estimator, "estimator_")
    return predicted(inner, transformed(estimator, values))


def _restoring(estimator: Any, values: Cells | Values) -> Mixed:
    inner = predicted(fitted(estimator, "regressor_"), values)
    return restored(fitted(estimator, "transformer_"), inner)


COMBINING: dict[str, Callable[[Any, Cells | Values], Mixed]] = {
    "BaggingRegressor": _bagged,
    "MultiOutputRegressor": _for_each,
    "Pipeline": _piped,
    "RFE": _after_selecting,
    "RFECV": _after_selecting,
    "RegressorChain": _chained,
    "StackingRegressor": _stacked,
    "TransformedTargetRegressor": _restoring,
    "VotingRegressor": _voted,
}
"""They predict with others."""
_OWN: dict[str, Callable[[Any, Values], Mixed]] = {
    "CCA": _centred,
    "DummyRegressor": _constant,
    "KernelRidge": _kernelled,
    "LinearRegressor": _fitted_here,
    "NuSVR": _supported,
    "PLSCanonical": _centred,
    "PLSRegression": _centred,
    "SVR": _supported,
    "XGBRegressor": _xgboost.predicted,
}
"""They predict in a way of their own."""


def _refusal(estimator: Any, kind: str) -> str:
    if kind in LINKED:
        return _exponential(kind)
    if type(estimator).__module__.startswith("lightgbm."):
        return (
            f"LightGBM's {kind} predicts with trees, which are not affine; also with linear_tree, "
            "where each leaf has a linear model of its own. Fit a linear model, such as "
            "scikit-learn's Ridge."
        )
    bases = bases_of(estimator)
    if "ClassifierMixin" in bases:
        return (
            f"{kind} is a classifier: it predicts a class, which is not affine. Export its "
            "coef_ and intercept_ as arrays, to have the scores."
        )
    if "RegressorMixin" not in bases:
        return f"{kind} is not a regressor: pass a Pipeline that ends with one."
    return (
        f"{kind} is none of the regressors that are known to be affine; docs/sources.md lists them."
    )


def _of_kernel(estimator: Any, kernel: Any) -> str:
    degree = f" of degree {estimator.degree}" if kernel in ("poly", "polynomial") else ""
    return (
        f"{kind_of(estimator)} with the kernel {kernel!r}{degree} is not affine: use "
        "kernel='linear'."
    )


def _exponential(kind: str) -> str:
    return (
        f"{kind} predicts exp(x @ coef_ + intercept_), which is not affine: pass its coefficients "
        "as arrays, and take exp of what the model predicts."
    )
