"""A fitted scikit-learn regressor that is affine, also behind transformers; read, and not run.

`_regressors` and `_transformers` have the tables of classes. scikit-learn is not imported.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from linexport.errors import ModelError
from linexport.numerics import linear_model
from linexport.sources._cells import Table
from linexport.sources._estimators import fitted, kind_of
from linexport.sources._reading import Imported, read as read_own
from linexport.sources._regressors import COMBINING, INNER, predicted
from linexport.sources._transformers import steps_of

__all__ = ["read"]


def read(estimator: Any) -> Imported:
    """Read a model from a fitted estimator.

    Raises:
        ModelError: If it is not fitted, not affine, or of a class that is not known.
    """
    if kind_of(estimator) == "LinearRegressor":
        return _of_own(estimator)
    table = _table(estimator)
    made = predicted(estimator, table.cells())
    if not table.num_features:
        raise ModelError(
            f"The {kind_of(estimator)} does not say how many features it was fitted on (by "
            "n_features_in_, or the shape of its coef_): fit it again, with a release that does."
        )
    encoding = table.encoding
    if encoding is None and table.used != sorted(table.used):
        # Columns that are taken as they are stay in the order of the table.
        table = table.in_order()
        made = predicted(estimator, table.cells())
    model = linear_model(made, table.num_features)
    return Imported(
        model=model.with_columns(table.described(model.features), model.targets),
        source=f"scikit-learn {_described(estimator)}",
        features_named=table.is_named,
        encoding=encoding,
        values=made,
    )


def _of_own(estimator: Any) -> Imported:
    """Return the fit of our own estimator, with its record."""
    found = read_own(fitted(estimator, "fit_"))
    is_named = hasattr(estimator, "feature_names_in_")
    return replace(found, features_named=is_named, targets_named=estimator._target_named)  # noqa: SLF001


def _table(estimator: Any) -> Table:
    """Return the columns that an estimator was fitted on; none where it does not say how many."""
    asked = list(_given_the_input(estimator))
    names = [getattr(each, "feature_names_in_", None) for each in asked]
    widths = [getattr(each, "n_features_in_", None) for each in asked]
    widths += [np.shape(each.coef_)[-1] for each in asked if np.ndim(getattr(each, "coef_", 0))]
    return Table(
        next((each for each in names if each is not None), None),
        int(next((each for each in widths if each is not None), 0)),
    )


def _given_the_input(estimator: Any) -> Iterator[Any]:
    """Yield an estimator, and those within it whose input is its own."""
    yield estimator
    kind = kind_of(estimator)
    inner: list[Any] = []
    if kind == "Pipeline":
        inner = steps_of(estimator)
    elif kind in COMBINING:
        inner = [*getattr(estimator, "estimators_", []), *_attribute(estimator, "regressor_")]
    elif kind in INNER:
        inner = _attribute(estimator, INNER[kind])
    for each in inner[:1]:
        yield from _given_the_input(each)


def _attribute(estimator: Any, name: str) -> list[Any]:
    return [getattr(estimator, name)] if hasattr(estimator, name) else []


def _described(estimator: Any) -> str:
    """Name the classes, as a person would: Pipeline of StandardScaler, Ridge."""
    kind = kind_of(estimator)
    within: list[Any] = []
    if kind == "Pipeline":
        within = steps_of(estimator)
    elif kind in INNER:
        within = [getattr(estimator, INNER[kind])]
    elif kind == "TransformedTargetRegressor":
        within = [estimator.regressor_]
    elif kind in _ENSEMBLES:
        within = [*estimator.estimators_, *_attribute(estimator, "final_estimator_")]
    names = dict.fromkeys(map(_described, within))
    return f"{kind} of {', '.join(names)}" if names else kind


_ENSEMBLES = frozenset({"BaggingRegressor", "StackingRegressor", "VotingRegressor"})
