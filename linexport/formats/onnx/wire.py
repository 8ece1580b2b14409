"""A linear model as the bytes of an ONNX file, and such bytes as a model, without the onnx package.

    the file's own           by rows, as arrays mostly lie      by columns, as tables lie
    features [batch, D]      features [batch, D]                features [D, batch]
      Gemm(features, weight,   Gemm(weight, features,             Gemm(weight, features)
           transB=1)                transB=1)
    prediction [batch, K]    prediction [K, batch]              prediction [K, batch]

with Sub(features, mean) before where the model is centred. Where float32 features and predictions
have their sum taken in float64, a Cast comes before all of this, and one after it in the file's own
graph; the others leave the sum to be rounded once. Weight [K, D], bias [K] and, where centred, mean
[D] are inline initializers; bias and mean have an axis of 1 where the batch lies across them.

The first graph is what is exported. The others compute the same from the same numbers, and what
onnxruntime predicts with is one of them: with the weight as the left operand and one target, its
product runs over the rows in a vector kernel that reads at the speed of memory, which takes half
the time of the exported graph, or less. They are made when a file is opened, and are never written
to one.

To load the onnx package takes half as long as to load onnxruntime. Predicting does not need it: a
file that `read` recognises is, byte for byte, what `write` writes. Any other is for
`graph`, which checks it, and so does parity with every file. Numbers of fields and
types are those of onnx/onnx.proto in the ONNX repository.

Protobuf's wire format is spoken as far as linear graphs take it: a message is its fields one after
the other, each a tag, which holds the field's number and how its value lies, then a varint, or a
length and as many bytes. Source: the protocol buffers' documentation, "Encoding"
(protobuf.dev/programming-guides/encoding).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from linexport._arrays import FloatArray, FloatDType
from linexport.errors import ArtifactError, ModelError
from linexport.formats._format import stated as stated_by
from linexport.model import LinearModel

__all__ = [
    "DEFAULT_IR_VERSION",
    "DEFAULT_OPSET_VERSION",
    "METADATA_PREFIX",
    "Layout",
    "Written",
    "layouts",
    "named",
    "read",
    "read_varint",
    "write",
]

Layout = Literal["rows", "columns"]

DEFAULT_OPSET_VERSION = 13
"""With IR version 7: loads in every onnxruntime since 1.6, and in all of a dozen other runtimes."""
DEFAULT_IR_VERSION = 7
METADATA_PREFIX = "linexport."

INPUT, OUTPUT, BATCH = "features", "prediction", "batch"
_PRODUCER = "linexport"
_FLOAT, _DOUBLE = 1, 11  # TensorProto.DataType
_INT = 2  # AttributeProto.AttributeType
_DTYPES: dict[int, FloatDType] = {_FLOAT: np.dtype("<f4"), _DOUBLE: np.dtype("<f8")}
_ELEMENT_TYPES = {4: _FLOAT, 8: _DOUBLE}
"""By the bytes of a number."""
_OLDEST_IR_VERSIONS = {
    9: 4, 10: 5, 11: 6, 12: 7, 13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10,
    22: 10, 23: 11,
}  # fmt: skip
"""By opset: what each onnx package takes that linexport runs with. It alone knows newer ones."""
_NEWEST_IR_VERSION = 11


Value = int | str | bytes
"""A number of at least 0, text, or bytes, which may be a message."""

_VARINT, _LENGTH = 0, 2
_BITS = 7
"""Of a number in each byte of a varint."""
_MOST_FIELDS = 100
"""Of a message of ours, metadata included. A hostile file could have a billion of them."""


class Written(NamedTuple):
    """What a file that `write` writes holds."""

    model: LinearModel
    """Under default names."""
    metadata: dict[str, str]
    """Without the prefix."""


def write(
    model: LinearModel,
    layout: Layout | None = None,
    *,
    opset_version: int = DEFAULT_OPSET_VERSION,
    ir_version: int = DEFAULT_IR_VERSION,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """Return a model as an ONNX file; the same arguments give the same bytes.

    Fields lie in the order of their numbers, as protobuf writes them.
    """
    properties = sorted((metadata or {}).items())
    return message(
        (1, ir_version),
        (2, _PRODUCER),
        (7, _graph(model, layout)),
        (8, message((1, ""), (2, opset_version))),
        *((14, message((1, METADATA_PREFIX + key), (2, value))) for key, value in properties),
    )


def read(data: bytes) -> Written | None:
    """Return what a file holds that is, byte for byte, what `write` writes; else None.

    Such a file is a valid, linear and finite ONNX graph that refers to nothing, as
    `onnx_graph.check` would find.
    """
    try:
        model, opset_version, ir_version, metadata = _parse(data)
        oldest = _OLDEST_IR_VERSIONS[opset_version]
        if not oldest <= ir_version <= _NEWEST_IR_VERSION:
            return None
        again = write(model, opset_version=opset_version, ir_version=ir_version, metadata=metadata)
    except (LookupError, TypeError, ValueError):  # it is none of ours, wherever that shows
        return None
    return Written(model, metadata) if again == data else None


def layouts(model: LinearModel | None) -> tuple[Layout | None, Layout | None]:
    """Tell which graphs predict for batches by rows and by columns; None is the file's own.

    By rows a graph of one target is better turned round, and its predictions lie in memory as
    those of the file's do. With more targets neither is so, but where the sum is in float64 only
    these graphs leave it to be rounded once, to the nearest of what it should be.
    """
    if model is None:
        return None, None
    turned = model.num_targets == 1 or model.accumulate != model.dtype
    return ("rows" if turned else None), "columns"


def named(model: LinearModel, metadata: Mapping[str, str]) -> LinearModel:
    """Return a model under the names that its file carries, if it does.

    Raises:
        ArtifactError: If the names are damaged or do not fit the numbers.
    """
    said = stated_by(metadata)
    features, targets = said.features, said.targets
    try:
        return model.with_columns(
            model.features if features is None else features,
            model.targets if targets is None else targets,
        )
    except ModelError as error:
        raise ArtifactError(f"The file's names of columns are damaged: {error}") from error


def _graph(model: LinearModel, layout: Layout | None) -> bytes:
    element = _ELEMENT_TYPES[model.dtype.itemsize]
    inside = _ELEMENT_TYPES[model.accumulate.itemsize]
    by_rows: list[int | str] = [BATCH, model.num_features]
    targets: list[int | str] = [BATCH, model.num_targets]
    answer = (element, targets) if layout is None else (inside, targets[::-1])
    return message(
        *((1, node) for node in _nodes(layout, model.form, element, inside)),
        (2, _PRODUCER if layout is None else f"{_PRODUCER} by {layout}"),
        *((5, _tensor(name, array)) for name, array in _arrays(model, layout).items()),
        (11, _value(INPUT, element, by_rows[::-1] if layout == "columns" else by_rows)),
        (12, _value(OUTPUT, *answer)),
    )


def _nodes(layout: Layout | None, form: str, element: int, inside: int) -> Iterator[bytes]:
    """Yield what computes the output of the input, in a wider type inside where that is another."""
    operand, answer = INPUT, OUTPUT
    if inside != element:
        operand, answer = "widened", "total" if layout is None else OUTPUT
        yield _node("Cast", [INPUT], operand, to=inside)
    if form == "centred":
        yield _node("Sub", [operand, "mean"], "centred")
        operand = "centred"
    operands = [operand, "weight"] if layout is None else ["weight", operand]
    yield _node("Gemm", [*operands, "bias"], answer, transB=int(layout != "columns"))
    if answer != OUTPUT:
        yield _node("Cast", [answer], OUTPUT, to=element)


def _arrays(model: LinearModel, layout: Layout | None) -> dict[str, FloatArray]:
    arrays = model.arrays()
    across = {None: (), "rows": ("bias",), "columns": ("bias", "mean")}[layout]
    return {name: array[:, None] if name in across else array for name, array in arrays.items()}


def _node(operator: str, inputs: list[str], output: str, **attributes: int) -> bytes:
    return message(
        *((1, name) for name in inputs),
        (2, output),
        (4, operator),
        *((5, message((1, name), (3, value), (20, _INT))) for name, value in attributes.items()),
    )


def _tensor(name: str, array: FloatArray) -> bytes:
    element = _ELEMENT_TYPES[array.itemsize]
    data = array.astype(_DTYPES[element], copy=False).tobytes()
    return message(*((1, size) for size in array.shape), (2, element), (8, name), (9, data))


def _value(name: str, element: int, shape: list[int | str]) -> bytes:
    sizes = [message((1, size) if isinstance(size, int) else (2, size)) for size in shape]
    tensor = message((1, element), (2, message(*((1, size) for size in sizes))))
    return message((1, name), (2, message((1, tensor))))


def _parse(data: bytes) -> tuple[LinearModel, int, int, dict[str, str]]:
    """Return what `write` was given if it wrote this, else anything.

    Raises:
        LookupError, TypeError, ValueError: If something is not where `write` puts it.
    """
    proto = list(fields(memoryview(data)))
    singles = dict(proto)
    graph = list(fields(singles[7]))
    arrays = dict(_parse_tensor(value) for number, value in graph if number == 5)
    entries = (dict(fields(value)) for number, value in proto if number == 14)
    metadata = {
        str(entry[1], "utf-8").removeprefix(METADATA_PREFIX): str(entry[2], "utf-8")
        for entry in entries
    }
    model = LinearModel.from_arrays(arrays, dtype=_DTYPES[_parse_element(dict(graph)[11])])
    return model, dict(fields(singles[8]))[2], singles[1], metadata


def _parse_element(value: memoryview) -> int:
    """Return the type of the numbers of an input, as `_value` writes it."""
    tensor = dict(fields(dict(fields(value))[2]))[1]
    element: int = dict(fields(tensor))[1]
    return element


def _parse_tensor(data: memoryview) -> tuple[str, FloatArray]:
    tensor = list(fields(data))
    singles = dict(tensor)
    shape = [size for number, size in tensor if number == 1]
    array = np.frombuffer(singles[9], _DTYPES[singles[2]])
    return str(singles[8], "utf-8"), array.reshape(shape)


def message(*fields: tuple[int, Value]) -> bytes:
    """Return a message of these fields, by number, in the order given."""
    return b"".join(piece for number, value in fields for piece in _field(number, value))


def _field(number: int, value: Value) -> tuple[bytes, ...]:
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT), _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | _LENGTH), _varint(len(data)), data


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number >> _BITS:
        parts.append(number & 0x7F | 0x80)
        number >>= _BITS
    parts.append(number)
    return bytes(parts)


def fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    """Yield the number and the value of each field: an integer, or a view of bytes.

    Raises:
        LookupError, ValueError: If this is no message, or has other or more fields than ours.
    """
    place = 0
    for _ in range(_MOST_FIELDS):
        if place == len(data):
            return
        tag, place = read_varint(data, place)
        value, place = read_varint(data, place)
        if tag & 7 == _VARINT:
            yield tag >> 3, value
        elif tag & 7 == _LENGTH and value <= len(data) - place:
            yield tag >> 3, data[place : place + value]
            place += value
        else:
            break
    raise ValueError("This is no message of ours.")


def read_varint(data: bytes | memoryview, place: int) -> tuple[int, int]:
    """Return a number, and where it ends; IndexError where it has more than 64 bits."""
    byte = data[place]
    place += 1
    number, shift = byte & 0x7F, 0
    while byte >= 0x80:
        byte = data[place]
        place += 1
        shift += 7
        if shift > 63:
            raise IndexError
        number |= (byte & 0x7F) << shift
    return number, place
