"""Products with constants that ONNX and PyTorch write in ways of their own: einsum, convolution."""

from collections.abc import Sequence
from string import ascii_letters

import numpy as np

from linexport._arrays import Float64Array
from linexport.sources._arithmetic import added, contracted, numbers_of
from linexport.sources._budget import Refused
from linexport.sources._tensors import Operand, Tensor, concatenated

__all__ = ["convolution", "einsum"]


def einsum(equation: str, operands: list[Operand]) -> Tensor:
    """Multiply the one operand that depends on the input by the others, and add up."""
    tensors = [each for each in operands if isinstance(each, Tensor)]
    if len(tensors) != 1:
        raise Refused("multiplies values that depend on the input, which is not linear")
    names, out = _named(equation, operands)
    by_tensor = next(n for n, each in zip(names, operands, strict=True) if each is tensors[0])
    others = [
        (numbers_of(each), n)
        for n, each in zip(names, operands, strict=True)
        if each is not tensors[0]
    ] or [(np.ones(()), [])]
    tensor = tensors[0]
    for numbers, own in others[:-1]:
        both = list(dict.fromkeys([*by_tensor, *own]))
        tensor, by_tensor = contracted(tensor, by_tensor, numbers, own, both), both
    return contracted(tensor, by_tensor, *others[-1], out)


def _named(equation: str, operands: list[Operand]) -> tuple[list[list[int]], list[int]]:
    """Return a number for the name of each axis of each operand, and of the result.

    Those that an ellipsis stands for have negative ones, counted from behind.
    """
    given, arrow, result = equation.replace(" ", "").partition("->")
    terms = given.split(",")
    if len(terms) != len(operands) or not set(given + result) <= {*ascii_letters, ",", "."}:
        raise Refused(f"has the equation '{equation[:80]}' for {len(operands)} operands")
    ranks = [each.rank if isinstance(each, Tensor) else each.ndim for each in operands]
    hidden = [rank - len(t.replace("...", "")) for t, rank in zip(terms, ranks, strict=True)]
    if any(n < 0 or (n and "..." not in t) for t, n in zip(terms, hidden, strict=True)):
        raise Refused(f"has the equation '{equation[:80]}' for operands of {ranks} axes")
    most = max(hidden)
    if not arrow:
        letters = [letter for letter in given if letter.isalpha()]
        once = sorted(letter for letter in set(letters) if letters.count(letter) == 1)
        result = "..." * (most > 0) + "".join(once)
    names = [_numbers(term, n) for term, n in zip(terms, hidden, strict=True)]
    out = _numbers(result, most if "..." in result else 0)
    if len(set(out)) < len(out) or not set(out) <= set().union(*map(set, names)):
        raise Refused(f"has the equation '{equation[:80]}', whose result is not of its operands")
    return names, out


def _numbers(term: str, hidden: int) -> list[int]:
    before, dots, after = term.partition("...")
    inner = list(range(-hidden, 0)) if dots else []
    return [*map(ord, before), *inner, *map(ord, after)]


def convolution(
    tensor: Tensor,
    kernel: Float64Array,
    bias: Float64Array | None,
    *,
    pads: Sequence[tuple[int, int]],
    strides: Sequence[int],
    dilations: Sequence[int],
    groups: int,
) -> Tensor:
    """Multiply windows of [batch, channels, ...] by a kernel [outputs, channels / groups, ...]."""
    num_axes, channels = kernel.ndim - 2, kernel.shape[1]
    fits = len(pads) == len(strides) == len(dilations) == num_axes == tensor.rank - 2 > 0
    fits = fits and tensor.batch == 0 and min([*strides, *dilations, groups]) > 0
    if not fits or len(kernel) % groups or tensor.places.shape[1] != groups * channels:
        raise Refused("has strides, groups or a kernel that do not fit what it is laid on")
    if any(map(any, pads)):
        tensor = tensor.padded([(0, 0), (0, 0), *pads], np.zeros((), np.float32))
    axes = range(2, 2 + 2 * num_axes, 2)  # each becomes two: where a window is, and what is in it
    for axis, size, step, gap in zip(axes, kernel.shape[2:], strides, dilations, strict=True):
        starts = np.arange(0, tensor.places.shape[axis] - (size - 1) * gap, step)
        if not starts.size:
            raise Refused("has a kernel that is larger than what it is laid on")
        tensor = tensor.taken(starts[:, None] + gap * np.arange(size), axis)
    names, inside = range(2 + 2 * num_axes), [axis + 1 for axis in axes]
    parts = []
    for group, own in enumerate(np.split(kernel, groups)):
        under = tensor.sliced(slice(group * channels, (group + 1) * channels), 1)
        parts.append(contracted(under, names, own, [-1, 1, *inside], [0, -1, *axes]))
    result = parts[0] if groups == 1 else concatenated(parts, 1)
    return result if bias is None else added(result, bias.reshape(-1, *[1] * num_axes))
