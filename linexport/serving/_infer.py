"""Open Inference Protocol, version 2: inference requests and responses, JSON and binary.

Sources: the protocol's specification (kserve/open-inference-protocol, inference_rest.md) and its
binary tensor data extension (triton-inference-server, extension_binary_data.md).
"""

from functools import partial
from typing import Any

import msgspec

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
    OUTPUT,
    AnyRequest,
    InferRequest,
    interval_around,
    interval_level,
    listed,
    require_supported,
)
from linexport.serving._settings import Limits
from linexport.serving._tensors import features_of


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
    request = _decoded(document)
    features = features_of(request, binary, model, limits)
    level = interval_level(model, request.parameters)
    answer = partial(_response, model, request.id, _wants_binary(request))
    if level is not None:
        return Asked(features, lambda made: answer(*interval_around(model, made, features, level)))
    return Asked(features, answer)


def _decoded(document: bytes) -> InferRequest:
    """Return a request of floating-point tensors, or else of any.

    Floats are numbers as they are read, which takes a tenth of the time of looking at each; whole
    numbers and text must come as they are written, so what has such is read again.

    Raises:
        Refusal: If it is neither; of floats it says which value is no number.
    """
    refusal = None
    try:
        request = decode(_REQUEST, document)
        if _are_floats(request):
            return request
    except Refusal as error:
        refusal = error
    try:
        request = decode(_ANY_REQUEST, document)
    except Refusal as error:
        raise refusal or error from None
    if refusal is not None and _are_floats(request):
        raise refusal
    return request


def _are_floats(request: InferRequest) -> bool:
    return all(tensor.datatype in FLOATS for tensor in request.inputs)


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
