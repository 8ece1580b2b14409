"""Random ONNX graphs of affine steps, nested, selected, summed, joined and reshaped.

A graph is made node by node: each step is drawn among those that fit a tensor that is there, and
NumPy keeps what it evaluates to in float64, with the sizes of all terms beside it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

NUM_ROWS = 7
OPSETS = (helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3))


class Graph:
    """A graph that grows."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self.width = int(self.random.integers(2, 7))
        self.rows = self.random.normal(size=(NUM_ROWS, self.width)).astype(np.float32)
        self.tensors: dict[str, tuple[int, ...]] = {"x": (self.width,)}
        """Shape of one row of each."""

    def constant(self, array: Any) -> str:
        name = f"c{len(self.constants)}"
        array = np.asarray(array)
        self.constants[name] = array.astype(np.float32) if array.dtype.kind == "f" else array
        return name

    def numbers(self, *shape: int) -> str:
        return self.constant(np.asarray(self.random.normal(size=shape)))

    def add(self, operator: str, *inputs: str, shape: tuple[int, ...], **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        domain = "ai.onnx.ml" if operator in ("ArrayFeatureExtractor", "Scaler") else ""
        node = helper.make_node(operator, inputs, [name], domain=domain, name=name, **attributes)
        self.nodes.append(node)
        self.tensors[name] = shape
        return name

    def pick(self) -> str:
        """Choose a tensor, mostly the last."""
        names = list(self.tensors)
        return names[-1] if self.random.random() < 0.7 else str(self.random.choice(names))

    def proto(self, output: str) -> ModelProto:
        kind = TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "random",
            [helper.make_tensor_value_info("x", kind, ["n", self.width])],
            [helper.make_tensor_value_info(output, kind, None)],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        return helper.make_model(graph, opset_imports=list(OPSETS), ir_version=9)


Step = Callable[[Graph, str, tuple[int, ...]], str | None]


def _elementwise(g: Graph, x: str, shape: tuple[int, ...]) -> str:
    operator = str(g.random.choice(["Add", "Sub", "Mul", "Div"]))
    own = shape[int(g.random.integers(len(shape) + 1)) :]
    number = g.numbers(*own)
    if operator == "Div":
        g.constants[number] = np.float32(1) + np.abs(g.constants[number])
        return g.add(operator, x, number, shape=shape)
    pair = (x, number) if g.random.random() < 0.5 else (number, x)
    return g.add(operator, *pair, shape=shape)


def _sum(g: Graph, x: str, shape: tuple[int, ...]) -> str:
    alike = [name for name, other in g.tensors.items() if other == shape]
    operator = str(g.random.choice(["Add", "Sub", "Sum", "Mean"]))
    return g.add(operator, x, str(g.random.choice(alike)), shape=shape)


def _product(g: Graph, x: str, shape: tuple[int, ...]) -> str:
    size = int(g.random.integers(1, 5))
    return g.add("MatMul", x, g.numbers(shape[-1], size), shape=(*shape[:-1], size))


def _gemm(g: Graph, x: str, shape: tuple[int, ...]) -> str | None:
    if len(shape) != 1:
        return None
    size = int(g.random.integers(1, 5))
    weight, bias = g.numbers(size, shape[0]), g.numbers(size)
    return g.add("Gemm", x, weight, bias, shape=(size,), transB=1, alpha=0.5, beta=-2.0)


def _gather(g: Graph, x: str, shape: tuple[int, ...]) -> str:
    axis = int(g.random.integers(len(shape)))
    count = int(g.random.integers(1, 4))
    indices = g.constant(g.random.integers(-shape[axis], shape[axis], count))
    sizes = (*shape[:axis], count, *shape[axis + 1 :])
    return g.add("Gather", x, indices, shape=sizes, axis=axis + 1)


def _extract(g: Graph, x: str, shape: tuple[int, ...]) -> str | None:
    if len(shape) != 1:
        return None
    indices = g.random.integers(0, shape[0], 2)
    return g.add("ArrayFeatureExtractor", x, g.constant(indices), shape=(2,))


def _slice(g: Graph, x: str, shape: tuple[int, ...]) -> str:
    step = int(g.random.choice([-2, -1, 1, 2]))
    start, end = (-1, -(2**31)) if step < 0 else (0, 2**31)
    length = -(-shape[-1] // abs(step))
    numbers = [g.constant(np.array([n])) for n in (start, end, -1, step)]
    return g.add("Slice", x, *numbers, shape=(*shape[:-1], length))


def _concat(g: Graph, x: str, shape: tuple[int, ...]) -> str:
    alike = [n for n, s in g.tensors.items() if len(s) == len(shape) and s[:-1] == shape[:-1]]
    other = str(g.random.choice(alike))
    size = shape[-1] + g.tensors[other][-1]
    return g.add("Concat", x, other, shape=(*shape[:-1], size), axis=-1)


def _reshape(g: Graph, x: str, shape: tuple[int, ...]) -> str:
    size = int(np.prod(shape))
    first = int(g.random.choice([n for n in range(1, size + 1) if size % n == 0]))
    sizes = (first, size // first) if g.random.random() < 0.6 else (size,)
    return g.add("Reshape", x, g.constant(np.array([-1, *sizes])), shape=sizes)


def _transpose(g: Graph, x: str, shape: tuple[int, ...]) -> str | None:
    if len(shape) != 2:
        return None
    return g.add("Transpose", x, shape=shape[::-1], perm=[0, 2, 1])


def _reduce(g: Graph, x: str, shape: tuple[int, ...]) -> str:
    operator = str(g.random.choice(["ReduceSum", "ReduceMean"]))
    return g.add(operator, x, g.constant(np.array([-1])), shape=(*shape[:-1], 1), keepdims=1)


def _einsum(g: Graph, x: str, shape: tuple[int, ...]) -> str:
    if len(shape) == 2:
        weight = g.numbers(shape[0], shape[1], 3)
        return g.add("Einsum", x, weight, shape=(3,), equation="nij,ijk->nk")
    return g.add("Einsum", x, g.numbers(4, shape[0]), shape=(4,), equation="nj,kj->nk")


def _conv(g: Graph, x: str, shape: tuple[int, ...]) -> str | None:
    if len(shape) != 2:
        return None
    weight, bias = g.numbers(2, shape[0], 1), g.numbers(2)
    return g.add("Conv", x, weight, bias, shape=(2, shape[1]))


def _pad(g: Graph, x: str, shape: tuple[int, ...]) -> str:
    pads = np.array([0] * len(shape) + [1, 0] + [0] * (len(shape) - 1) + [2])
    pads = np.zeros(2 * len(shape) + 2, np.int64)
    pads[len(shape)], pads[-1] = 1, 2
    number = g.constant(np.float32(g.random.normal()))
    return g.add("Pad", x, g.constant(pads), number, shape=(*shape[:-1], shape[-1] + 3))


def _where(g: Graph, x: str, shape: tuple[int, ...]) -> str:
    condition = g.constant(g.random.random(shape[-1]) < 0.5)
    return g.add("Where", condition, x, g.numbers(*shape), shape=shape)


def _expand(g: Graph, x: str, shape: tuple[int, ...]) -> str | None:
    if shape[-1] != 1:
        return None
    sizes = np.array([1] * len(shape) + [3])
    return g.add("Expand", x, g.constant(sizes), shape=(*shape[:-1], 3))


def _normalize(g: Graph, x: str, shape: tuple[int, ...]) -> str:
    numbers = [g.numbers(shape[0]) for _ in range(4)]
    g.constants[numbers[3]] = np.float32(0.5) + np.abs(g.constants[numbers[3]])
    return g.add("BatchNormalization", x, *numbers, shape=shape)


def _scale(g: Graph, x: str, shape: tuple[int, ...]) -> str | None:
    if len(shape) != 1:
        return None
    offset, scale = (g.random.normal(size=shape[0]).astype(np.float32).tolist() for _ in "12")
    return g.add("Scaler", x, shape=shape, offset=offset, scale=scale)


STEPS: tuple[Step, ...] = (
    _elementwise, _elementwise, _sum, _sum, _product, _gemm, _gather, _extract, _slice, _concat,
    _reshape, _transpose, _reduce, _einsum, _conv, _pad, _where, _expand, _normalize, _scale,
)  # fmt: skip
CURVED = (
    "Relu", "Sigmoid", "Tanh", "Abs", "Exp", "Softmax", "square", "quotient", "Elu", "Erf", "Sign",
)  # fmt: skip


def grown(seed: int, *, curved: bool) -> tuple[ModelProto, Graph, str]:
    """Return a graph of some steps and a layer; where it is curved, and which step that is."""
    g = Graph(seed)
    at = int(g.random.integers(1, 6)) if curved else -1
    bent = ""
    for number in range(int(g.random.integers(6, 11))):
        if number == at:
            bent = _curve(g)
            continue
        name = bent if number == at + 1 and bent else g.pick()
        shape = g.tensors[name]
        if np.prod(shape) > 40:
            g.add("ReduceMean", name, g.constant(np.array([-1])), shape=(*shape[:-1], 1))
            continue
        step: Step = g.random.choice(np.array(STEPS, object))
        step(g, name, shape)
    last = list(g.tensors)[-1]
    if bent:  # so that the output depends on it, whatever was picked in between
        last = g.add("Concat", _line(g, last), _line(g, bent), shape=(2,), axis=1)
    last = _line(g, last, 2)
    return g.proto(last), g, bent


def _line(g: Graph, name: str, size: int = 1) -> str:
    """Combine all that a tensor has of a row."""
    width = int(np.prod(g.tensors[name]))
    flat = g.add("Flatten", name, shape=(width,))
    return g.add("MatMul", flat, g.numbers(width, size), shape=(size,))


def _curve(g: Graph) -> str:
    name = g.pick()
    shape = g.tensors[name]
    kind = str(g.random.choice(CURVED))
    if kind == "square":
        return g.add("Mul", name, name, shape=shape)
    if kind == "quotient":
        return g.add("Div", g.numbers(), name, shape=shape)
    return g.add(kind, name, shape=shape)
