"""Names and coefficients, as JSON or a mapping: what Spark and R users have at hand.

docs/sources.md defines the three forms. Nothing is assumed: an intercept of 0 is stated, names
occur once, and numbers are finite.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import msgspec
import numpy as np

from linexport.columns import Column
from linexport.errors import ModelError
from linexport.model import LinearModel
from linexport.sources._reading import Imported
from linexport.sources._registry import R_INTERCEPT

__all__ = ["decode", "read"]

_DEEPEST = 4
"""Levels of the forms: targets, one of them, its coefficients, a number."""

Form = TypeVar("Form", bound=msgspec.Struct)


class _Target(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    intercept: float
    coefficients: dict[str, float]


class _Single(_Target):
    target: str | None = None


class _Listed(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    intercept: float
    coefficients: list[float]
    features: list[str]
    target: str | None = None


class _Several(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    targets: dict[str, _Target]


def decode(data: bytes) -> Imported:
    """Read a model from JSON that may be anything.

    Raises:
        ModelError: If it is not JSON, or not in one of the forms.
    """
    try:
        document = json.loads(
            data, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"This is not JSON: {error}.") from error
    if not isinstance(document, dict):
        raise ModelError("The JSON is not an object with an intercept and coefficients.")
    return read(document)


def read(document: Mapping[str, Any]) -> Imported:
    """Read a model from a mapping in one of the forms.

    Raises:
        ModelError: If it is in none of them.
    """
    targets = _targets(document)
    features = tuple(targets[0][1].coefficients)
    if not features:
        raise ModelError("There are no coefficients; a linear model has at least one feature.")
    for name, target in targets:
        _check(name, target, features)
    model = LinearModel(
        weight=np.array([[part.coefficients[f] for f in features] for _, part in targets]),
        bias=np.array([part.intercept for _, part in targets]),
        features=tuple(Column(name=name) for name in features),
        targets=tuple(Column(name=name) for name, _ in targets if name is not None),
    )
    return Imported(
        model=model,
        source="named coefficients",
        features_named=True,
        targets_named=targets[0][0] is not None,
    )


def _targets(document: Mapping[str, Any]) -> Sequence[tuple[str | None, _Target]]:
    plain = _plain(document)
    if "targets" in plain:
        several = plain["targets"]
        if isinstance(several, dict):
            plain["targets"] = {name: _with_intercept(part) for name, part in several.items()}
        targets = _typed(plain, _Several).targets
        if not targets:
            raise ModelError("There are no targets.")
        return tuple(targets.items())
    plain = _with_intercept(plain)
    if not isinstance(plain.get("coefficients"), list):
        single = _typed(plain, _Single)
        return [(single.target, single)]
    listed = _typed(plain, _Listed)
    if len(listed.features) != len(listed.coefficients):
        raise ModelError(
            f"{len(listed.coefficients)} coefficients need as many names in features, got "
            f"{len(listed.features)}."
        )
    pairs = zip(listed.features, listed.coefficients, strict=True)
    coefficients = _without_duplicates(list(pairs))
    return [(listed.target, _Target(intercept=listed.intercept, coefficients=coefficients))]


def _typed(plain: dict[str, Any], form: type[Form]) -> Form:
    try:
        return msgspec.convert(plain, form)
    except (msgspec.ValidationError, UnicodeError) as error:  # a lone surrogate is no text
        raise ModelError(
            f"The coefficients are not as docs/sources.md has them: {error}."
        ) from error


def _with_intercept(plain: Any) -> Any:
    """Take R's (Intercept) out of the coefficients, also where these are all there is."""
    if not isinstance(plain, dict):
        return plain
    if R_INTERCEPT in plain and "coefficients" not in plain:
        plain = {"coefficients": plain}
    coefficients = plain.get("coefficients")
    if not isinstance(coefficients, dict) or R_INTERCEPT not in coefficients:
        return plain
    if "intercept" in plain:
        raise ModelError(f"There are two intercepts: intercept, and {R_INTERCEPT}.")
    rest = {name: value for name, value in coefficients.items() if name != R_INTERCEPT}
    return {**plain, "intercept": coefficients[R_INTERCEPT], "coefficients": rest}


def _check(name: str | None, target: _Target, features: Sequence[str]) -> None:
    of = f" of target '{name}'" if name is not None else ""
    if target.coefficients.keys() != set(features):
        apart = sorted(target.coefficients.keys() ^ set(features))
        raise ModelError(
            f"The coefficients{of} are of other features: '{apart[0]}' is missing on one side; "
            "every target states all, 0 included."
        )
    for feature, value in [("intercept", target.intercept), *target.coefficients.items()]:
        if not math.isfinite(value):
            raise ModelError(f"The coefficient '{feature}'{of} is {value}; it must be finite.")


def _plain(value: Any, depth: int = 0) -> Any:
    """Return mappings, sequences and NumPy's numbers as the types that JSON has."""
    if depth > _DEEPEST:
        raise ModelError(
            f"The coefficients are not as docs/sources.md has them: they are nested {depth} deep."
        )
    if isinstance(value, Mapping):
        return {name: _plain(part, depth + 1) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, depth + 1) for part in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ModelError(f"The name '{name}' occurs twice.")
        found[name] = value
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise ModelError(f"The number {text} is not finite, and is no JSON either.")
