"""Names and coefficients, as JSON or a mapping: what Spark, R and statsmodels users have at hand.

docs/sources.md defines the forms. Nothing is assumed: an intercept of 0 is stated, names occur
once, and numbers are finite.
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from linexport._files import read_artifact
from linexport.columns import Column, default_columns
from linexport.errors import ModelError
from linexport.model import LinearModel
from linexport.sources import _arrays, _xgboost
from linexport.sources._coefficient_forms import Target, named_once, plain, targets_of
from linexport.sources._reading import Imported
from linexport.sources._registry import is_arrays, is_coefficients

__all__ = ["decode", "load", "read"]

LARGEST_JSON = 2**24
"""Bytes; room for half a million names. Python's objects take up to 30 times as many."""
_FREE_CONTAINERS = 10_000


def load(path: Path) -> bytes:
    """Read a file of coefficients, if it is not too large to be one."""
    return read_artifact(path, LARGEST_JSON)


def decode(data: bytes) -> Imported:
    """Read a model from JSON that may be anything.

    Raises:
        ModelError: If it is not JSON, or not in one of the forms.
    """
    _require_few_containers(data)
    try:
        document = json.loads(data, object_pairs_hook=named_once, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"This is not JSON: {error}.") from error
    if _xgboost.is_model(document):
        return _xgboost.read_document(document)
    if is_arrays(document) and not is_coefficients(document):
        return _arrays.read(document, convert=partial(_arrays.as_float64, to_nearest=True))
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


def _require_few_containers(data: bytes) -> None:
    """Refuse what would make many times its size of lists and objects, before it is parsed.

    One of them takes 64 bytes and more. A row of broom's has at least 24 bytes, and what a name of
    8 bytes may have of brackets is forgiven.

    Raises:
        ModelError: If there are too many.
    """
    if data.count(b"[") + data.count(b"{") > _FREE_CONTAINERS + len(data) // 8:
        raise ModelError("This is not JSON of a model: its lists and objects hold next to nothing.")


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
