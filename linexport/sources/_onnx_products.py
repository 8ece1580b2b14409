"""ONNX operators that are products with constants: Einsum and Conv."""

from string import ascii_letters

import numpy as np

from linexport.sources._arithmetic import added, contracted, numbers_of
from linexport.sources._budget import Refused
from linexport.sources._onnx_node import Node
from linexport.sources._tensors import Operand, Tensor, concatenated

__all__ = ["convolved", "einsum"]


def einsum(node: Node) -> Tensor:
    """Multiply the one operand that depends on the input by the others, and add up."""
    operands = node.operands
    tensors = [each for each in operands if isinstance(each, Tensor)]
    if len(tensors) != 1:
        raise Refused("multiplies values that depend on the input, which is not linear")
    names, out = _named(node.get("equation", b"").decode(), operands)
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


def convolved(node: Node) -> Tensor:
    """Multiply what lies under a kernel of constants, at each of its positions."""
    tensor, weight = node.tensor, numbers_of(node.operand(1))
    num_axes, groups = tensor.rank - 2, node.get("group", 1)
    plain = node.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID") and groups > 0
    fits = num_axes > 0 and weight.ndim == tensor.rank and tensor.batch == 0
    node.require(plain and fits, "has a padding, or ranks, that are not understood")
    channels, outputs = tensor.places.shape[1], weight.shape[0]
    fits = channels == groups * weight.shape[1] and outputs % groups == 0
    node.require(fits, "has a kernel for another number of channels")
    under = _patches(node, tensor, weight.shape[2:])
    kernel = weight.reshape(outputs, weight.shape[1], -1)
    axes = list(range(3, 3 + num_axes))
    parts = []
    for group in range(groups):
        own = under.sliced(slice(group * weight.shape[1], (group + 1) * weight.shape[1]), 1)
        of_group = kernel[group * outputs // groups : (group + 1) * outputs // groups]
        parts.append(contracted(own, [0, 1, 2, *axes], of_group, [-1, 1, 2], [0, -1, *axes]))
    result = parts[0] if groups == 1 else concatenated(parts, 1)
    bias = node.given(2)
    if bias is None:
        return result
    return added(result, numbers_of(bias).reshape(-1, *[1] * num_axes))


def _patches(node: Node, tensor: Tensor, kernel: tuple[int, ...]) -> Tensor:
    """Return [batch, channels, places in the kernel, positions...]."""
    num_axes = len(kernel)
    pads = node.get("pads", [0] * 2 * num_axes)
    strides, dilations = (node.get(n, [1] * num_axes) for n in ("strides", "dilations"))
    lists = len(pads) == 2 * num_axes and len(strides) == len(dilations) == num_axes
    node.require(lists and min([*strides, *dilations], default=1) > 0, "has not one stride an axis")
    if any(pads):
        amounts = [(0, 0), (0, 0), *zip(pads[:num_axes], pads[num_axes:], strict=True)]
        tensor = tensor.padded(amounts, np.zeros((), np.float32))
    parts = []
    for place in np.ndindex(*kernel):
        part = tensor
        for axis, (offset, size, step, gap) in enumerate(
            zip(place, kernel, strides, dilations, strict=True), start=2
        ):
            last = tensor.places.shape[axis] - (size - 1) * gap
            node.require(last > 0, "has a kernel that is larger than what it is laid on")
            part = part.sliced(slice(offset * gap, offset * gap + last, step), axis)
        parts.append(part.unsqueezed([2]))
    return concatenated(parts, 2) if len(parts) > 1 else parts[0]
