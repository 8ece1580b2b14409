"""Results of a statsmodels fit whose prediction is linear in the design's columns.

The design's constant becomes the intercept. It is known by the design itself, where the results
still hold it: the column that is 1 in every row; otherwise by its name.
"""

import ast
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from linexport.columns import Column
from linexport.errors import ModelError
from linexport.model import LinearModel
from linexport.sources._arrays import as_float64
from linexport.sources._estimators import require_own_class, require_own_methods
from linexport.sources._reading import Imported

__all__ = ["read"]

LINEAR = frozenset({"GLS", "GLSAR", "MultivariateLS", "OLS", "QuantReg", "RLM", "WLS"})
"""Models that predict exog @ params; GLM does with the identity link."""
CONSTANT_NAMES = ("const", "Intercept")
"""What add_constant and formulas call the constant."""
_MADE_UP = re.compile(r"x\d+|y\d*")
"""What an array's columns are called: x1, x2, ... and y, or y1, y2, ..."""
_QUOTED = re.compile(r"""Q\(('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\)""")
"""A column whose name is no identifier, in a formula."""


def read(results: Any) -> Imported:
    """Read a model from what `fit` returned.

    Raises:
        ModelError: If it is no such result, not linear, or its constant cannot be told.
    """
    kind = type(results).__name__
    if not hasattr(results, "params") or not hasattr(results, "model"):
        raise ModelError(f"A statsmodels {kind} is not what fit returns: call fit first.")
    model = results.model
    _require_own_results(results)
    _require_linear(model)
    if getattr(model, "exog_names", None) is None:  # remove_data was called
        raise ModelError(
            "The results no longer hold the names: export before remove_data, or pass the params "
            'by their names, {"const": 4.2, "x1": 2.0}.'
        )
    names = [_named(name) for name in model.exog_names]
    targets = np.atleast_1d(model.endog_names).tolist()
    params = as_float64(results.params, f"{kind}.params").reshape(len(results.params), -1).T
    if params.shape != (len(targets), len(names)):
        raise ModelError(
            f"{kind}.params has shape {params.shape[::-1]} for {len(names)} columns and "
            f"{len(targets)} targets: fit again."
        )
    _require_plain_terms(model, names)
    constant = _constant(model, names)
    features = [place for place in range(len(names)) if place != constant]
    if not features:
        raise ModelError(
            "The model has a constant alone; a linear model needs a feature: fit with one."
        )
    bias = np.zeros(len(targets)) if constant is None else params[:, constant]
    return Imported(
        model=LinearModel(
            weight=params[:, features],
            bias=bias,
            features=tuple(Column(name=names[place]) for place in features),
            targets=tuple(Column(name=_named(name)) for name in targets),
        ),
        source=f"statsmodels {type(model).__name__}",
        features_named=not _are_made_up(model, "exog", [names[place] for place in features]),
        targets_named=not _are_made_up(model, "endog", targets),
    )


def _are_made_up(model: Any, which: str, names: Sequence[Any]) -> bool:
    """Tell names that statsmodels gave the columns of an array, which has none."""
    if not all(_MADE_UP.fullmatch(str(name)) for name in names):
        return False
    data = getattr(model, "data", None)
    held = getattr(data, f"orig_{which}", None)
    if held is None:  # remove_data was called
        return type(data).__name__ == "ModelData"
    return not hasattr(held, "columns") and getattr(held, "name", None) is None


def _named(term: Any) -> str:
    """Return a column's name as the table has it: a formula's Q('my column') is a name."""
    quoted = _QUOTED.fullmatch(str(term))
    return str(ast.literal_eval(quoted[1])) if quoted else str(term)


def _require_own_results(results: Any) -> None:
    """Refuse results, or what they wrap, that may predict otherwise than statsmodels does."""
    inner = getattr(results, "_results", results)
    for each in (results, inner):
        _require_own_class(each)
    for each in (results, inner):
        require_own_methods(each, type(inner))
    require_own_methods(results.model)


def _require_own_class(thing: Any) -> None:
    instead = "pass its params as named coefficients"
    require_own_class(thing, "statsmodels", "statsmodels", instead)


def _require_linear(model: Any) -> None:
    _require_own_class(model)
    kind = type(model)
    if kind.__name__ == "GLM":
        link = type(model.family.link).__name__
        if link.lower() != "identity":
            raise ModelError(
                f"GLM with the link {link} does not predict linearly: pass its params as named "
                "coefficients, and apply the inverse link to what the model predicts."
            )
        if getattr(model, "_has_offset", False) or getattr(model, "_has_exposure", False):
            raise ModelError(
                "GLM with an offset or exposure adds what is not among its features: pass its "
                "params as named coefficients, and add the offset to what the model predicts."
            )
    elif kind.__name__ not in LINEAR:
        raise ModelError(
            f"statsmodels' {kind.__name__} is not one of the models that are known to predict "
            f"exog @ params ({', '.join(sorted(LINEAR))}, GLM): if it does, pass its params as "
            "named coefficients."
        )


def _require_plain_terms(model: Any, names: list[str]) -> None:
    """Refuse a formula that computes its columns: the bundle would be given the raw ones."""
    if getattr(model, "formula", None) is None:
        return
    given = {str(name) for name in getattr(getattr(model.data, "frame", None), "columns", ())}
    made = [
        name
        for name, term in zip(names, map(str, model.exog_names), strict=True)
        if not (name != term or name.isidentifier() or name in given)
    ]
    if made:
        raise ModelError(
            f"The formula computes '{made[0]}' from other columns, which an exported model does "
            "not do: put it into the table as a column, and fit on that; or pass the params as "
            "named coefficients, to be given the design's columns."
        )


def _constant(model: Any, names: list[str]) -> int | None:
    """Return the place of the intercept, or None where there is none."""
    named = [place for place, name in enumerate(names) if name in CONSTANT_NAMES]
    exog = getattr(model, "exog", None)
    if exog is None:  # remove_data was called
        if getattr(model, "k_constant", None) == 0:
            return None
        if len(named) == 1:
            return named[0]
        raise ModelError(
            "The results no longer hold the design, and no column is named 'const' or 'Intercept', "
            "so the intercept cannot be told: export before remove_data."
        )
    design = np.asarray(exog)
    constants = [place for place in range(len(names)) if np.ptp(design[:, place]) == 0]
    if len(constants) > 1:
        constants = [place for place in constants if place in named]
    if not constants and not named:
        return None
    if len(constants) == 1 and design[0, constants[0]] == 1:
        return constants[0]
    listed = ", ".join(f"'{names[place]}'" for place in constants or named)
    raise ModelError(
        f"It cannot be told whether {listed} is the intercept: it should be one column that is 1 "
        "in every row."
    )
