"""Tensors as clients have them: of other datatypes than floating point, and one for each column.

Every number that float64 holds exactly is taken; what it does not hold is refused, not rounded.
Text (BYTES) is for columns that an encoding takes.

Source: the protocol's tensor data types (kserve/open-inference-protocol, inference_rest.md).
"""

import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array, FloatArray
from linexport.errors import shortened
from linexport.serving._http import Refusal
from linexport.serving._models import ServedModel
from linexport.serving._request import (
    BINARY,
    DATATYPES,
    FLOATS,
    INPUT,
    WHOLE,
    AnyInput,
    InferInput,
    InferRequest,
    listed,
    require_address,
    require_rows,
    require_shape,
    require_supported,
)
from linexport.serving._settings import Limits

_LARGEST_EXACT = 2**53
"""Whole numbers below are float64 numbers."""
_LENGTH = struct.Struct("<I")
"""Before each text in binary data."""


def features_of(
    request: InferRequest, binary: bytes, model: ServedModel, limits: Limits
) -> FloatArray:
    """Return the features (N, D) of a request, of one tensor for all or one for each column.

    Raises:
        Refusal: 400 if one is not as it should be, 413 if there are too many rows.
        DataError: If a value is not what its column holds.
    """
    require_address(request, model)
    names = [tensor.name for tensor in request.inputs]
    if not names or len(set(names)) < len(names):
        raise Refusal(
            f"inputs must be '{INPUT}', or a tensor for each column; got {listed(request.inputs)}."
        )
    for tensor in request.inputs:
        if tensor.datatype not in DATATYPES:
            given = shortened(tensor.datatype)
            raise Refusal(
                f"The datatype of '{shortened(tensor.name)}' must be one of "
                f"{', '.join(DATATYPES)}, got '{given}'."
            )
        require_supported(tensor)
        if tensor.name == INPUT:
            require_shape(tensor.shape, model)
        elif len(tensor.shape) > 2 or tensor.shape[1:] not in ((), (1,)):
            known = (*model.predictor.column_names, *model.predictor.feature_names)
            if tensor.name not in known:
                num_features = len(model.predictor.feature_names)
                raise Refusal(
                    f"There is no input '{shortened(tensor.name)}': there is '{INPUT}' [rows, "
                    f"{num_features}], or a tensor [rows] for each column."
                )
            raise Refusal(
                f"The shape of '{shortened(tensor.name)}' must be [rows] or [rows, 1], got "
                f"{shortened(str(list(tensor.shape)))}."
            )
    require_rows(_num_rows(request.inputs), model, limits)
    values = dict(_read(request.inputs, binary))
    predictor = model.predictor
    if values.keys() == {INPUT}:
        return _numbers(values[INPUT], INPUT).reshape(request.inputs[0].shape)
    columns = {name: column.reshape(-1) for name, column in values.items()}
    if values.keys() == set(predictor.feature_names):
        parts = [_numbers(columns[name], name) for name in predictor.feature_names]
        return np.stack(parts, axis=1, dtype=np.float64)
    if values.keys() != set(predictor.column_names):
        predictor.from_rows([dict.fromkeys(columns)], source="inputs")  # says which is amiss
    plain = map(_plain, columns.values())
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*plain, strict=True)]
    return predictor.from_rows(rows, source="inputs")


def _num_rows(tensors: Sequence[InferInput]) -> int:
    """Return N.

    Raises:
        Refusal: If tensors differ in it, or one has no rows in its shape.
    """
    counts = {tensor.shape[0] if tensor.shape else -1 for tensor in tensors}
    if len(counts) != 1 or min(counts) < 0:
        shapes = ", ".join(f"'{t.name}' {list(t.shape)}" for t in tensors)
        raise Refusal(
            f"Tensors of one request have as many rows each, first in the shape; got "
            f"{shortened(shapes)}."
        )
    return counts.pop()


def _read(tensors: Sequence[InferInput], binary: bytes) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield each tensor's values, flat; binary data lie in the order of the tensors."""
    sizes = [_binary_size(tensor) for tensor in tensors]
    if sum(filter(None, sizes)) != len(binary):
        raise Refusal(
            f"{len(binary)} bytes follow the JSON object, and binary_data_size of its tensors adds "
            "up to another number."
        )
    start = 0
    for tensor, size in zip(tensors, sizes, strict=True):
        if size is None:
            yield tensor.name, _from_json(tensor)
        else:
            yield tensor.name, _from_binary(tensor, binary[start : start + size])
            start += size


def _binary_size(tensor: InferInput) -> int | None:
    """Return how many bytes a tensor has behind the JSON object; None if its values are within."""
    size = tensor.parameters.get("binary_data_size") if tensor.parameters else None
    if size is None:
        return None
    if tensor.data is not msgspec.UNSET:
        raise Refusal(f"'{tensor.name}' has both data and binary_data_size; send one of them.")
    dtype = BINARY.get(tensor.datatype)
    expected = "a number of bytes" if dtype is None else _count(tensor) * dtype.itemsize
    if type(size) is not int or size < 0 or (dtype is not None and size != expected):
        raise Refusal(
            f"binary_data_size of '{tensor.name}' must be {expected} for {tensor.datatype} of "
            f"shape {list(tensor.shape)}, got {shortened(repr(size))}."
        )
    return size


def _count(tensor: InferInput) -> int:
    if any(size < 0 for size in tensor.shape):
        raise Refusal(f"The shape of '{tensor.name}' has a size below 0.")
    return math.prod(tensor.shape)


def _from_json(tensor: InferInput) -> NDArray[Any]:
    if tensor.data is msgspec.UNSET:
        raise Refusal(f"'{tensor.name}' has neither data nor the parameter binary_data_size.")
    if not isinstance(tensor, AnyInput):
        return _floats(tensor, tensor.data)
    flat = [x for part in tensor.data for x in (part if isinstance(part, list) else (part,))]
    _require_as_many(len(flat), "values", tensor)
    for row, value in enumerate(flat, start=1):
        if not _fits(value, tensor.datatype):
            raise Refusal(
                f"data of '{tensor.name}', value {row}: {shortened(repr(value), 40)} is no "
                f"{tensor.datatype}."
            )
    return np.array(flat, object)


def _floats(tensor: InferInput, data: list[Any]) -> Float64Array:
    """Return numbers that are floats or missing already, flat or row by row."""
    width = tensor.shape[1] if len(tensor.shape) > 1 else 1
    try:
        values = np.array(data, np.float64)
    except ValueError as error:
        raise Refusal(
            f"data of '{tensor.name}' must be numbers alone, or rows of {width} numbers each."
        ) from error
    if values.ndim > 1 and values.shape[1] != width:
        raise Refusal(
            f"data of '{tensor.name}' has rows of {values.shape[1]} numbers, not {width}."
        )
    _require_as_many(values.size, "numbers", tensor)
    return values.reshape(-1)


def _require_as_many(found: int, what: str, tensor: InferInput) -> None:
    expected = _count(tensor)
    if found != expected:
        raise Refusal(
            f"data of '{tensor.name}' holds {found} {what}, but its shape {list(tensor.shape)} "
            f"means {expected}."
        )


def _fits(value: Any, datatype: str) -> bool:
    if datatype == "BYTES":
        return value is None or isinstance(value, str)
    if datatype == "BOOL":
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        return False
    if datatype in FLOATS:
        return True
    limits = np.iinfo(WHOLE[datatype])
    return isinstance(value, int) and limits.min <= value <= limits.max


def _from_binary(tensor: InferInput, data: bytes) -> NDArray[Any]:
    if tensor.datatype != "BYTES":
        return np.frombuffer(data, BINARY[tensor.datatype])
    texts = np.array(list(_texts(tensor.name, data)), object)
    _require_as_many(len(texts), "texts", tensor)
    return texts


def _texts(name: str, data: bytes) -> Iterator[str]:
    place = 0
    while place < len(data):
        end = place + _LENGTH.size
        if end <= len(data):
            end += _LENGTH.unpack_from(data, place)[0]
        if end > len(data):
            raise Refusal(f"The texts of '{name}' end within one of them.")
        try:
            yield data[place + _LENGTH.size : end].decode()
        except UnicodeDecodeError:
            raise Refusal(f"A text of '{name}' is not UTF-8.") from None
        place = end


def _numbers(values: NDArray[Any], name: str) -> FloatArray:
    """Return floats as they are, and other numbers in float64, which must hold each exactly."""
    if values.dtype.kind == "f":
        return values
    name = shortened(name)
    if values.dtype == object:  # of JSON, or text
        if any(isinstance(x, str) for x in values):
            raise Refusal(f"'{name}' takes numbers, and was sent text.")
        try:
            numbers = np.array([np.nan if x is None else x for x in values], np.float64)
        except OverflowError as error:
            raise Refusal(f"'{name}' holds a whole number beyond float64.") from error
    else:
        numbers = values.astype(np.float64)
    for place in np.flatnonzero(np.abs(numbers) >= _LARGEST_EXACT):
        exact = values[place]
        if isinstance(exact, int | np.integer) and int(numbers[place]) != int(exact):
            raise Refusal(
                f"'{name}', value {place + 1}: float64 does not hold {exact} exactly; send it as "
                "FP64 if it may be rounded."
            )
    return numbers


def _plain(values: NDArray[Any]) -> list[Any]:
    """Return values as JSON has them."""
    return [None if isinstance(x, float) and np.isnan(x) else x for x in values.tolist()]
