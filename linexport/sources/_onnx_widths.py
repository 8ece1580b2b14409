"""How many features an input of an ONNX graph has, where only the weights say so."""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from linexport.errors import ModelError

__all__ = ["width_of"]

_KEEPING = frozenset({"Add", "Cast", "Div", "Dropout", "Identity", "Mul", "Neg", "Scaler", "Sub"})
"""Whose result is as wide as what they are given."""


def width_of(name: str, proto: onnx.ModelProto) -> int:
    """Return the number of features that the first weights behind an input are for.

    Raises:
        ModelError: If none of them say so.
    """
    shapes = {tensor.name: tuple(tensor.dims) for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
            shapes[node.output[0]] = numpy_helper.to_array(node.attribute[0].t).shape
    alike = {name}
    for node in proto.graph.node:
        places = [place for place, given in enumerate(node.input) if given in alike]
        if places:
            width = _stated(node, places[0], shapes)
            if width:
                return width
            if node.op_type in _KEEPING:
                alike.add(node.output[0])
    raise ModelError(
        f"The ONNX graph's input '{name}' does not state how many features it has: export the "
        "model with the shape [None, number of features]."
    )


def _stated(node: onnx.NodeProto, place: int, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Return the width that a node takes at one of its inputs; 0 where it does not say."""
    attributes = {part.name: helper.get_attribute_value(part) for part in node.attribute}
    others = [shapes.get(given) for given in node.input]
    match node.op_type:
        case "LinearRegressor":
            targets = max(int(attributes.get("targets", 1)), 1)
            return len(attributes.get("coefficients", ())) // targets
        case "Scaler":
            size = max(len(attributes.get(part, ())) for part in ("offset", "scale"))
            return size if size > 1 else 0
        case "BatchNormalization":
            return int(np.prod(others[3] or (0,)))
        case "MatMul" if place == 0 and others[1]:
            return others[1][max(len(others[1]) - 2, 0)]
        case "Gemm" if place == 0 and others[1] and len(others[1]) == 2:
            return others[1][1 if attributes.get("transB", 0) else 0]
        case "Add" | "Sub" | "Mul" | "Div":
            other = others[1 - place] if len(others) == 2 else None
            return other[-1] if other and other[-1] > 1 else 0
    return 0
