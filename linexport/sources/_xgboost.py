"""XGBoost's linear booster, from its own JSON; XGBoost is not imported.

Of D features and G groups, one for each target, the model has (D + 1) G weights, feature by
feature, the biases last; it predicts base_score + bias + x @ weight, computed in float32.
Source: `gblinear.cc`, and "Introduction to Model IO" in XGBoost's documentation.
"""

import json
from typing import Any, NamedTuple

import numpy as np

from linexport._arrays import Float64Array
from linexport._files import first_line
from linexport.columns import Column, default_columns
from linexport.errors import ModelError, shortened
from linexport.model import LinearModel
from linexport.numerics import Mixed, Values, input_columns, linear_model
from linexport.sources._estimators import require_own_class, require_own_methods
from linexport.sources._reading import Imported

__all__ = ["is_model", "predicted", "read", "read_document"]

_IDENTITY = (
    "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror", "reg:squarederror",
    "reg:squaredlogerror",
)  # fmt: skip
"""Objectives whose prediction is the sum itself."""


def is_model(document: Any) -> bool:
    """Tell the JSON that `save_model` writes."""
    return isinstance(document, dict) and "learner" in document


class _Booster(NamedTuple):
    """What a linear booster computes, and the names that it has."""

    weight: Float64Array
    """(G, D)"""
    bias: Float64Array
    """(G,)"""
    base: Float64Array
    """(1,), of every target."""
    names: tuple[Column, ...]

    def of(self, values: Values) -> Mixed:
        """Return what it predicts from values of D columns."""
        return values.through(self.weight).plus(self.bias).plus(self.base)


def read(model: Any) -> Imported:
    """Read a model from a Booster, or from an estimator that holds one.

    Raises:
        ModelError: If it is not fitted, not linear, or of another class.
    """
    return _imported(_booster(_document(model)))


def predicted(estimator: Any, values: Values) -> Mixed:
    """Return what an estimator predicts from values, such as a Pipeline's last step.

    Raises:
        ModelError: As `read`, and if it was fitted on another number of features.
    """
    booster = _booster(_document(estimator))
    num_features = booster.weight.shape[1]
    if num_features != values.width:
        raise ModelError(
            f"{type(estimator).__name__} was fitted on {num_features} features, where "
            f"{values.width} are given: call fit again."
        )
    return booster.of(values)


def read_document(document: Any) -> Imported:
    """Read a model from the JSON that `save_model` writes.

    Raises:
        ModelError: If it is not a linear booster, or damaged.
    """
    return _imported(_booster(document))


def _imported(booster: _Booster) -> Imported:
    num_features = booster.weight.shape[1]
    values = booster.of(input_columns(num_features))
    rounded = linear_model(values, num_features)
    return Imported(
        model=LinearModel(
            weight=rounded.weight,
            bias=rounded.bias,
            features=booster.names or default_columns("x", num_features),
        ),
        source="XGBoost gblinear",
        features_named=bool(booster.names),
        values=values,
    )


def _document(model: Any) -> Any:
    kind = type(model).__name__
    if hasattr(model, "get_booster"):
        _require_own(model)
        if not model.__sklearn_is_fitted__():
            raise ModelError(f"{kind} is not fitted: call fit first.")
        model = model.get_booster()
    if not hasattr(model, "save_raw"):
        raise ModelError(f"XGBoost's {kind} is no model: pass a Booster, or an XGBRegressor.")
    _require_own(model)
    return json.loads(bytes(model.save_raw("json")))


def _require_own(model: Any) -> None:
    """Refuse what may predict otherwise than XGBoost does."""
    instead = "write booster.save_model('model.json'), and pass that file"
    require_own_class(model, "xgboost", "XGBoost", instead)
    require_own_methods(model)


def _booster(document: Any) -> _Booster:
    try:
        learner = document["learner"]
        booster, objective = learner["gradient_booster"], learner["objective"]["name"]
        _require_linear(booster.get("name"), objective)
        stated = learner["learner_model_param"]
        num_features = int(stated["num_feature"])
        base = np.array([float(b) for b in stated["base_score"].strip("[]").split(",")])
        weights = np.array(booster["model"]["weights"], np.float64).reshape(num_features + 1, -1)
        names = tuple(Column(name=str(name)) for name in learner.get("feature_names", ()))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(
            f"This is not JSON as XGBoost's save_model writes it ({type(error).__name__}: "
            f"{first_line(error)})."
        ) from error
    if base.size not in (1, weights.shape[1]) or len(names) not in (0, num_features):
        raise ModelError("XGBoost's model has names or base scores that do not fit its weights.")
    if np.ptp(base):
        raise ModelError(
            "XGBoost's gblinear has another base_score for each target, of which its release 3.2 "
            "adds the first to all: fit with base_score=0.0, which its bias makes up for."
        )
    return _Booster(weights[:-1].T, weights[-1], base[:1], names)


def _require_linear(name: Any, objective: Any) -> None:
    if name != "gblinear":
        raise ModelError(
            f"XGBoost's {shortened(str(name))} predicts with trees, which are not affine: fit one "
            "with booster='gblinear'."
        )
    if objective not in _IDENTITY:
        raise ModelError(
            f"XGBoost's objective {shortened(str(objective))} does not predict the sum itself, "
            f"which alone is affine: fit with one of {', '.join(_IDENTITY)}."
        )
