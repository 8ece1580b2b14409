"""Open Inference Protocol, version 2: inference requests and responses, JSON and binary.

Sources: the protocol's specification (kserve/open-inference-protocol, inference_rest.md) and its
binary tensor data extension (triton-inference-server, extension_binary_data.md).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from linexport._arrays import FloatArray
from linexport.serving._http import (
    HEADER_LENGTH,
    OCTETS,
    Answer,
    Asked,
    Refusal,
    decode,
    encode_json,
    shortened,
)
from linexport.serving._models import ServedModel
from linexport.serving._settings import Limits

INPUT, OUTPUT = "features", "prediction"
DATATYPES: dict[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "FP64": np.dtype("<f8")}
"""The protocol's names; binary data are little-endian."""

Parameters = dict[str, str | int | float | bool | None] | msgspec.UnsetType


class InferInput(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The tensor of features: rows of numbers, flat or nested, or binary data after the JSON."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    parameters: Parameters = msgspec.UNSET
    data: list[float | list[float | None] | None] | msgspec.UnsetType = msgspec.UNSET


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


class _Tensor(msgspec.Struct, gc=False):
    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    data: list[float] | msgspec.UnsetType = msgspec.UNSET


class _Response(msgspec.Struct, gc=False):
    model_name: str
    model_version: str
    outputs: list[_Tensor]
    id: str | msgspec.UnsetType = msgspec.UNSET


_REQUEST = msgspec.json.Decoder(InferRequest)
_UNSUPPORTED = ("classification", "shared_memory_region")
"""Parameters of extensions that the server does not have, and by which an answer would differ."""


def ask_infer(model: ServedModel, limits: Limits, body: bytes, header_length: str | None) -> Asked:
    """Understand an inference request.

    Raises:
        Refusal: 400 if it is malformed, 413 if it has too many rows.
    """
    document, binary = (body, b"") if header_length is None else _split(body, header_length)
    request = decode(_REQUEST, document)
    features = _features(_single_input(request, model), binary, model, limits)
    return Asked(features, partial(_response, model, request.id, _wants_binary(request)))


def row_bytes(model: ServedModel) -> int:
    """Return the fewest bytes that a row takes in a body: a digit and a comma for each number."""
    return 2 * len(model.predictor.features)


def datatype_of(model: ServedModel) -> str:
    """Return the protocol's name of the model's dtype."""
    return "FP32" if model.predictor.runtime.dtype.itemsize == 4 else "FP64"  # quicker to ask for


def _split(body: bytes, header_length: str) -> tuple[bytes, bytes]:
    """Return the JSON object and the binary data after it."""
    # int() refuses thousands of digits.
    length = int(header_length) if header_length.isdecimal() and len(header_length) < 20 else -1
    if not 0 < length <= len(body):
        raise Refusal(
            "Inference-Header-Content-Length is "
            f"{shortened(header_length)!r}, but must be the size of the JSON "
            f"object within the body's {len(body)} bytes.",
        )
    return body[:length], body[length:]


def _single_input(request: InferRequest, model: ServedModel) -> InferInput:
    _require_address("model_name", request.model_name, model.name)
    _require_address("model_version", request.model_version, model.version)
    if len(request.inputs) != 1 or request.inputs[0].name != INPUT:
        names = _listed(request.inputs)
        raise Refusal(f"inputs must be one tensor, '{INPUT}', got {names}.")
    (tensor,) = request.inputs
    if tensor.datatype not in DATATYPES:
        given = shortened(tensor.datatype)
        raise Refusal(f"The datatype of '{INPUT}' must be FP32 or FP64, got '{given}'.")
    if tensor.parameters:
        _require_supported(tensor)
    return tensor


def _require_address(what: str, given: str | msgspec.UnsetType | None, meant: str) -> None:
    if given and given != meant:
        raise Refusal(f"{what} is '{shortened(given)}', but the address is that of '{meant}'.")


def _require_supported(tensor: InferInput | InferOutput) -> None:
    for key in _UNSUPPORTED:
        if key in (tensor.parameters or ()):
            raise Refusal(
                f"The parameter {key} of '{tensor.name}' is of an extension that the server does "
                "not have; leave it out.",
            )


def _features(tensor: InferInput, binary: bytes, model: ServedModel, limits: Limits) -> FloatArray:
    """Return the input as (N, D)."""
    num_features, shape = len(model.predictor.features), tensor.shape
    if len(shape) != 2 or shape[1] != num_features or shape[0] < 0:
        hint = f"; one row is [1, {num_features}]" if len(shape) == 1 else ""
        raise Refusal(
            f"The shape of '{INPUT}' must be [rows, {num_features}], got "
            f"{shortened(str(list(shape)))}{hint}.",
        )
    require_rows(shape[0], model, limits)
    size = tensor.parameters.get("binary_data_size") if tensor.parameters else None
    if size is not None:
        return _from_binary(tensor, binary, size)
    if binary:
        raise Refusal(
            f"{len(binary)} bytes follow the JSON object, but '{INPUT}' has no parameter "
            "binary_data_size.",
        )
    return _from_json(tensor)


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


def _from_binary(tensor: InferInput, binary: bytes, size: object) -> NDArray[Any]:
    dtype = DATATYPES[tensor.datatype]
    num_rows, num_features = tensor.shape
    expected = num_rows * num_features * dtype.itemsize
    if tensor.data is not msgspec.UNSET:
        raise Refusal(f"'{INPUT}' has both data and binary_data_size; send one of them.")
    if type(size) is not int or size != expected:
        raise Refusal(
            f"binary_data_size of '{INPUT}' must be {expected} for {tensor.datatype} of shape "
            f"{list(tensor.shape)}, got {shortened(repr(size))}.",
        )
    if len(binary) != expected:
        fault = "truncated" if len(binary) < expected else "followed by more"
        raise Refusal(
            f"The binary data are {fault}: {len(binary)} bytes follow the JSON object, and "
            f"'{INPUT}' needs {expected}.",
        )
    values: NDArray[Any] = np.frombuffer(binary, dtype).reshape(tensor.shape)
    return values


def _from_json(tensor: InferInput) -> FloatArray:
    if tensor.data is msgspec.UNSET:
        raise Refusal(f"'{INPUT}' has neither data nor the parameter binary_data_size.")
    num_rows, num_features = tensor.shape
    try:
        values = np.array(tensor.data, np.float64)
    except ValueError as error:
        raise Refusal(
            f"data of '{INPUT}' must be numbers alone, or rows of {num_features} numbers each.",
        ) from error
    if values.ndim == 2 and values.shape[1] != num_features:
        raise Refusal(
            f"data of '{INPUT}' has rows of {values.shape[1]} numbers, not {num_features}."
        )
    if values.size != num_rows * num_features:
        raise Refusal(
            f"data of '{INPUT}' holds {values.size} numbers, but its shape {list(tensor.shape)} "
            f"means {num_rows * num_features}.",
        )
    return values.reshape(tensor.shape)


def _wants_binary(request: InferRequest) -> bool:
    if not request.parameters and not request.outputs:
        return False
    wanted = _flag(request.parameters, "binary_data_output", "parameters", default=False)
    if not request.outputs:
        return wanted
    if len(request.outputs) != 1 or request.outputs[0].name != OUTPUT:
        raise Refusal(f"outputs must be '{OUTPUT}' alone, got {_listed(request.outputs)}.")
    (output,) = request.outputs
    _require_supported(output)
    return _flag(output.parameters, "binary_data", "parameters of outputs", default=wanted)


def _flag(
    parameters: dict[str, Any] | msgspec.UnsetType, key: str, place: str, *, default: bool
) -> bool:
    flag = parameters.get(key, default) if parameters else default
    if not isinstance(flag, bool):
        raise Refusal(f"{key} in {place} must be true or false.")
    return flag


def _response(
    model: ServedModel,
    request_id: str | msgspec.UnsetType,
    is_binary: bool,
    prediction: FloatArray,
) -> Answer:
    datatype, num_rows = datatype_of(model), len(prediction)
    tensor = _Tensor(OUTPUT, datatype, prediction.shape)
    response = _Response(model.name, model.version, [tensor], request_id)
    if not is_binary:
        tensor.data = prediction.ravel().tolist()
        return Answer(200, encode_json(response), rows=num_rows)
    data = prediction.astype(DATATYPES[datatype], copy=False).tobytes()
    tensor.parameters = {"binary_data_size": len(data)}
    document = encode_json(response)
    length = (HEADER_LENGTH, str(len(document)))
    return Answer(200, document + data, OCTETS, (length,), num_rows)


def _listed(tensors: Sequence[InferInput | InferOutput]) -> str:
    return shortened(", ".join(f"'{tensor.name}'" for tensor in tensors)) or "none"
