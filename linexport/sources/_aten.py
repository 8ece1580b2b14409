"""What PyTorch's operations make of tensors: a table over those of `_tensors` and `_arithmetic`.

A graph comes in core ATen, to which `ExportedProgram.run_decompositions` brings it: some two
hundred operations, to which the thousands of torch are reduced, and none of which changes a tensor
in place. What depends on constants alone is computed by torch itself, as the module would.
"""

import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from linexport.sources._arithmetic import cast
from linexport.sources._aten_computing import COMPUTES
from linexport.sources._aten_moving import BY_VALUE, MOVES
from linexport.sources._aten_values import PRECISIONS, Call, Value, array_of, is_batch
from linexport.sources._budget import Refused
from linexport.sources._tensors import BATCH, Tensor, constant

__all__ = ["apply", "converted"]

_BATCH_AT_HAND = "normalises by the batch at hand: call .eval(), and keep track_running_stats=True"
_BY_ROW = "normalises each row by its own deviation, which is not linear"
_REASONS = {
    "_local_scalar_dense": "takes a number out of the batch, on which all rows then depend",
    "_native_batch_norm_legit": _BATCH_AT_HAND,
    "_native_batch_norm_legit_functional": _BATCH_AT_HAND,
    "native_batch_norm": _BATCH_AT_HAND,
    "native_group_norm": _BY_ROW,
    "native_layer_norm": _BY_ROW,
    "_fused_rms_norm": _BY_ROW,
    "cond": BY_VALUE,
    "native_dropout": "drops values at random: call .eval() first",
    "while_loop": BY_VALUE,
}
"""Why operations that networks often have are not taken."""


def apply(target: Any, name: str, args: Sequence[Value], kwargs: Any, call: Call) -> Value:
    """Return what an operation makes of its arguments.

    Raises:
        Refused: If that is no affine map of each row.
    """
    if target is operator.getitem:
        return args[0][args[1]]
    if torch.Tag.nondeterministic_seeded in getattr(target, "tags", ()):
        raise Refused(_REASONS.get(name, "draws random numbers: call .eval() first"))
    if not any(isinstance(part, Tensor) for part in _leaves((args, kwargs))):
        return _of_constants(target, name, args, kwargs, call)
    if name in MOVES:
        return MOVES[name](call, *args, **kwargs)
    if name in COMPUTES:
        return COMPUTES[name](call, *args, **kwargs)
    raise Refused(_REASONS.get(name, "is not known to be affine, as linear models are"))


def converted(value: Value, name: str, dtype: torch.dtype | None) -> Value:
    """Return a tensor in the dtype in which an operation computes."""
    if not isinstance(value, Tensor) or name not in COMPUTES or dtype not in PRECISIONS:
        return value
    return cast(value, PRECISIONS[dtype])


def _leaves(thing: Any) -> list[Any]:
    if isinstance(thing, dict):
        thing = list(thing.values())
    return [x for part in thing for x in _leaves(part)] if _is_list(thing) else [thing]


def _is_list(thing: Any) -> bool:
    return isinstance(thing, list | tuple | dict)


def _of_constants(target: Any, name: str, args: Any, kwargs: Any, call: Call) -> Value:
    kwargs = {**kwargs, **({"device": "cpu"} if "device" in kwargs else {})}
    shape: Sequence[Any] = args[name != "full"] if name in _REPEATS else ()
    batch = shape.index(BATCH) if shape.count(BATCH) == 1 else None
    if batch is None and any(map(is_batch, _leaves((args, kwargs)))):
        raise Refused("computes with the number of rows")
    if batch is None:
        return target(*args, **kwargs)
    # What is the same for every row is held once.
    once = [1 if size == BATCH else size for size in shape]
    made = target(*(once if part is shape else part for part in args), **kwargs)
    return constant(array_of(made), replace(call.rows, batch=batch))


_REPEATS = ("expand", "full", "repeat")
"""Make rows of constants, by a shape or by how often."""
