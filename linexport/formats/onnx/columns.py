"""The graph that takes a table's columns: an encoding, then the nodes of `wire` as they are.

    number     x                          x, which is NaN where a value is missing
    filled     IsNaN(x), Where(·, fill, x), and Cast(IsNaN(x)) where a feature tells of it
    category   LabelEncoder(x), Equal(·, places), Cast(·), Div(·, known)
    date       x                          in days since the origin
               Concat(...), then Gemm, or Sub and Gemm, with a Cast on both sides where there is one

Each x [batch, 1] has its column's name: strings of a category, else numbers of the model's dtype.
LabelEncoder, of ai.onnx.ml 2, says the code of each spelling, and that of all others. Where a row
is to be refused its code is no place, so `known` is 0, and 0 / 0 is NaN in each of the column's
features; no graph can raise an error, and none should guess. Other features are divided by 1, or
not at all where nothing is refused.

Names inside begin with a prefix that no column's name has.

n features of one column, D of all of them, K targets.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import onnx
from onnx import checker, helper, numpy_helper

from linexport._arrays import FloatDType
from linexport.encoding import CategoryColumn, EncodedColumn, Encoding, NumberColumn, codes_of
from linexport.errors import ExportError, ModelError
from linexport.formats._format import Statement, stating
from linexport.formats.onnx import graph as onnx_graph, wire as onnx_wire
from linexport.formats.onnx.wire import DEFAULT_IR_VERSION, DEFAULT_OPSET_VERSION
from linexport.model import LinearModel

__all__ = ["draw", "encoding_of", "read", "write"]

ML_DOMAIN, ML_VERSION = "ai.onnx.ml", 2
"""Since then LabelEncoder takes any pair of types; it came with opset 9."""


def encoding_of(names: Sequence[str]) -> Encoding:
    """Return the encoding of a model whose features are a table's columns."""
    return Encoding(columns=tuple(NumberColumn(name=name) for name in names))


def write(
    model: LinearModel,
    encoding: Encoding,
    *,
    opset_version: int = DEFAULT_OPSET_VERSION,
    ir_version: int = DEFAULT_IR_VERSION,
    metadata: dict[str, str] | None = None,
) -> bytes:
    """Return a model behind an encoding as an ONNX file; the same arguments give the same bytes.

    Raises:
        ConfigError: As `graph.check_versions`.
        ExportError: If a column makes no feature, the encoding makes others than the model has, or
            the file would be too large for ONNX.
    """
    if encoding.features != model.feature_names:
        raise ExportError("The encoding makes other features than the model has.")
    for column in encoding.columns:
        if not column.features:
            raise ExportError(f"'{column.name}' has one level, and makes no feature: leave it out.")
    onnx_graph.require_writable(model, opset_version, ir_version)
    versions = (("", opset_version), (ML_DOMAIN, ML_VERSION))
    proto = helper.make_model(
        draw(model, encoding),
        producer_name="linexport",
        ir_version=ir_version,
        opset_imports=[helper.make_opsetid(*version) for version in versions],
    )
    noted = metadata if metadata is not None else stating(model, encoding)
    helper.set_model_props(
        proto, {onnx_wire.METADATA_PREFIX + key: noted[key] for key in sorted(noted)}
    )
    checker.check_model(proto, full_check=True)
    return bytes(proto.SerializeToString(deterministic=True))


def read(proto: onnx.ModelProto, said: Statement, encoding: Encoding | None) -> LinearModel | None:
    """Return the model that a graph holds behind an encoding, or None if it is not drawn so.

    Args:
        proto: A checked file.
        said: What the file says of itself: the names of its features.
        encoding: Should be the file's; None where the features are the columns.
    """
    stated = {opset.domain: opset.version for opset in proto.opset_import}
    if said.features is None or said.encoding != encoding or stated.get(ML_DOMAIN) != ML_VERSION:
        return None
    names = tuple(column.name for column in said.features)
    try:
        encoding = encoding or encoding_of(names)
        prefix = _prefix(encoding)
        arrays = {
            tensor.name.removeprefix(prefix): numpy_helper.to_array(tensor)
            for tensor in proto.graph.initializer
        }
        output = proto.graph.output[0].type.tensor_type.elem_type
        model = LinearModel.from_arrays(
            {name: arrays[name] for name in ("weight", "bias", "mean") if name in arrays},
            dtype=np.dtype(helper.tensor_dtype_to_np_dtype(output)),
        ).with_columns(said.features, said.targets or ())
        again = draw(model, encoding)
    except (LookupError, ModelError, TypeError, ValueError):  # it is none of ours
        return None
    return model if proto.graph == again else None


class _Step(NamedTuple):
    """Nodes and constants that make some of the features, and what these are called."""

    nodes: list[onnx.NodeProto]
    constants: list[onnx.TensorProto]
    results: list[str]


def draw(model: LinearModel, encoding: Encoding) -> onnx.GraphProto:
    """Return the graph of a model behind an encoding of its features."""
    prefix, output = _prefix(encoding), "prediction"
    while output in encoding.column_names:
        output += "_"
    steps = [
        _encoded(column, f"{prefix}{place}.", model.dtype)
        for place, column in enumerate(encoding.columns)
    ]
    results = [name for step in steps for name in step.results]
    core = _core(model, prefix, output)
    element = helper.np_dtype_to_tensor_dtype(model.dtype)
    return helper.make_graph(
        [
            *(node for step in steps for node in step.nodes),
            helper.make_node("Concat", results, [f"{prefix}features"], axis=1),
            *core.node,
        ],
        "linexport by table columns",
        [_input(column, element) for column in encoding.columns],
        [helper.make_tensor_value_info(output, element, [onnx_wire.BATCH, model.num_targets])],
        [*(constant for step in steps for constant in step.constants), *core.initializer],
    )


def _prefix(encoding: Encoding) -> str:
    prefix = "linexport."
    while any(name.startswith(prefix) for name in encoding.column_names):
        prefix = f"_{prefix}"
    return prefix


def _input(column: EncodedColumn, element: int) -> onnx.ValueInfoProto:
    kind = onnx.TensorProto.STRING if isinstance(column, CategoryColumn) else element
    return helper.make_tensor_value_info(column.name, kind, [onnx_wire.BATCH, 1])


def _core(model: LinearModel, prefix: str, output: str) -> onnx.GraphProto:
    """Return the graph of `wire`, whose names begin with a prefix."""
    core = onnx_graph.parse(onnx_wire.write(model)).graph
    names = {onnx_wire.OUTPUT: output}
    for node in core.node:
        node.input[:] = [names.get(name, prefix + name) for name in node.input]
        node.output[:] = [names.get(name, prefix + name) for name in node.output]
    for tensor in core.initializer:
        tensor.name = prefix + tensor.name
    return core


def _encoded(column: EncodedColumn, inside: str, dtype: FloatDType) -> _Step:
    if isinstance(column, CategoryColumn):
        return _category(column, inside, dtype)
    if isinstance(column, NumberColumn) and column.fill is not None:
        return _filled(column, inside, dtype)
    return _Step([], [], [column.name])


def _filled(column: NumberColumn, inside: str, dtype: FloatDType) -> _Step:
    missing, fill, filled = (inside + name for name in ("missing", "fill", "filled"))
    nodes = [
        helper.make_node("IsNaN", [column.name], [missing]),
        helper.make_node("Where", [missing, fill, column.name], [filled]),
    ]
    constants = [numpy_helper.from_array(np.full((1, 1), column.fill, dtype), fill)]
    if not column.indicator:
        return _Step(nodes, constants, [filled])
    told = f"{inside}told"
    return _Step([*nodes, _cast(missing, told, dtype)], constants, [filled, told])


def _category(column: CategoryColumn, inside: str, dtype: FloatDType) -> _Step:
    """Return 0 and 1, or NaN where the row is refused."""
    num_features, codes = len(column.features), codes_of(column)
    code, places, is_one, hot = (inside + name for name in ("code", "places", "is", "hot"))
    encoder = helper.make_node(
        "LabelEncoder",
        [column.name],
        [code],
        domain=ML_DOMAIN,
        keys_strings=list(codes.known),
        values_int64s=list(codes.known.values()),
        default_int64=codes.unknown,
    )
    nodes = [encoder, helper.make_node("Equal", [code, places], [is_one])]
    nodes.append(_cast(is_one, hot, dtype))
    constants = [numpy_helper.from_array(np.arange(num_features)[None], places)]
    refused_code = num_features + 1
    if refused_code not in (*codes.known.values(), codes.unknown):
        return _Step(nodes, constants, [hot])
    constants.append(numpy_helper.from_array(np.array([[refused_code]]), f"{inside}refused_code"))
    return _Step([*nodes, *_refusing(inside, dtype)], constants, [f"{inside}encoded"])


def _refusing(inside: str, dtype: FloatDType) -> Iterator[onnx.NodeProto]:
    """Yield what makes NaN of features that are 0, where the code is that of a refused row."""
    yield helper.make_node(
        "Equal", [f"{inside}code", f"{inside}refused_code"], [f"{inside}refused"]
    )
    yield helper.make_node("Not", [f"{inside}refused"], [f"{inside}is_known"])
    yield _cast(f"{inside}is_known", f"{inside}known", dtype)
    yield helper.make_node("Div", [f"{inside}hot", f"{inside}known"], [f"{inside}encoded"])


def _cast(given: str, result: str, dtype: FloatDType) -> onnx.NodeProto:
    return helper.make_node("Cast", [given], [result], to=helper.np_dtype_to_tensor_dtype(dtype))
