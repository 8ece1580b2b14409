"""Names and coefficients, as JSON or a mapping: what Spark, R and statsmodels users have at hand.

docs/sources.md defines the forms. Nothing is assumed: an intercept of 0 is stated, names occur
once, and numbers are finite.
"""

import json
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from linexport.columns import Column, default_columns
from linexport.errors import ModelError
from linexport.model import LinearModel
from linexport.sources import _arrays, _xgboost
from linexport.sources._coefficient_forms import Target, named_once, plain, targets_of
from linexport.sources._reading import Imported
from linexport.sources._registry import is_arrays, is_coefficients

__all__ = ["decode", "read"]


def decode(data: bytes) -> Imported:
    """Read a model from JSON that may be anything.

    Raises:
        ModelError: If it is not JSON, or not in one of the forms.
    """
    try:
        document = json.loads(data, object_pairs_hook=named_once, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"This is not JSON: {error}.") from error
    if _xgboost.is_model(document):
        return _xgboost.read_document(document)
    if is_arrays(document) and not is_coefficients(document):
        return _arrays.read(document)
    return read(document)


def read(document: Any) -> Imported:
    """Read a model from a mapping in one of the forms, or from broom's rows.

    Raises:
        ModelError: If it is in none of them.
    """
    targets = targets_of(plain(document))
    first = targets[0]
    if not first.coefficients:
        raise ModelError(
            "There are no coefficients; a linear model has at least one feature: write "
            '{"intercept": 4.2, "coefficients": {"x1": 2.0}}.'
        )
    features = tuple(first.coefficients)
    for target in targets[1:]:
        _require_same(target, features)
    columns = tuple(Column(name=name) for name in features if isinstance(name, str))
    model = LinearModel(
        weight=np.array([[target.coefficients[f] for f in features] for target in targets]),
        bias=np.array([target.intercept for target in targets]),
        features=columns or default_columns("x", len(features)),
        targets=tuple(Column(name=each.name) for each in targets if each.name is not None),
    )
    return Imported(
        model=model,
        source="named coefficients",
        features_named=bool(columns),
        targets_named=first.name is not None,
    )


def _require_same(target: Target, features: Sequence[str | int]) -> None:
    apart = sorted(map(str, target.coefficients.keys() ^ set(features)))
    if apart:
        raise ModelError(
            f"The coefficients of target '{target.name}' are of other features: '{apart[0]}' is "
            "missing on one side; every target states all, 0 included."
        )


def _refuse_constant(text: str) -> NoReturn:
    raise ModelError(
        f"The number {text} is not finite, and is no JSON either: write the number, or leave its "
        "coefficient and its column out."
    )
