"""What PyTorch's operations that move values, and keep them, make of a tensor."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from linexport.sources._arithmetic import cast, chosen
from linexport.sources._aten_values import PRECISIONS, Call, Value
from linexport.sources._budget import Refused
from linexport.sources._tensors import Tensor, concatenated, constant

__all__ = ["BY_VALUE", "MOVES"]

BY_VALUE = "does one thing or another as the input's values are, which is not linear"


def _same(_: Call, x: Tensor, *__: Any, **___: Any) -> Tensor:
    return x


def _to_copy(_: Call, x: Tensor, *, dtype: torch.dtype | None = None, **__: Any) -> Tensor:
    if dtype is None:
        return x
    if dtype not in PRECISIONS:
        raise Refused("makes whole numbers of what is computed, which is not linear")
    return cast(x, PRECISIONS[dtype])


def _reshaped(_: Call, x: Tensor, shape: Sequence[int]) -> Tensor:
    return x.reshaped(shape)


def _squeezed(_: Call, x: Tensor, axes: int | Sequence[int] | None = None) -> Tensor:
    """Take out the axes named, of those that are of length one."""
    named = range(x.rank) if axes is None else [axes] if isinstance(axes, int) else axes
    chosen = [axis for axis in map(x.axis, named) if x.shape[axis] == 1]
    return x.squeezed(chosen) if chosen else x


def _expanded(_: Call, x: Tensor, shape: Sequence[int], **__: Any) -> Tensor:
    own = [*[1] * (len(shape) - x.rank), *x.shape]
    return x.expanded([a if b == -1 else b for a, b in zip(own, shape, strict=True)])


def _repeated(_: Call, x: Tensor, times: Sequence[int]) -> Tensor:
    return x.unsqueezed(range(len(times) - x.rank)).repeated(times)


def _sliced(
    _: Call,
    x: Tensor,
    axis: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Tensor:
    return x.sliced(slice(start, end, step), axis)


def _selected(_: Call, x: Tensor, axis: int, index: Any) -> Tensor:
    index = index.numpy() if isinstance(index, torch.Tensor) else index
    return x.taken(index, axis)


def _indexed(_: Call, x: Value, indices: Sequence[torch.Tensor | None]) -> Tensor:
    """Take elements along one axis; a mask takes those where it is true."""
    axes = [axis for axis, index in enumerate(indices) if index is not None]
    if not isinstance(x, Tensor) or len(axes) != 1:
        raise Refused("chooses along several axes at once, or by the input's values")
    (axis,), index = axes, indices[axes[0]]
    if not isinstance(index, torch.Tensor):
        raise Refused("chooses by the input's values, which is not linear")
    if index.dtype != torch.bool:
        return x.taken(index.numpy(), axis)
    if index.ndim > 1:
        raise Refused("chooses along several axes at once")
    return x.taken(np.flatnonzero(index.numpy()), axis)


def _flipped(_: Call, x: Tensor, axes: Sequence[int]) -> Tensor:
    for axis in axes:
        x = x.sliced(slice(None, None, -1), x.inner_axis(axis, "turns round the rows"))
    return x


def _joined(call: Call, parts: Sequence[Value], axis: int = 0) -> Tensor:
    like = next(part for part in parts if isinstance(part, Tensor))
    return concatenated([call.operand(part) for part in parts], like.axis(axis))


def _stacked(call: Call, parts: Sequence[Value], axis: int = 0) -> Tensor:
    """Put tensors behind each other along an axis of its own."""
    operands = [call.operand(part) for part in parts]
    rank = 1 + next(part.rank for part in operands if isinstance(part, Tensor))
    axis = axis % rank
    return concatenated(
        [
            part.unsqueezed([axis]) if isinstance(part, Tensor) else np.expand_dims(part, axis)
            for part in operands
        ],
        axis,
    )


def _split(_: Call, x: Tensor, sizes: Sequence[int], axis: int = 0) -> list[Tensor]:
    ends = np.cumsum([0, *sizes])
    pairs = zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    return [x.sliced(slice(start, end), axis) for start, end in pairs]


def _unbound(_: Call, x: Tensor, axis: int = 0) -> list[Tensor]:
    axis = x.inner_axis(axis)
    return [x.taken(index, axis) for index in range(x.shape[axis])]


def _padded(_: Call, x: Tensor, amounts: Sequence[int], value: float = 0.0) -> Tensor:
    """Amounts are of the last axis first."""
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    before = [(0, 0)] * (x.rank - len(pairs))
    return x.padded([*before, *pairs[::-1]], np.array(float(value)))


def _whole(call: Call, value: Value, like: Tensor) -> Tensor:
    """Return what is put into a tensor, as one of the same shape."""
    value = call.operand(value)
    if isinstance(value, Tensor):
        return value.expanded(like.shape)
    return constant(np.broadcast_to(value, like.places.shape), like)


def _copied(call: Call, x: Value, new: Value, *_: Any) -> Tensor:
    """Put new values in the place of all that a tensor has."""
    return _whole(call, new, x) if isinstance(x, Tensor) else new.expanded([*x.shape])


def _slice_scattered(
    call: Call,
    x: Value, new: Value, axis: int = 0, start: int | None = None, end: int | None = None,
    step: int = 1,
) -> Tensor:  # fmt: skip
    """Put new values in the place of a slice."""
    if not isinstance(x, Tensor):
        raise Refused("writes values that depend on the input into constants: use torch.cat")
    axis = x.axis(axis)
    if axis == x.batch:
        x.sliced(slice(start, end, step), axis)  # all rows, or it is refused
        return _whole(call, new, x)
    length = x.shape[axis]
    places = np.arange(length)
    chosen_places = places[slice(start, end, step)]
    new = _whole(call, new, x.taken(chosen_places, axis))
    order = places.copy()
    order[chosen_places] = length + np.arange(chosen_places.size)
    return concatenated([x, new], axis).taken(order, axis)


def _filled(call: Call, x: Tensor, value: Any, **_: Any) -> Tensor:
    return _whole(call, value, x)


def _size(_: Call, x: Tensor, axis: int) -> int:
    return x.shape[x.axis(axis)]


def _chosen(call: Call, condition: Value, left: Value, right: Value) -> Tensor:
    if isinstance(condition, Tensor):
        raise Refused(BY_VALUE)
    return chosen(condition.numpy(), call.operand(left), call.operand(right))


MOVES: Mapping[str, Callable[..., Value]] = {
    "_to_copy": _to_copy,
    "_unsafe_view": _reshaped,
    "alias": _same,
    "cat": _joined,
    "clone": _same,
    "constant_pad_nd": _padded,
    "copy": _copied,
    "detach": _same,
    "expand": _expanded,
    "fill": _filled,
    "flip": _flipped,
    "full_like": _filled,
    "index": _indexed,
    "index_select": _selected,
    "permute": lambda _, x, order: x.transposed(order),
    "repeat": _repeated,
    "reshape": _reshaped,
    "select": _selected,
    "slice": _sliced,
    "slice_scatter": _slice_scattered,
    "split_with_sizes": _split,
    "squeeze": _squeezed,
    "stack": _stacked,
    "sym_size": _size,
    "unbind": _unbound,
    "unsqueeze": lambda _, x, axis: x.unsqueezed([axis]),
    "view": _reshaped,
    "where": _chosen,
}
