"""ONNX operators that move values and keep them; the rows must stay what they are."""

from collections.abc import Callable, Sequence

import numpy as np

from linexport.numerics import FLOAT32
from linexport.sources._arithmetic import cast, chosen
from linexport.sources._budget import Refused
from linexport.sources._onnx_node import Node
from linexport.sources._tensors import BATCH, Operand, Tensor, concatenated

__all__ = ["MOVING"]


def _dropout(node: Node) -> Tensor:
    training = node.constants(2, "its mode")
    node.require(training is None or not training.any(), "drops values: export for inference")
    return node.tensor


def _transpose(node: Node) -> Tensor:
    tensor = node.tensor
    return tensor.transposed(node.get("perm") or range(tensor.rank)[::-1])


def _reshape(node: Node) -> Tensor:
    tensor, shape = node.tensor, node.shape(1)
    own = tensor.shape
    if not node.get("allowzero", 0):
        node.require(
            all(size or axis < len(own) for axis, size in enumerate(shape)), "has too many zeros"
        )
        shape = [size or own[axis] for axis, size in enumerate(shape)]
    return tensor.reshaped(shape)


def _flatten(node: Node) -> Tensor:
    tensor = node.tensor
    axis = node.get("axis", 1)
    axis = axis if axis == tensor.rank else tensor.axis(axis)
    if axis == 0:
        return tensor.merged(0, tensor.rank - 1).unsqueezed([0])
    if axis == tensor.rank:
        return tensor.merged(0, tensor.rank - 1).unsqueezed([1])
    return tensor.merged(axis, tensor.rank - 1).merged(0, axis - 1)


def _gather(node: Node) -> Tensor:
    indices = node.constants(1, "its indices")
    node.require(indices is not None, "has no indices")
    if not isinstance(node.operand(0), Tensor):
        raise Refused("looks up constants by the input, which is not linear")
    if node.operator == "Gather":
        return node.tensor.taken(indices, node.get("axis", 0))
    return node.tensor.taken(np.ravel(indices), -1)  # type: ignore[arg-type] # it is there


def _slice(node: Node) -> Tensor:
    tensor = node.tensor
    starts = node.integers(1, "starts", "where it starts") or []
    ends = node.integers(2, "ends", "where it ends") or []
    axes = node.integers(3, "axes", "its axes")
    steps = node.integers(4, "steps", "its steps")
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        is_batch = tensor.axis(axis) == tensor.batch
        known = BATCH not in (start, step) and (is_batch or end != BATCH)
        node.require(known and step != 0, "is cut by the number of rows")
        tensor = tensor.sliced(slice(start, end, step), axis)
    return tensor


def _split(node: Node) -> list[Tensor]:
    tensor = node.tensor
    axis = tensor.inner_axis(node.get("axis", 0), "chooses rows")
    length, count = tensor.places.shape[axis], len(node.proto.output)
    sizes = node.integers(1, "split", "its sizes")
    if sizes is None:
        size = -(-length // count)
        sizes = [min(size, length - size * place) for place in range(count)]
    fits = len(sizes) == count and sum(sizes) == length and min(sizes, default=0) >= 0
    node.require(fits, f"cuts {length} values into {sizes[:8]}")
    ends = np.cumsum([0, *sizes]).tolist()
    return [tensor.sliced(slice(*ends[part : part + 2]), axis) for part in range(count)]


def _vectorize(node: Node) -> Tensor:
    parts = [cast(each, FLOAT32) for each in node.operands if isinstance(each, Tensor)]
    tables = all(part.rank == 2 and part.batch == 0 for part in parts)
    node.require(len(parts) == len(node.inputs) and tables, "joins what are no tables")
    widths = node.get("inputdimensions")
    own = [part.places.shape[1] for part in parts]
    node.require(widths is None or list(widths) == own, "cuts its inputs")
    return concatenated(parts, 1)


def _tile(node: Node) -> Tensor:
    tensor = node.tensor
    counts = node.integers(1, "repeats", "how often") or []
    node.require(len(counts) == tensor.rank, "has not one number for each axis")
    return tensor.repeated(counts)


def _pad(node: Node) -> Tensor:
    tensor = node.tensor
    mode = node.get("mode", b"constant")
    node.require(mode == b"constant", "pads with other than a constant")
    pads = node.integers(1, "pads", "its padding") or []
    value = node.constants(2, "its number")
    value = np.array(node.get("value", 0.0)) if value is None else value
    axes = node.integers(3, "axes", "its axes")
    axes = list(range(tensor.rank)) if axes is None else [tensor.axis(axis) for axis in axes]
    node.require(len(pads) == 2 * len(axes) and value.size == 1, "does not say how it pads")
    amounts = [(0, 0)] * tensor.rank
    for place, axis in enumerate(axes):
        amounts[axis] = (pads[place], pads[place + len(axes)])
    return tensor.padded(amounts, value.astype(np.float64) if value.dtype.kind in "iu" else value)


def _where(node: Node) -> Tensor:
    condition = node.constants(0, "a choice")
    node.require(condition is not None, "has no condition")
    return chosen(np.asarray(condition), node.operand(1), node.operand(2))


def _shape(node: Node) -> Operand:
    shape = np.array(node.tensor.shape, np.int64)
    return shape[node.get("start", 0) : node.get("end", shape.size)]


MOVING: dict[str, Callable[[Node], Operand | Sequence[Operand]]] = {
    "ArrayFeatureExtractor": _gather,
    "Concat": lambda node: concatenated(node.operands, node.get("axis", 1)),
    "Dropout": _dropout,
    "Expand": lambda node: node.tensor.expanded(node.shape(1)),
    "FeatureVectorizer": _vectorize,
    "Flatten": _flatten,
    "Gather": _gather,
    "Identity": lambda node: node.tensor,
    "Pad": _pad,
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": lambda node: node.tensor.squeezed(node.integers(1, "axes", "its axes")),
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": lambda node: node.tensor.unsqueezed(node.integers(1, "axes", "its axes") or []),
    "Where": _where,
}
