"""Open Inference Protocol, version 2: inference requests and responses, JSON and binary.

Sources: the protocol's specification (kserve/open-inference-protocol, inference_rest.md) and its
binary tensor data extension (triton-inference-server, extension_binary_data.md).
"""

from functools import partial
from typing import Any

import msgspec
import numpy as np

from linexport._arrays import FloatArray
from linexport.errors import shortened
from linexport.serving._http import (
    HEADER_LENGTH,
    OCTETS,
    Answer,
    Asked,
    Refusal,
    Sent,
    decode,
    encode_json,
)
from linexport.serving._models import ServedModel
from linexport.serving._request import (
    FLOATS,
    INPUT,
    OUTPUT,
    AnyRequest,
    InferInput,
    InferRequest,
    interval_around,
    interval_level,
    listed,
    require_address,
    require_rows,
    require_shape,
    require_supported,
)
from linexport.serving._settings import Limits
from linexport.serving._tensors import any_features, read

_COMMON = ("FP32", "FP64")
"""Of one tensor, which is read at once."""


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


_REQUEST, _ANY_REQUEST = msgspec.json.Decoder(InferRequest), msgspec.json.Decoder(AnyRequest)


def ask_infer(model: ServedModel, limits: Limits, sent: Sent) -> Asked:
    """Understand an inference request.

    Raises:
        Refusal: 400 if it is malformed, 413 if it has too many rows.
        DataError: If a value is not what its column holds.
    """
    length = sent.header_length
    document, binary = (sent.body, b"") if length is None else _split(sent.body, length)
    request, refusal = _decoded(document)
    if refusal is None and _is_common(request):
        features = _features(_single_input(request, model), binary, model, limits)
    else:
        request = _of_any_datatype(document, refusal)
        features = any_features(request, binary, model, limits)
    level = interval_level(model, request.parameters)
    answer = partial(_response, model, request.id, _wants_binary(request))
    if level is not None:
        return Asked(features, lambda made: answer(*interval_around(model, made, features, level)))
    return Asked(features, answer)


def _decoded(document: bytes) -> tuple[InferRequest, Refusal | None]:
    """Return a request of numbers; or why it is none, which may be for a tensor of other values."""
    try:
        return decode(_REQUEST, document), None
    except Refusal as refusal:
        return InferRequest(inputs=[]), refusal


def _is_common(request: InferRequest) -> bool:
    inputs = request.inputs
    return len(inputs) == 1 and inputs[0].name == INPUT and inputs[0].datatype in _COMMON


def _of_any_datatype(document: bytes, refusal: Refusal | None) -> AnyRequest:
    """Return a request with tensors of any datatype.

    Raises:
        Refusal: That of the common reader, where it is none either.
    """
    try:
        request = decode(_ANY_REQUEST, document)
    except Refusal as other:
        raise refusal or other from None
    if refusal is not None and all(tensor.datatype in FLOATS for tensor in request.inputs):
        raise refusal  # it says which value is no number
    return request


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
    require_address(request, model)
    (tensor,) = request.inputs
    if tensor.parameters:
        require_supported(tensor)
    return tensor


def _features(tensor: InferInput, binary: bytes, model: ServedModel, limits: Limits) -> FloatArray:
    """Return the input as (N, D)."""
    require_shape(tensor.shape, model)
    require_rows(tensor.shape[0], model, limits)
    if binary or (tensor.parameters and "binary_data_size" in tensor.parameters):
        ((_, values),) = read([tensor], binary)
        return values.reshape(tensor.shape)
    return _from_json(tensor)


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
        raise Refusal(f"outputs must be '{OUTPUT}' alone, got {listed(request.outputs)}.")
    (output,) = request.outputs
    require_supported(output)
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
    *made: FloatArray,
) -> Answer:
    """Answer with the predictions; where there are intervals, with their ends too."""
    datatype, num_rows = datatype_of(model), len(made[0])
    names = (OUTPUT, "lower", "upper")
    tensors = [_Tensor(name, datatype, made[0].shape) for name, _ in zip(names, made, strict=False)]
    response = _Response(model.name, model.version, tensors, request_id)
    if not is_binary:
        for tensor, values in zip(tensors, made, strict=True):
            tensor.data = values.ravel().tolist()
        return Answer(200, encode_json(response), rows=num_rows)
    data = [values.astype(FLOATS[datatype], copy=False).tobytes() for values in made]
    for tensor, part in zip(tensors, data, strict=True):
        tensor.parameters = {"binary_data_size": len(part)}
    document = encode_json(response)
    length = (HEADER_LENGTH, str(len(document)))
    return Answer(200, b"".join([document, *data]), OCTETS, (length,), num_rows)
