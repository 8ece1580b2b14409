"""What PyTorch's operations that compute make of a tensor: sums, products, and what is made so."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from linexport.sources._arithmetic import (
    added,
    contracted,
    divided,
    multiplied,
    negative,
    normalized,
    numbers_of,
    product,
    subtracted,
    totalled,
)
from linexport.sources._aten_values import Call, Value, array_of
from linexport.sources._budget import Refused
from linexport.sources._products import convolution
from linexport.sources._tensors import Operand, Tensor

__all__ = ["COMPUTES"]


def _added(call: Call, left: Value, right: Value, *, alpha: float = 1) -> Tensor:
    return added(call.operand(left), _times(call, right, alpha))


def _subtracted(call: Call, left: Value, right: Value, *, alpha: float = 1) -> Tensor:
    return subtracted(call.operand(left), _times(call, right, alpha))


def _times(call: Call, value: Value, factor: float) -> Operand:
    """Multiply by a setting of the operation, if it is not 1."""
    if factor == 1:
        return call.operand(value)
    if isinstance(value, Tensor):
        return multiplied(value, call.operand(factor))
    return call.operand(torch.as_tensor(value).to(call.dtype) * factor)


def _of_two(compute: Callable[[Operand, Operand], Tensor]) -> Callable[..., Tensor]:
    return lambda call, left, right: compute(call.operand(left), call.operand(right))


def _divided(call: Call, left: Value, right: Value, *, rounding_mode: str | None = None) -> Tensor:
    if rounding_mode is not None:
        raise Refused("rounds to whole numbers, which is not linear")
    return divided(call.operand(left), call.operand(right))


def _added_product(
    call: Call, term: Value, left: Value, right: Value, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """Beta * term + alpha * left @ right."""
    total = multiplied(product(call.operand(left), call.operand(right)), call.operand(alpha))
    return added(total, _times(call, term, beta)) if beta else total


def _total(
    _: Call, x: Tensor, axes: Any = None, keep: bool = False, *, mean: bool = False, **__: Any
) -> Tensor:
    axes = [axes] if isinstance(axes, int) else axes or range(x.rank)
    return totalled(x, axes, keep=keep, mean=mean)


def _mean(call: Call, x: Tensor, axes: Any = None, keep: bool = False, **_: Any) -> Tensor:
    return _total(call, x, axes, keep, mean=True)


def _running_total(_: Call, x: Tensor, axis: int, **__: Any) -> Tensor:
    axis = x.inner_axis(axis, "adds up rows")
    names = list(range(x.rank))
    weight = np.triu(np.ones((x.shape[axis], x.shape[axis])))
    return contracted(x, names, weight, [axis, -1], [-1 if n == axis else n for n in names])


def _normalized(
    _: Call, x: Tensor, gain: Value, shift: Value, mean: Value, variance: Value,
    __: float, epsilon: float,
) -> list[Tensor]:  # fmt: skip
    numbers = {"mean": mean, "variance": variance, "gain": gain, "shift": shift}
    if any(isinstance(value, Tensor) for value in numbers.values()):
        raise Refused("normalises by values that depend on the input, which is not linear")
    arrays: Any = {
        name: None if value is None else array_of(value) for name, value in numbers.items()
    }
    return [normalized(x, 1, **arrays, epsilon=epsilon)]


def _convolved(
    call: Call, x: Value, weight: Value, bias: Value, stride: Sequence[int],
    padding: Sequence[int], dilation: Sequence[int], transposed: bool, _: Any, groups: int,
) -> Tensor:  # fmt: skip
    if not isinstance(x, Tensor):
        raise Refused("has weights that depend on the input, which is not linear")
    if transposed:
        raise Refused("is transposed, which is not known here")
    return convolution(
        x,
        numbers_of(call.operand(weight)),
        None if bias is None else numbers_of(call.operand(bias)),
        pads=[(amount, amount) for amount in padding],
        strides=stride,
        dilations=dilation,
        groups=groups,
    )


COMPUTES: Mapping[str, Callable[..., Value]] = {
    "_native_batch_norm_legit_no_training": _normalized,
    "add": _added,
    "addmm": _added_product,
    "addmv": _added_product,
    "baddbmm": _added_product,
    "bmm": _of_two(product),
    "convolution": _convolved,
    "cumsum": _running_total,
    "div": _divided,
    "dot": _of_two(product),
    "mean": _mean,
    "mm": _of_two(product),
    "mul": _of_two(multiplied),
    "mv": _of_two(product),
    "neg": lambda _, x: negative(x),
    "rsub": lambda call, left, right, alpha=1: _subtracted(call, right, left, alpha=alpha),
    "sub": _subtracted,
    "sum": _total,
}
