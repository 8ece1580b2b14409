"""A program of torch.export: what its graph makes of the input, worked out node by node.

Parameters, buffers and constants that were lifted out of the code are the numbers. What a graph
does not need for its output, such as checks, is passed over.
"""

import functools
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, InputSpec, OutputKind

from linexport.errors import ModelError, shortened
from linexport.sources._aten import apply, converted
from linexport.sources._aten_values import Call, Value
from linexport.sources._budget import Budget, Refused
from linexport.sources._reading import Imported, composed, names_of
from linexport.sources._tensors import Tensor, input_tensor

__all__ = ["fixed_size", "read_program"]

_AS_OBJECT = 2**50
"""Bytes by which the budget is measured: who passes an object has let its code run already."""
_NUMBERS = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32)
_MOST_SHOWN = 60


def read_program(program: ExportedProgram, name: str = "PyTorch ExportedProgram") -> Imported:
    """Read a model from a program.

    Raises:
        ModelError: If what it computes is no affine map of each row, or changes what it holds.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own, about itself
        program = program.run_decompositions({**_decompositions()})  # which changes it
    inputs = _inputs(program)
    names = [name for tensor, columns in inputs.values() for name in columns]
    known = _numbers(program) | {name: tensor for name, (tensor, _) in inputs.items()}
    output = _evaluated(program, known, next(iter(inputs.values()))[0])
    if not isinstance(output, Tensor) or output.batch != 0 or output.is_whole:
        raise ModelError("The module does not return one row of predictions per input row.")
    return composed(output.flat(), names, name, is_named=len(inputs) > 1)


@functools.cache
def _decompositions() -> dict[Any, Any]:
    """Return what operations are reduced to; a stack would be rows that are joined, and cut."""
    stack = torch.ops.aten.stack.default
    table: Any = torch.export.default_decompositions()
    return {operation: how for operation, how in table.items() if operation is not stack}


def _inputs(program: ExportedProgram) -> dict[str, tuple[Tensor, list[str]]]:
    """Return, by node, each tensor that the caller passes, and the names of its columns."""
    budget, start, found = Budget(_AS_OBJECT), 0, {}
    for spec in _of_kind(program, InputKind.USER_INPUT):
        name = spec.arg.name
        value = next(n for n in program.graph.nodes if n.name == name).meta.get("val")
        width = _width(value, name)
        tensor = input_tensor(
            width,
            start,
            rows=fixed_size(value.shape[0]),
            budget=budget,
            is_whole=not value.dtype.is_floating_point,
        )
        start += width or 1
        found[name] = tensor, names_of(name, width or 1)
    if not found:
        raise ModelError("The module takes no tensor.")
    return found


def _width(value: Any, name: str) -> int | None:
    """Return how many columns an input has; None where it is one, in a line."""
    if not isinstance(value, torch.Tensor) or value.dtype not in _NUMBERS:
        raise ModelError(f"The module's input '{name}' is no tensor of numbers.")
    if value.ndim == 1:
        return None
    width = fixed_size(value.shape[1]) if value.ndim == 2 else None
    if not width:
        raise ModelError(
            f"The module's input '{name}' must have the shape [batch, features], with a fixed "
            f"number of features, not {[*map(str, value.shape)]}."
        )
    return width


def fixed_size(size: int | torch.SymInt) -> int | None:
    """Return a length; None where the program leaves it open."""
    if isinstance(size, int):
        return size
    expression = size.node.expr
    return int(expression) if expression.is_number else None


def _of_kind(program: ExportedProgram, *kinds: InputKind) -> Iterator[InputSpec]:
    return (spec for spec in program.graph_signature.input_specs if spec.kind in kinds)


def _numbers(program: ExportedProgram) -> dict[str, Value]:
    """Return, by node, what the program holds."""
    held = {**program.constants, **program.state_dict}
    kinds = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)
    return {spec.arg.name: held[spec.target].detach().cpu() for spec in _of_kind(program, *kinds)}


def _evaluated(program: ExportedProgram, known: dict[str, Value], rows: Tensor) -> Value:
    """Apply the nodes on which the output depends, in their order."""
    output = _output(program)
    needed = {output}
    for node in reversed(program.graph.nodes):
        needed |= set(node.all_input_nodes) if node in needed else set()
    for node in program.graph.nodes:
        if node in needed and node.name not in known:
            known[node.name] = _result(node, known, rows)
    return known[output.name]


def _output(program: ExportedProgram) -> fx.Node:
    specs = program.graph_signature.output_specs
    changed = [spec.target for spec in specs if spec.kind == OutputKind.BUFFER_MUTATION]
    if changed:
        raise ModelError(
            f"The module changes its buffer '{changed[0]}' when it predicts, so that the next "
            "prediction may differ: call .eval(), or take that out of its forward."
        )
    returned = [spec.arg.name for spec in specs if spec.kind == OutputKind.USER_OUTPUT]
    nodes: dict[str, fx.Node] = {node.name: node for node in program.graph.nodes}
    if len(returned) != 1 or returned[0] not in nodes:
        raise ModelError(
            f"The module returns {len(returned)} things, where a linear model returns its "
            "predictions: wrap it in one whose forward returns those alone."
        )
    return nodes[returned[0]]


def _result(node: fx.Node, known: Mapping[str, Value], rows: Tensor) -> Value:
    name = _name(node.target)
    value = node.meta.get("val")
    dtype = value.dtype if isinstance(value, torch.Tensor) else None

    def looked_up(each: fx.Node) -> Value:
        theirs = getattr(each.meta.get("val"), "dtype", None)
        found = known[each.name]
        return found if theirs == dtype else converted(found, name, dtype)

    try:
        if node.op == "get_attr":
            return None
        args, kwargs = fx.map_arg((node.args, node.kwargs), looked_up)
        return apply(node.target, name, args, kwargs, Call(dtype, rows))
    except Refused as refused:
        raise ModelError(f"The module's {name}{_place(node)} {refused}.") from None


def _name(target: Any) -> str:
    """Return an operation's name, with its library's where that is not PyTorch's own."""
    if not isinstance(target, torch._ops.OpOverload):  # noqa: SLF001 - it has no other name
        return str(getattr(target, "__name__", target))
    library, _, name = target._schema.name.partition("::")  # noqa: SLF001
    return name if library == "aten" else f"{library}::{name}"


def _place(node: fx.Node) -> str:
    """Say which layer an operation is of, and on which line of whose code, where torch knows."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    path, kind = stack[-1] if stack else ("", "")
    said = [f"layer {path}, a {str(kind).rpartition('.')[2]}"] if path else []
    frames = re.findall(r'File "(.*)", line (\d+), in .*\n\s*(.*)', node.stack_trace or "")
    own = [frame for frame in frames if "/torch/nn/" not in frame[0].replace("\\", "/")]
    if own:
        file, line, code = own[-1]
        said.append(f"{PurePath(file).name} line {line}: `{shortened(code, _MOST_SHOWN)}`")
    return f" ({'; '.join(said)})" if said else ""
