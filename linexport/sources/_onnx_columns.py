"""A table's columns in another tool's ONNX graph: its encoders as an encoding of ours.

    OneHotEncoder   of one column of text or whole numbers   a category
    Imputer         of columns of numbers, for NaN           their fills

What is left of the graph takes the features that these make, and is read as any other. It is drawn
with one input for all of them, from which a Gather takes what an encoder gave. That is done twice:
first each level has a feature, and what is made of these tells their order, and which level is left
out, the reference; then the features are those of the encoding.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from linexport.encoding import EncodedColumn, Encoding, NumberColumn
from linexport.errors import ModelError
from linexport.formats.onnx import graph as onnx_graph
from linexport.sources._budget import Refused
from linexport.sources._cells import feature_columns
from linexport.sources._one_hot import category
from linexport.sources._onnx_node import Node
from linexport.sources._reading import Imported, names_of

__all__ = ["read", "takes_a_table"]

_ENCODERS = frozenset({"Imputer", "OneHotEncoder"})
_WHOLE = frozenset({TensorProto.INT32, TensorProto.INT64})
_FLOATS = frozenset({TensorProto.FLOAT, TensorProto.DOUBLE})
_EXACT: dict[int, frozenset[int]] = {
    TensorProto.INT32: _WHOLE | _FLOATS,
    TensorProto.INT64: _WHOLE | _FLOATS,
    TensorProto.FLOAT: _FLOATS,
    TensorProto.DOUBLE: frozenset({TensorProto.DOUBLE}),
}
"""Casts that leave a column what it is."""
_MISSING = frozenset({"None", "nan"})
"""How skl2onnx writes a level of missing cells, and onnxruntime those that it is given."""
_LAST_OF_THREE = (-1, 2)


class _Cells(NamedTuple):
    """A tensor [N, C] of columns as the table has them."""

    names: tuple[str, ...]
    kind: int
    """Of TensorProto."""


class _Taken(NamedTuple):
    """A column, and what an encoder makes of it."""

    name: str
    levels: tuple[str | int, ...] = ()
    """None for a number."""
    ignores: bool = False
    """Whether what is no level makes zeros; otherwise the file refuses it."""
    fill: float | None = None

    @property
    def width(self) -> int:
        return len(self.levels) or 1


class _Block(NamedTuple):
    """A tensor of the graph that is features, and the columns they are of."""

    output: str
    columns: tuple[_Taken, ...]


_Place = tuple[str, int]
"""A column, and which of its levels; 0 of a number."""


def takes_a_table(proto: onnx.ModelProto) -> bool:
    """Tell a graph that takes cells of a table from one that takes features."""
    return any(node.op_type in _ENCODERS for node in proto.graph.node) or any(
        value.type.tensor_type.elem_type == TensorProto.STRING
        for value in onnx_graph.inputs_of(proto)
    )


def read(proto: onnx.ModelProto, evaluate: Callable[[onnx.ModelProto], Imported]) -> Imported:
    """Read a model behind encoders.

    Args:
        proto: A checked file.
        evaluate: Reads a graph of features.

    Raises:
        ModelError: If an encoder does what an encoding does not mean; or as `evaluate`.
    """
    parts = _Parts(proto)
    columns = _by_name(parts.blocks)
    places = [(name, number) for name, each in columns.items() for number in range(each.width)]
    values = evaluate(parts.drawn(_numbered(places), len(places))).values
    used: dict[str, set[int]] = {}
    inputs = values.inputs
    for place in inputs.columns[inputs.gain.high != 0].tolist():
        name, number = places[place]
        used.setdefault(name, set()).add(number)
    encoding = Encoding(columns=tuple(_column(columns[name], used[name]) for name in used))
    featured = _numbered((name, number) for name in used for number in sorted(used[name]))
    found = evaluate(parts.drawn(featured, len(featured)))
    operators = ", ".join(dict.fromkeys(node.op_type for node in proto.graph.node))
    features = feature_columns(encoding.columns, found.model.features)
    return replace(
        found,
        model=found.model.with_columns(features, found.model.targets),
        source=f"ONNX graph of {operators}",
        features_named=True,
        encoding=encoding,
    )


def _by_name(blocks: Sequence[_Block]) -> dict[str, _Taken]:
    columns: dict[str, _Taken] = {}
    for column in (column for block in blocks for column in block.columns):
        if column.name in columns:
            raise ModelError(
                f"The ONNX graph uses the column '{column.name}' twice, encoded and as it is or in "
                "two ways: give it to the model under two names."
            )
        columns[column.name] = column
    return columns


def _numbered(places: Iterable[_Place]) -> dict[_Place, int]:
    return {place: number for number, place in enumerate(places)}


def _column(taken: _Taken, used: set[int]) -> EncodedColumn:
    if not taken.levels:
        return NumberColumn(name=taken.name, fill=taken.fill)
    unused = [number for number in range(taken.width) if number not in used]
    if len(unused) > 1:
        raise ModelError(
            f"The ONNX graph leaves out {len(unused)} levels of '{taken.name}', and an encoding one"
            " at most, the reference."
        )
    levels = [float("nan") if level in _MISSING else level for level in taken.levels]
    reference = unused[0] if unused else None
    column, _ = category(taken.name, levels, reference, None, ignores=taken.ignores)
    return column


class _Parts:
    """A graph, taken apart where its encoders end."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self._proto = proto
        self._constants = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer
        }
        self._cells: dict[str, _Cells] = {}
        self._deep: set[str] = set()
        """Tensors [N, 1, C], as a OneHotEncoder makes them of [N, 1]."""
        self.blocks: list[_Block] = []
        self._nodes: list[onnx.NodeProto] = []
        for value in onnx_graph.inputs_of(proto):
            self._take_input(value)
        for node in proto.graph.node:
            self._take_node(node)
        self._drop_unused()

    def drawn(self, places: Mapping[_Place, int], width: int) -> onnx.ModelProto:
        """Return the graph of features, with their places in its one input [N, width]."""
        given = "features"
        while given in str(self._proto.graph):
            given += "_"
        made, constants = [], []
        for block in self.blocks:
            # A level without a feature is left out further on, so any may stand in its place.
            numbers = [
                places.get((column.name, number), 0)
                for column in block.columns
                for number in range(column.width)
            ]
            chosen = f"{given}.{block.output}"
            constants.append(numpy_helper.from_array(np.array(numbers, np.int64), chosen))
            made.append(helper.make_node("Gather", [given, chosen], [block.output], axis=1))
        features = helper.make_tensor_value_info(given, TensorProto.DOUBLE, ["N", width])
        drawn = onnx.ModelProto()
        drawn.CopyFrom(self._proto)
        graph = drawn.graph
        for part, others in ((graph.node, [*made, *self._nodes]), (graph.input, [features])):
            del part[:]
            part.extend(others)
        graph.initializer.extend(constants)
        return drawn

    def _take_input(self, value: onnx.ValueInfoProto) -> None:
        kind, sizes = value.type.tensor_type.elem_type, value.type.tensor_type.shape.dim
        if kind not in {*_WHOLE, *_FLOATS, TensorProto.STRING}:
            raise ModelError(
                f"The ONNX graph's input '{value.name}' takes neither text nor numbers."
            )
        if len(sizes) != 2 or not 0 < sizes[1].dim_value <= self._proto.ByteSize():
            raise ModelError(
                f"The ONNX graph's input '{value.name}' must have the shape [batch, columns], with "
                "a stated number of columns."
            )
        names = tuple(names_of(value.name, sizes[1].dim_value))
        self._cells[value.name] = _Cells(names, kind)
        if kind != TensorProto.STRING:
            self.blocks.append(_Block(value.name, tuple(_Taken(name) for name in names)))

    def _take_node(self, proto: onnx.NodeProto) -> None:
        node = Node.of(proto)
        try:
            self._take(node)
        except Refused as refused:
            raise node.error(str(refused)) from None

    def _take(self, node: Node) -> None:
        proto = node.proto
        if proto.op_type == "OneHotEncoder":
            self._take_levels(node)
        elif proto.op_type == "Imputer":
            self._take_fills(node)
        elif any(name in self._deep for name in proto.input):
            self._nodes.append(self._flat(node))
        else:
            self._take_cells(node)
            self._nodes.append(proto)

    def _take_cells(self, node: Node) -> None:
        """Follow columns that are only chosen, put side by side or written in another type."""
        given = [self._cells.get(name) for name in node.proto.input]
        cells = [each for each in given if each is not None]
        if not cells:
            return
        first, made = cells[0], None
        match node.operator:
            case "Identity":
                made = first
            case "Cast" if node.get("to") in _EXACT.get(first.kind, frozenset()):
                made = _Cells(first.names, node.get("to"))
            case "Concat" if len(cells) == len(given) and node.get("axis") in (1, -1):
                made = _Cells(tuple(name for each in cells for name in each.names), first.kind)
            case "Gather" if node.get("axis", 0) in (1, -1):
                made = self._chosen(first, node.proto.input[1])
            case "ArrayFeatureExtractor":
                made = self._chosen(first, node.proto.input[1])
        if made is not None:
            self._cells[node.proto.output[0]] = made

    def _chosen(self, cells: _Cells, places: str) -> _Cells | None:
        numbers = self._constants.get(places)
        if numbers is None or numbers.ndim != 1 or not numbers.size:
            return None
        if not ((numbers >= 0) & (numbers < len(cells.names))).all():
            return None
        return _Cells(tuple(cells.names[number] for number in numbers.tolist()), cells.kind)

    def _take_levels(self, node: Node) -> None:
        cells = self._cells.get(node.proto.input[0])
        text, whole = node.get("cats_strings", ()), node.get("cats_int64s", ())
        node.require(
            cells is not None,
            "takes what is no column of text or whole numbers, as a column of floating point whose "
            "fractions are cut off: declare the column as int64 or string",
        )
        assert cells is not None
        node.require(len(cells.names) == 1, "takes several columns at once")
        fits = cells.kind == TensorProto.STRING if text else cells.kind in _WHOLE
        node.require(
            bool(text) != bool(whole) and fits, "has levels of another type than its input"
        )
        levels = tuple(level.decode() for level in text) or tuple(whole)
        column = _Taken(cells.names[0], levels, ignores=bool(node.get("zeros", 1)))
        self.blocks.append(_Block(node.proto.output[0], (column,)))
        self._deep.add(node.proto.output[0])

    def _take_fills(self, node: Node) -> None:
        cells = self._cells.get(node.proto.input[0])
        node.require(
            cells is not None and cells.kind in _FLOATS,
            "takes what is no column of floating point: an encoding fills in what the table has",
        )
        assert cells is not None
        missing = node.get("replaced_value_float", 0.0)
        node.require(
            bool(np.isnan(missing)), f"replaces {missing:g}, which is a number and not missing"
        )
        width = len(cells.names)
        fills = list(node.get("imputed_value_floats", ()))
        fills = fills * width if len(fills) == 1 else fills
        node.require(len(fills) == width, "has not one number for each column")
        columns = tuple(
            _Taken(name, fill=fill) for name, fill in zip(cells.names, fills, strict=True)
        )
        self.blocks.append(_Block(node.proto.output[0], columns))

    def _flat(self, node: Node) -> onnx.NodeProto:
        """Return what does with [N, C] as a node does with [N, 1, C]."""
        given, (output, *_) = list(node.proto.input), node.proto.output
        last = node.get("axis", 0) in _LAST_OF_THREE
        match node.operator:
            case "Concat" if last and all(name in self._deep for name in given):
                self._deep.add(output)
                return helper.make_node("Concat", given, [output], axis=1)
            case "Gather" if last:
                self._deep.add(output)
                return helper.make_node("Gather", given, [output], axis=1)
            case "Identity" | "Cast":  # 0 and 1 are the same in every type
                self._deep.add(output)
                return helper.make_node("Identity", given, [output])
            case "Reshape" | "Flatten":  # to two dimensions, or refused by what reads it
                return node.proto
        raise Refused("takes levels that a OneHotEncoder made, and is not known to be linear")

    def _drop_unused(self) -> None:
        """Leave what the output depends on; text may be taken by encoders only."""
        needed = {value.name for value in self._proto.graph.output}
        nodes: list[onnx.NodeProto] = []
        for node in reversed(self._nodes):
            if needed.isdisjoint(node.output):
                continue
            for name in node.input:
                if name in self._cells and self._cells[name].kind == TensorProto.STRING:
                    raise _other_encoder(node, self._cells[name].names[0])
            nodes.append(node)
            needed |= set(node.input)
        self._nodes = nodes[::-1]
        self.blocks = [block for block in self.blocks if block.output in needed]


def _other_encoder(node: onnx.NodeProto, name: str) -> ModelError:
    return ModelError(
        f"The ONNX graph's {node.op_type} takes the text of '{name}', which only a OneHotEncoder "
        "does here: export the pipeline that the file was made of, from Python."
    )
