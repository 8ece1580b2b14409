"""The forms in which names and coefficients are written, each made into numbers by target and name.

What a form means is the same from JSON and as a mapping in Python. A message names the coefficient,
and says what to write.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from linexport.errors import ModelError, shortened
from linexport.sources._registry import INTERCEPTS
from linexport.sources._scaling import is_scaling

__all__ = ["Target", "named_once", "plain", "targets_of"]

_DEEPEST = 5
"""Levels of the forms: targets, one of them, its coefficients, a number in an array of one."""
_WRITE = 'write {"intercept": 4.2, "coefficients": {"x1": 2.0, "x2": -3.4}}'
_SCALED = '{"weight": [[2.0, -3.4]], "bias": [4.2], "mean": [1.0, 5.0], "scale": [0.5, 2.0]}'
_CALLED = {
    **dict.fromkeys(("b", "b0", "bias", "constant", "intercept_", *INTERCEPTS), "intercept"),
    **dict.fromkeys(("feature_names", "feature_names_in_", "names"), "features"),
}
"""What others call a part of the forms."""
_IDENTITY = (None, "", "gaussian", "Gaussian", "identity", "linear", "none")
"""Links, and families, whose prediction is the sum itself."""
_NOT_KNOWN = ("NA", "NaN", "nan", "null", "")
_STATISTICS = {
    "conf.high", "conf.low", "df", "p.value", "response", "statistic", "std.error", "vif",
}  # fmt: skip
"""What broom says of a term beside its estimate."""


class Target(NamedTuple):
    """One target's numbers."""

    name: str | None
    intercept: float
    coefficients: dict[str | int, float]
    """By feature; by place, from 0, where features have no names."""


def targets_of(document: Any) -> Sequence[Target]:
    """Read the targets of a document, of which there is at least one.

    Raises:
        ModelError: If it is in none of the forms.
    """
    if isinstance(document, list):
        return _of_rows(document)
    if not isinstance(document, dict):
        raise ModelError(f"This is not an object with an intercept and coefficients: {_WRITE}.")
    if "targets" not in document:
        return [_target(None, document)]
    several = document["targets"]
    if not isinstance(several, dict) or not several:
        raise ModelError(
            'There are no targets: write {"targets": {"rent": {"intercept": 4.2, '
            '"coefficients": {"x1": 2.0}}}}.'
        )
    _require_known(document, {"targets"})
    return [_target(name, part) for name, part in several.items()]


def _target(name: str | None, part: Any) -> Target:
    """Read one target: an intercept and coefficients, or these alone with the intercept in them."""
    of = "" if name is None else f" of target '{name}'"
    if not isinstance(part, dict):
        raise ModelError(f"What is given{of} is {_shown(part)}: {_WRITE}.")
    if "coefficients" not in part and any(constant in part for constant in INTERCEPTS):
        part = {"coefficients": part}
    known = {"intercept", "coefficients", "features", *(["target"] if name is None else [])}
    if "coefficients" not in part:
        raise ModelError(_without_coefficients(part, of))
    _require_known(part, known)
    if name is None and part.get("target") is not None:
        name = _text(_single(part["target"]), "target")
    coefficients = _by_name(part["coefficients"], part.get("features"), of)
    part, coefficients = _with_intercept(part, coefficients, of)
    numbers = {key: _number(key, value, of) for key, value in coefficients.items()}
    return Target(name, _number("intercept", part["intercept"], of), numbers)


def _without_coefficients(part: Mapping[str, Any], of: str) -> str:
    """Say what is missing: in numbers by name, as of a fit without one, it is the intercept."""
    numbers = [name for name, value in part.items() if isinstance(value, int | float)]
    if not numbers or len(numbers) < len(part) or {"intercept", "target"} & part.keys():
        return f"There are no 'coefficients'{of}: {_WRITE}."
    return (
        f"No name beside {str(numbers[0])!r}{of} is the intercept ({', '.join(INTERCEPTS)}): write "
        '{"intercept": 0.0, "coefficients": coefficients} if there is none; with fixed effects it '
        "is another for each group, which no one model has."
    )


def _with_intercept(part: Any, coefficients: Any, of: str) -> Any:
    """Take the intercept out of the coefficients, if it is there under a name that a tool has."""
    found = [constant for constant in INTERCEPTS if constant in coefficients]
    if "intercept" in part:
        if INTERCEPTS[0] in found:  # R's name as a feature is what nobody means
            raise ModelError(
                f"There are two intercepts{of}: intercept, and {INTERCEPTS[0]}. Leave one out."
            )
        return part, coefficients
    if not found:
        raise ModelError(
            f'There is no intercept{of}: write "intercept": 0 beside "coefficients" if there is '
            "none."
        )
    if len(found) > 1 and found[0] != INTERCEPTS[0]:
        raise ModelError(
            f"There are two intercepts{of}: {' and '.join(found)}. Write the one as "
            '"intercept" beside "coefficients".'
        )
    rest = {key: value for key, value in coefficients.items() if key != found[0]}
    return {**part, "intercept": coefficients[found[0]]}, rest


def _by_name(coefficients: Any, features: Any, of: str) -> dict[str | int, Any]:
    """Return coefficients by their names, which stand beside a list of them or are not known."""
    if isinstance(coefficients, dict):
        if features is not None:
            raise ModelError(f"The coefficients{of} have names: leave 'features' out.")
        return {_text(name, "name of a coefficient"): v for name, v in coefficients.items()}
    if not isinstance(coefficients, list):
        raise ModelError(f"The coefficients{of} are {_shown(coefficients)}: {_WRITE}.")
    if any(isinstance(value, list) and len(value) > 1 for value in coefficients):
        raise ModelError(
            f"The coefficients{of} are a matrix: write it as "
            '{"weight": [[2.0, -3.4]], "bias": [4.2]}, a row for each target.'
        )
    if features is None:
        return dict(enumerate(coefficients))
    if not isinstance(features, list) or len(features) != len(coefficients):
        raise ModelError(
            f"{len(coefficients)} coefficients need as many names in features, got "
            f"{len(features) if isinstance(features, list) else _shown(features)}."
        )
    names = [_text(name, "name in features") for name in features]
    return {**named_once(list(zip(names, coefficients, strict=True)))}


def _of_rows(rows: list[Any]) -> Sequence[Target]:
    """Read broom's rows, one for each term, and of each response."""
    if not rows or not all(isinstance(row, dict) and "term" in row for row in rows):
        raise ModelError(f"This is a list, not an object: {_WRITE}.")
    found: dict[str | None, list[tuple[str, Any]]] = {}
    for row in rows:
        term = _text(row["term"], "term")
        _require_known(row, {"term", "estimate", *_STATISTICS})
        response = row.get("response")
        # jsonlite leaves out what is NA.
        found.setdefault(response, []).append((term, row.get("estimate")))
    for pairs in found.values():
        if not any(term in INTERCEPTS for term, _ in pairs):
            raise ModelError(
                f"No term beside '{pairs[0][0]}' is the intercept: add the row {{\"term\": "
                f'"{INTERCEPTS[0]}", "estimate": 0}} if there is none.'
            )
    return [
        _target(None if name is None else _text(name, "response"), named_once(pairs))
        for name, pairs in found.items()
    ]


def _number(name: str | int, value: Any, of: str) -> float:
    """Return a coefficient, also from an array of one, as R writes it without auto_unbox."""
    called = f"'{name}'" if isinstance(name, str) else f"{name + 1}"
    what = f"The {'' if name == 'intercept' else 'coefficient '}{called}{of}"
    value = _single(value)
    if value is None or (isinstance(value, str) and value in _NOT_KNOWN):
        raise ModelError(
            f"{what} is NA, as R has it of a column that others determine: leave {called} out, or "
            "write 0."
        )
    if isinstance(value, str):
        raise ModelError(f"{what} is text, {value[:40]!r}: write the number, without quotes.")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ModelError(f"{what} is {_shown(value)}: write a number.")
    if not abs(value) <= sys.float_info.max:
        shown = value if isinstance(value, float) and not math.isfinite(value) else "out of range"
        raise ModelError(f"{what} is {shown}; it must be finite, in float64.")
    return float(value)


def _single(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ModelError(f"The {what} must be text, got {_shown(value)}: {_WRITE}.")
    try:
        value.encode()
    except UnicodeError as error:  # a lone surrogate
        raise ModelError(f"The {what} is no Unicode text: {error}.") from error
    return value


def _require_known(part: Mapping[str, Any], known: set[str]) -> None:
    for name in part:
        if name not in known:
            raise ModelError(_beside(str(name), part))


def _beside(name: str, part: Mapping[str, Any]) -> str:
    """Say what to do with a field that is no part of the coefficients, but may change the model."""
    if is_scaling(name):
        return (
            f"'{name}' stands beside the coefficients, which alone are another model if the "
            "features, or the target, are scaled: fold it into the numbers; or write "
            f"{_SCALED}, which means ((x - mean) * scale) @ weight.T + bias, so that the scale is "
            "1 / std."
        )
    value, called = part[name], _CALLED.get(name)
    if called in part:
        return f"'{name}' stands beside '{called}', which means the same: leave one of them out."
    if called:
        return f"'{name}' stands beside the coefficients: call it \"{called}\", and {_WRITE}."
    if name in ("offset", "exposure"):
        return (
            f"'{name}' stands beside the coefficients, and is added to the sum: add it to the "
            "intercept if it is one number; if each row has its own, leave it out, and add it to "
            "what the model predicts."
        )
    if name in ("activation", "family", "inverse_link", "link") and value not in _IDENTITY:
        return (
            f"The {name} {shortened(str(value))!r} is not linear: leave it out to export the sum "
            f"alone, and apply the {'inverse of the ' * (name == 'link')}{name} to what the model "
            "predicts."
        )
    return (
        f"'{name}' is no part of a model's coefficients, but stands beside them: leave it out, and "
        f"{_WRITE}."
    )


def plain(value: Any, depth: int = 0) -> Any:
    """Return mappings, sequences, a Series and NumPy's numbers as the types that JSON has.

    Raises:
        ModelError: If they are nested deeper than any form.
    """
    if depth > _DEEPEST:
        raise ModelError(f"The coefficients are nested {depth} deep: {_WRITE}.")
    if isinstance(value, Mapping) or type(value).__name__ == "Series":
        pairs = value.items() if hasattr(value, "items") else enumerate(value)
        return named_once([(name, plain(part, depth + 1)) for name, part in pairs])
    if isinstance(value, list | tuple):
        return [plain(part, depth + 1) for part in value]
    if hasattr(value, "tolist"):  # an array or a number of NumPy's; a tensor
        return value.tolist()
    return value


def named_once(pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return pairs as a mapping.

    Raises:
        ModelError: If a name occurs twice.
    """
    found: dict[Any, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ModelError(f"The name '{name}' occurs twice: leave one out.")
        found[name] = value
    return found


def _shown(value: Any) -> str:
    kinds = {bool: "true or false", dict: "an object", list: "an array", type(None): "null"}
    return kinds.get(type(value), f"{type(value).__name__} {str(value)[:40]!r}")
