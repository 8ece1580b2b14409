"""How many numbers the operators of a graph make, worked out before any runtime sees the file.

onnx infers the shapes for a batch of one row and of two. What is not the same for both is made of
rows, and must be twice as much for two; the rest is made once. Shapes that the file itself claims
are left out, as nobody checks them. What cannot be told is refused, as few bytes may make it large.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import onnx
from onnx import TensorProto, helper

from linexport.errors import NotCheckedError

__all__ = ["inputs_of", "num_predictions", "require_small"]

_FREE_OF_A_ROW, _PER_COLUMN = 2**11, 64
"""Numbers of a row, and more for each input and output: 0.5 GB for the 65,536 rows of a batch."""
_FREE_CONSTANTS, _CONSTANTS_PER_BYTE = 2**20, 4
"""Numbers that are the same for all rows, in the file or made of it."""
_FREE_PRODUCTS, _PRODUCTS_PER_BYTE = 2**16, 1
"""Of a row; a weight of float32 is multiplied once, and has 4 bytes."""
_LONGEST = 2**16
"""Whole numbers in one list that inference follows, as it does to learn a shape."""
_MOST_RANK = 8
_SMALL = 64
"""Elements of a constant that may be a shape."""
_SHAPES_KEPT = {"Imputer", "Normalizer", "Scaler"}
"""Of ai.onnx.ml, for which onnx infers nothing, as for the two of `_stated`."""
_WHOLE = {TensorProto.INT32, TensorProto.INT64}

Shape = tuple[int, ...]


def require_small(proto: onnx.ModelProto) -> None:
    """Refuse a checked file of which a runtime would make much more than it holds.

    Raises:
        NotCheckedError: Naming what is too much, or cannot be told.
    """
    num_bytes = proto.ByteSize()
    _require_short_lists(proto.graph)
    one, two = _shapes(proto, 1), _shapes(proto, 2)
    constants, of_rows = 0, {}
    for name, size in _made(proto.graph, one):
        twice = math.prod(two[name])
        if twice == size:
            constants += size
        elif twice == 2 * size:
            of_rows[name] = size
        else:
            raise NotCheckedError(f"the ONNX file combines rows with each other ('{name}').")
    inputs, outputs = (
        sum(math.prod(one[value.name]) for value in values if value.name in one)
        for values in (inputs_of(proto), proto.graph.output)
    )
    columns = inputs + min(outputs, num_bytes // 4)  # there is a weight for each, or more
    largest = max(of_rows, key=of_rows.__getitem__, default="")
    allowed = _FREE_OF_A_ROW + _PER_COLUMN * columns
    for name, made, most in (
        (largest, sum(of_rows.values()), allowed),
        ("constants", constants, _FREE_CONSTANTS + _CONSTANTS_PER_BYTE * num_bytes),
        ("products", _products(proto.graph, one), _FREE_PRODUCTS + _PRODUCTS_PER_BYTE * num_bytes),
    ):
        if made > most:
            raise NotCheckedError(
                f"the ONNX file makes {made} numbers of each row ('{name}'), more than the {most} "
                "that are run here: write the model as one linear layer."
            )


def num_predictions(proto: onnx.ModelProto) -> int | None:
    """Return how many predictions a checked graph makes of a row, whatever it says of that.

    Some exporters declare another number, which no runtime minds. None where it makes no table.
    """
    shape = _shapes(proto, 1).get(proto.graph.output[0].name, ())
    return shape[1] if len(shape) == 2 else None


def _made(graph: onnx.GraphProto, shapes: Mapping[str, Shape]) -> Iterator[tuple[str, int]]:
    """Yield what each node makes, and of how many numbers."""
    for node in graph.node:
        for name in filter(None, node.output):
            if name not in shapes:
                raise NotCheckedError(
                    f"the ONNX file does not say how many numbers {node.op_type} makes ('{name}')."
                )
            yield name, math.prod(shapes[name])


def inputs_of(proto: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Return what a graph takes: files of old versions list their constants as inputs too."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    return [value for value in proto.graph.input if value.name not in constants]


def _shapes(proto: onnx.ModelProto, num_rows: int) -> dict[str, Shape]:
    """Return the shapes of all values for so many rows, where they can be told."""
    posed = _posed(proto, num_rows)
    free = {
        size.dim_param
        for value in posed.graph.input
        for size in value.type.tensor_type.shape.dim
        if size.dim_param
    }
    while True:
        inferred = onnx.shape_inference.infer_shapes(posed, data_prop=True).graph
        shapes = {}
        for value in (*inferred.input, *inferred.value_info, *inferred.output):
            tensor = value.type.tensor_type
            sizes = [_size(each, free) for each in tensor.shape.dim]
            if tensor.HasField("shape") and None not in sizes:
                shapes[value.name] = tuple(size for size in sizes if size is not None)
        stated = [
            helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, shape)
            for node in posed.graph.node
            if node.output[0] not in shapes and (shape := _stated(node, shapes))
        ]
        if not stated:
            return shapes
        posed.graph.value_info.extend(stated)


def _size(dimension: onnx.TensorShapeProto.Dimension, free: set[str]) -> int | None:
    if dimension.HasField("dim_value"):
        return dimension.dim_value
    return 1 if dimension.dim_param in free else None


def _posed(proto: onnx.ModelProto, num_rows: int) -> onnx.ModelProto:
    """Return a graph of so many rows without large constants, nor what it claims of shapes."""
    posed = onnx.ModelProto(ir_version=proto.ir_version)
    posed.opset_import.extend(proto.opset_import)
    graph = posed.graph
    graph.node.extend(proto.graph.node)
    for tensor in proto.graph.initializer:
        if math.prod(tensor.dims) <= _SMALL:
            graph.initializer.append(tensor)
        else:
            graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    for value in inputs_of(proto):
        graph.input.append(value)
        sizes = graph.input[-1].type.tensor_type.shape.dim
        if sizes and not sizes[0].dim_value:
            sizes[0].dim_value = num_rows
    for value in proto.graph.output:
        graph.output.append(value)
        graph.output[-1].type.tensor_type.ClearField("shape")
    return posed


def _stated(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> Shape | None:
    """Return what an operator makes for which onnx infers nothing."""
    if node.domain != "ai.onnx.ml" or any(name not in shapes for name in node.input):
        return None
    attributes = {part.name: helper.get_attribute_value(part) for part in node.attribute}
    given = [shapes[name] for name in node.input]
    if node.op_type in _SHAPES_KEPT:
        return given[0]
    if node.op_type == "LinearRegressor":
        return (given[0][0] if len(given[0]) > 1 else 1, int(attributes.get("targets", 1)))
    if node.op_type == "FeatureVectorizer":
        return (given[0][0], sum(attributes.get("inputdimensions", ())))
    return None


def _products(graph: onnx.GraphProto, shapes: Mapping[str, Shape]) -> int:
    """Return how many products a row takes."""
    constants = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    known = {**shapes, **constants}
    return sum(
        math.prod(known[node.output[0]]) * _terms(node, [known.get(n, ()) for n in node.input])
        for node in graph.node
        if node.op_type in ("Conv", "Einsum", "Gemm", "MatMul")
    )


def _terms(node: onnx.NodeProto, given: Sequence[Shape]) -> int:
    """Return how many products are added up to a number."""
    if node.op_type == "MatMul":
        return given[0][-1] if given[0] else 1
    if node.op_type == "Gemm":
        turned = any(part.name == "transA" and part.i for part in node.attribute)
        return given[0][0 if turned else -1] if len(given[0]) == 2 else 1
    if node.op_type == "Conv":
        return math.prod(given[1][1:])
    return max(math.prod(shape) for shape in given)


def _require_short_lists(graph: onnx.GraphProto) -> None:
    """Refuse lists of whole numbers that inference would follow, and that double again and again.

    Raises:
        NotCheckedError: Naming the first.
    """
    lengths = {
        tensor.name: math.prod(tensor.dims)
        for tensor in graph.initializer
        if tensor.data_type in _WHOLE
    }
    for node in graph.node:
        given = [lengths.get(name, 0) for name in node.input]
        length = sum(given) if node.op_type == "Concat" else max(given, default=0)
        if node.op_type == "Shape":
            length = _MOST_RANK
        elif node.op_type == "Constant":
            length = max(len(part.ints) + math.prod(part.t.dims) for part in node.attribute)
        if length > _LONGEST and len(node.input) > 1:
            raise NotCheckedError(f"the ONNX file makes lists without end ('{node.output[0]}').")
        lengths |= dict.fromkeys(node.output, length)
