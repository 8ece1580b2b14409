"""What is asked of any scikit-learn estimator; scikit-learn is not imported for it."""

from typing import Any

from linexport._arrays import Float64Array
from linexport.errors import ModelError
from linexport.sources._arrays import as_float64

_KNOWN = ("lightgbm", "sklearn", "xgboost")
"""Packages whose classes are told by their names."""
_NOT_FOLLOWED = ("fit", "partial_fit", "score")
"""Methods that do not matter to what is predicted."""


def kind_of(estimator: Any) -> str:
    """Return the class's name, if it is one of scikit-learn's own, of a booster's, or of ours.

    Raises:
        ModelError: If it is derived from one, or has a method of its own: it may predict otherwise.
    """
    kind = type(estimator)
    if not (kind.__module__.partition(".")[0] in _KNOWN or kind.__module__ == "linexport.sklearn"):
        raise ModelError(
            f"{kind.__name__} is not a class of scikit-learn itself, so what it predicts is not "
            'known. If that is x @ weight.T + bias, pass {"weight": weight, "bias": bias}.'
        )
    require_own_methods(estimator)
    return str(kind.__name__)


def require_own_class(thing: Any, package: str, name: str, instead: str) -> None:
    """Refuse an object of a class that is not a package's own: it may predict otherwise.

    Args:
        thing: Any object.
        package: The first part of the module's name.
        name: The package's, as people write it.
        instead: What to pass.

    Raises:
        ModelError: If it is of another class, as of one derived from the package's.
    """
    kind = type(thing)
    if kind.__module__.partition(".")[0] != package:
        raise ModelError(
            f"{kind.__name__} is not a class of {name} itself, so what it predicts is not known: "
            f"{instead}."
        )


def require_own_methods(thing: Any, kind: type | None = None) -> None:
    """Refuse an object on which a method was replaced: it may predict otherwise.

    Args:
        thing: Any object.
        kind: Whose methods it has; its own class if not given.

    Raises:
        ModelError: If one was replaced that is not called to fit or to score.
    """
    kind = kind or type(thing)
    for name, value in getattr(thing, "__dict__", {}).items():
        is_method = callable(value) and callable(getattr(kind, name, None))
        if is_method and not name.startswith(_NOT_FOLLOWED):
            raise ModelError(
                f"{kind.__name__}.{name} was replaced on this object, so what it predicts is not "
                f"known: take that off with `del model.{name}`; or, if it predicts "
                'x @ weight.T + bias, pass {"weight": weight, "bias": bias}.'
            )


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


def bases_of(estimator: Any) -> set[str]:
    """Return the names of the classes that it is one of."""
    return {base.__name__ for base in type(estimator).__mro__}
