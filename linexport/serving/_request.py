"""Inference requests as the protocol has them, and what is asked of them whatever they hold.

Sources: the protocol's specification (kserve/open-inference-protocol, inference_rest.md) and its
binary tensor data extension (triton-inference-server, extension_binary_data.md).
"""

from collections.abc import Sequence
from typing import Any, TypeAlias
from urllib.parse import parse_qs

import msgspec
import numpy as np

from linexport._arrays import FloatArray
from linexport.errors import LinexportError, shortened
from linexport.predicting import Interval
from linexport.serving._http import Refusal
from linexport.serving._models import ServedModel
from linexport.serving._settings import Limits

INPUT, OUTPUT = "features", "prediction"
WHOLE: dict[str, np.dtype[Any]] = {
    name: np.dtype(f"<{kind}{size}")
    for kind, prefix in (("i", "INT"), ("u", "UINT"))
    for size, name in ((size, f"{prefix}{8 * size}") for size in (1, 2, 4, 8))
}
FLOATS: dict[str, np.dtype[Any]] = {
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    "FP16": np.dtype("<f2"),
}
BINARY: dict[str, np.dtype[Any]] = {**FLOATS, **WHOLE, "BOOL": np.dtype("?")}
"""The protocol's names of what is of one size; binary data are little-endian."""
DATATYPES = (*BINARY, "BYTES")
_UNSUPPORTED = ("classification", "shared_memory_region")
"""Parameters of extensions that the server does not have, and by which an answer would differ."""

Parameters = dict[str, str | int | float | bool | None] | msgspec.UnsetType


class InferInput(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A tensor of floating-point numbers, flat or nested, or of binary data after the JSON."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    parameters: Parameters = msgspec.UNSET
    data: list[float | list[float | None] | None] | msgspec.UnsetType = msgspec.UNSET


class AnyInput(InferInput, forbid_unknown_fields=True, gc=False):
    """A tensor of any datatype."""

    data: list[Any] | msgspec.UnsetType = msgspec.UNSET


class InferOutput(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The tensor of predictions, and how it is wanted."""

    name: str
    parameters: Parameters = msgspec.UNSET


class InferRequest(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A request by the protocol; what is optional in it may be left out."""

    inputs: list[InferInput]
    outputs: list[InferOutput] | msgspec.UnsetType = msgspec.UNSET
    id: str | msgspec.UnsetType = msgspec.UNSET
    parameters: Parameters = msgspec.UNSET
    model_name: str | msgspec.UnsetType = msgspec.UNSET
    model_version: str | msgspec.UnsetType | None = msgspec.UNSET


class AnyRequest(InferRequest, forbid_unknown_fields=True, gc=False):
    """A request whose tensors may be of any datatype."""

    inputs: list[AnyInput]  # type: ignore[assignment]


Named: TypeAlias = InferInput | InferOutput


def require_address(request: InferRequest, model: ServedModel) -> None:
    """Refuse a request whose body names another model than the address."""
    for what, given, meant in (
        ("model_name", request.model_name, model.name),
        ("model_version", request.model_version, model.version),
    ):
        if given and given != meant:
            raise Refusal(f"{what} is '{shortened(given)}', but the address is that of '{meant}'.")


def require_supported(tensor: Named) -> None:
    """Refuse parameters by which an answer would differ."""
    for key in _UNSUPPORTED:
        if key in (tensor.parameters or ()):
            raise Refusal(
                f"The parameter {key} of '{tensor.name}' is of an extension that the server does "
                "not have; leave it out.",
            )


def require_shape(shape: tuple[int, ...], model: ServedModel) -> None:
    """Refuse a shape of all features that is not (rows, D)."""
    num_features = len(model.predictor.features)
    if len(shape) != 2 or shape[1] != num_features or shape[0] < 0:
        hint = f"; one row is [1, {num_features}]" if len(shape) == 1 else ""
        raise Refusal(
            f"The shape of '{INPUT}' must be [rows, {num_features}], got "
            f"{shortened(str(list(shape)))}{hint}.",
        )


def require_rows(num_rows: int, model: ServedModel, limits: Limits) -> None:
    """Refuse more rows than allowed, in the request or for the values in its answer.

    Raises:
        Refusal: 413.
    """
    if num_rows > limits.rows:
        raise Refusal(
            f"{shortened(str(num_rows))} rows are more than the {limits.rows} allowed in one "
            "request; send them in several, or use `linexport predict` for a whole table.",
            413,
        )
    num_targets = len(model.predictor.targets)
    if num_rows * num_targets > limits.values:
        raise Refusal(
            f"{num_rows} rows of {num_targets} targets are {num_rows * num_targets} values, more "
            f"than the {limits.values} allowed in one answer; send fewer rows at a time, or use "
            "`linexport predict` for a whole table.",
            413,
        )


def interval_level(model: ServedModel, parameters: Parameters) -> float | None:
    """Return the level of the intervals that a request asks for; None if it asks for none.

    Raises:
        Refusal: If it is not between 0 and 1, or the fit does not know its uncertainty.
    """
    level = parameters.get("interval") if parameters else None
    return None if level is None else _usable(model, level)


def query_level(model: ServedModel, query: str) -> float | None:
    """Return that of an address that ends in ?interval=0.95; see `interval_level`."""
    level = parse_qs(query).get("interval") if query else None
    if level is None:
        return None
    try:
        number = float(level[-1])
    except ValueError as error:
        raise _no_level(level[-1]) from error
    return _usable(model, number)


def _no_level(level: object) -> Refusal:
    return Refusal(f"interval is {shortened(repr(level))}, and must be a number, as 0.95.")


def _usable(model: ServedModel, level: object) -> float:
    if isinstance(level, bool) or not isinstance(level, int | float):
        raise _no_level(level)
    spread = model.predictor.spread
    if spread is None:
        raise Refusal(f"'{model.name}' does not know its uncertainty; leave interval out.")
    try:
        spread.require(float(level))
    except LinexportError as error:
        raise Refusal(str(error)) from error
    return float(level)


def interval_around(
    model: ServedModel, prediction: FloatArray, features: FloatArray, level: float
) -> Interval:
    """Return predictions (n, K) with the ends of their intervals."""
    assert model.predictor.spread is not None  # or else the level was refused
    return model.predictor.spread.around(prediction, features.astype(np.float64), level)


def listed(tensors: Sequence[Named]) -> str:
    """Return their names for a message."""
    return shortened(", ".join(f"'{tensor.name}'" for tensor in tensors)) or "none"
