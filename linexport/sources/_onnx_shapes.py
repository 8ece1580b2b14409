"""Operators that move values and keep them: what stays one row, or one value, per input row."""

from dataclasses import replace

from linexport.numerics import Mixed, Scaled, Values
from linexport.sources._onnx_values import (
    Batch,
    Inputs,
    Layout,
    Node,
    Value,
    batch_of,
    integers_of,
    require,
)


def transposed(value: Value | None) -> Value | None:
    if not isinstance(value, Batch):
        return None if value is None else value.T
    layouts: dict[Layout, Layout] = {"rows": "columns", "columns": "rows", "line": "line"}
    return replace(value, layout=layouts[value.layout])


def transpose(node: Node, inputs: Inputs) -> Batch:
    batch = batch_of(node, inputs[0])
    rank = 1 if batch.layout == "line" else 2
    order = list(node.get("perm") or range(rank)[::-1])
    return batch if order == list(range(rank)) else batch_of(node, transposed(batch))


def reshape(node: Node, inputs: Inputs) -> Batch:
    batch = batch_of(node, inputs[0])
    shape = integers_of(node, inputs[1])
    width = batch.values.width
    require(node, batch.is_table, "mixes rows")
    free = [-1] if batch.rows is None else [-1, batch.rows]
    if not node.get("allowzero", 0):
        free.append(0)
    if len(shape) == 1 and width == 1 and shape[0] in free:
        return replace(batch, layout="line")
    if len(shape) == 2 and shape[0] in free and shape[1] == width:
        return replace(batch, layout="rows")
    if shape == [0, -1] and 0 in free:
        return replace(batch, layout="rows")
    raise node.refuse(f"to {shape} does not keep each row of {width} values")


def flatten(node: Node, inputs: Inputs) -> Batch:
    batch = batch_of(node, inputs[0])
    axis = node.get("axis", 1)
    require(node, batch.is_table and axis in ((1, -1) if batch.layout == "rows" else (1,)),
             "joins rows")  # fmt: skip
    return replace(batch, layout="rows")


def squeeze(node: Node, inputs: Inputs) -> Batch:
    batch = batch_of(node, inputs[0])
    keeps = batch.layout == "rows" and _axes(node, inputs) in ([1], [-1])
    require(node, keeps, "takes out another dimension than that of the single target")
    return replace(batch, layout="line")


def unsqueeze(node: Node, inputs: Inputs) -> Batch:
    batch = batch_of(node, inputs[0])
    keeps = batch.layout == "line" and _axes(node, inputs) in ([1], [-1])
    require(node, keeps, "adds a dimension that a table does not have")
    return replace(batch, layout="rows")


def _axes(node: Node, inputs: Inputs) -> list[int]:
    """Since opset 13 the axes are an input."""
    if len(inputs) > 1:
        return integers_of(node, inputs[1])
    return list(node.get("axes") or ())


def concatenate(node: Node, inputs: Inputs) -> Batch:
    parts = [batch_of(node, value) for value in inputs]
    axes = (1, -1) if node.operator == "Concat" else (1,)
    require(node, node.get("axis", 1) in axes, "joins rows")
    require(node, all(part.layout == "rows" for part in parts), "joins what are no tables")
    widths = node.get("inputdimensions")
    require(node, widths in (None, [part.values.width for part in parts]), "cuts its inputs")
    scaled = [part.values for part in parts if isinstance(part.values, Scaled)]
    mixed = [part.values for part in parts if isinstance(part.values, Mixed)]
    require(node, not scaled or not mixed, "joins features and targets")
    joined: Values = scaled[0].beside(scaled[1:]) if scaled else mixed[0].beside(mixed[1:])
    return parts[0].with_values(joined)
