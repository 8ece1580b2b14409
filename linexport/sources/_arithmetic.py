"""What a foreign graph computes of its tensors: sums, products with constants, and what is made so.

Each function takes operands as `_tensors` has them, one of which at least depends on the input, and
returns a tensor; it raises `Refused` where the result is no affine map of each row.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from linexport._arrays import Float64Array
from linexport.numerics import Precision, Scaled, Values, batch_normalized, beside, summed
from linexport.sources._budget import (
    Constants,
    Refused,
    joined_size,
    mixed_size,
    precision_of_array,
    row_size,
)
from linexport.sources._tensors import Operand, Tensor, constant

__all__ = [
    "added",
    "cast",
    "chosen",
    "contracted",
    "divided",
    "multiplied",
    "negative",
    "normalized",
    "numbers_of",
    "product",
    "subtracted",
    "totalled",
]

_NOT_LINEAR = "multiplies values that depend on the input, which is not linear"


def numbers_of(operand: Operand, otherwise: str = _NOT_LINEAR) -> Float64Array:
    """Return constants in float64, which holds all that are taken exactly.

    A tensor that is the same for every row has them too, with 1 for the batch.
    """
    if isinstance(operand, Tensor):
        values = operand.values
        if not isinstance(values, Scaled) or np.any(values.gain.high) or np.any(values.shift.low):
            raise Refused(otherwise)
        return np.asarray(values.shift.high[operand.places])
    precision_of_array(operand)
    numbers = operand.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise Refused("computes with constants that are NaN or infinity")
    return numbers


def added(*operands: Operand) -> Tensor:
    """Add up what depends on the input and constants, in their order, as NumPy broadcasts."""
    tensors = [each for each in operands if isinstance(each, Tensor)]
    total = _sum_of(tensors) if len(tensors) > 1 else tensors[0]
    for each in operands:
        if not isinstance(each, Tensor):
            whole, numbers = _with_numbers(total, numbers_of(each))
            total = whole.replaced(whole.values.plus(numbers))
    return total


def _sum_of(tensors: Sequence[Tensor]) -> Tensor:
    """Add up tensors."""
    shape = _broadcast([each.places.shape for each in tensors])
    parts = [_expanded(_computing(each), shape) for each in tensors]
    if len({part.batch for part in parts}) > 1:
        raise Refused("combines rows with each other")
    values = [part.flat() for part in parts]
    scaled = [each for each in values if isinstance(each, Scaled)]
    alike = all(np.array_equal(each.columns, scaled[0].columns) for each in scaled)
    size = len(values) * values[0].width
    if not alike or len(scaled) < len(values):
        size = mixed_size(values)
    parts[0].budget.charge(size)
    return parts[0].made(summed(values), shape)


def subtracted(left: Operand, right: Operand) -> Tensor:
    """Return left - right."""
    if isinstance(right, Tensor):
        return added(left, negative(right))
    return added(left, -_floats(right))


def _floats(array: Constants) -> Constants:
    precision_of_array(array)
    return array


def negative(tensor: Tensor) -> Tensor:
    """Return -tensor."""
    return _scaled(tensor, np.array(-1.0))


def multiplied(left: Operand, right: Operand) -> Tensor:
    """Multiply by constants, as NumPy broadcasts."""
    if not isinstance(left, Tensor) or (isinstance(right, Tensor) and _is_constant(left)):
        left, right = right, left
    if not isinstance(left, Tensor):
        raise Refused(_NOT_LINEAR)
    return _scaled(left, numbers_of(right))


def _is_constant(tensor: Tensor) -> bool:
    return isinstance(tensor.values, Scaled) and not np.any(tensor.values.gain.high)


def _scaled(tensor: Tensor, numbers: Float64Array) -> Tensor:
    whole, factors = _with_numbers(tensor, numbers)
    whole.budget.charge(whole.values.width * row_size(whole.values))
    return whole.replaced(whole.values.times(factors))


def divided(left: Operand, right: Operand) -> Tensor:
    """Divide by constants, as NumPy broadcasts."""
    numbers = numbers_of(right, "divides by what depends on the input, which is not linear")
    if not np.all(numbers):
        raise Refused("divides by 0")
    if not isinstance(left, Tensor):
        assert isinstance(right, Tensor)
        shape = _broadcast([left.shape, numbers.shape])
        left = constant(np.broadcast_to(left, shape), right.expanded(_free(right, shape)))
    whole, divisors = _with_numbers(left, numbers)
    whole.budget.charge(whole.values.width * row_size(whole.values))
    return whole.replaced(whole.values.over(divisors))


def _with_numbers(tensor: Tensor, numbers: Float64Array) -> tuple[Tensor, Float64Array]:
    """Return a tensor with a value for each element, and a number for each."""
    shape = _broadcast([tensor.places.shape, numbers.shape])
    whole = _expanded(_computing(tensor), shape)
    aligned = numbers.reshape((1,) * (len(shape) - numbers.ndim) + numbers.shape)
    if aligned.shape[whole.batch] != 1:
        raise Refused("has constants that differ from row to row")
    values = whole.flat()
    of_each = np.broadcast_to(aligned, whole.places.shape).ravel()
    return whole.made(values, whole.places.shape), of_each


def _broadcast(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise Refused(
            f"has operands of shapes that do not fit, {shapes[0]} and {shapes[-1]}"
        ) from error


def _expanded(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    return tensor if tensor.places.shape == shape else tensor.expanded(_free(tensor, shape))


def _free(tensor: Tensor, shape: tuple[int, ...]) -> list[int]:
    """Leave the batch as it is: what else has rows is found out by who asked."""
    target = list(shape)
    target[len(shape) - tensor.rank + tensor.batch] = 1
    return target


def _computing(tensor: Tensor) -> Tensor:
    if tensor.is_whole:
        raise Refused("computes in whole numbers, which wrap round: cast the input first")
    return tensor


def totalled(tensor: Tensor, axes: Sequence[int], *, keep: bool, mean: bool = False) -> Tensor:
    """Add up along axes that are not the batch, or take the mean; they stay as 1 where kept."""
    chosen = sorted({tensor.inner_axis(axis, "adds up rows") for axis in axes})
    names = list(range(tensor.rank))
    out = [name for name in names if name not in chosen]
    total = contracted(tensor, names, np.ones(()), [], out)
    if mean:
        count = np.prod([float(tensor.places.shape[axis]) for axis in chosen])
        total = divided(total, np.array(count))
    return total.unsqueezed(chosen) if keep and chosen else total


def product(left: Operand, right: Operand) -> Tensor:
    """Multiply matrices, as NumPy's matmul does with stacks and lines of them."""
    ranks = [each.rank if isinstance(each, Tensor) else each.ndim for each in (left, right)]
    if min(ranks) == 0:
        raise Refused("multiplies a matrix by a single number")
    outer = list(range(2, max(ranks)))  # named from behind: 0 and 1 are those of the matrices
    summed_over, of_left, of_right = -1, -2, -3
    first = [*outer[len(outer) - max(ranks[0] - 2, 0) :], of_left, summed_over]
    second = [*outer[len(outer) - max(ranks[1] - 2, 0) :], summed_over, of_right]
    first = first if ranks[0] > 1 else [summed_over]
    second = second if ranks[1] > 1 else [summed_over]
    out = [*outer, *([of_left] * (ranks[0] > 1)), *([of_right] * (ranks[1] > 1))]
    if isinstance(left, Tensor):
        return contracted(left, first, numbers_of(right), second, out)
    assert isinstance(right, Tensor)
    return contracted(right, second, numbers_of(left), first, out)


def contracted(
    tensor: Tensor,
    names: Sequence[int],
    weight: Float64Array,
    weight_names: Sequence[int],
    out: Sequence[int],
) -> Tensor:
    """Multiply by constants and add up, as np.einsum does: each axis has a name, a number.

    Axes of length one are repeated; those that `out` does not name are added up.
    """
    if len(names) != tensor.rank or len(weight_names) != weight.ndim:
        raise Refused("has operands of other ranks than it names")
    batch = names[tensor.batch]
    if batch not in out:
        raise Refused("adds up rows")
    if names.count(batch) > 1:
        raise Refused("combines rows with each other")
    inner = [name for name in dict.fromkeys([*names, *weight_names]) if name not in out]
    order = [*out, *inner]
    places = _aligned(_computing(tensor).places, names, order)
    factors = _aligned(weight, weight_names, order)
    if factors.shape[order.index(batch)] != 1:
        raise Refused("has constants that differ from row to row")
    shape = _broadcast([places.shape, factors.shape])
    if not min(shape, default=1):
        raise Refused("adds up nothing")
    tensor.budget.charge(int(np.prod(shape, dtype=object)))
    summed_shape = (*places.shape[: len(out)], *shape[len(out) :])
    whole = replace(tensor, places=np.broadcast_to(places, summed_shape), batch=0)
    values = whole.flat()
    terms = np.broadcast_to(np.arange(values.width).reshape(summed_shape), shape)
    rows = (int(np.prod(shape[: len(out)])), -1)
    mixed = _through(
        whole, values, terms.reshape(rows), np.broadcast_to(factors, shape).reshape(rows)
    )
    return whole.made(mixed, shape[: len(out)], list(out).index(batch))


def _aligned(array: Constants, names: Sequence[int], order: Sequence[int]) -> Constants:
    """Put axes into an order, with 1 for those that an array does not have."""
    own = list(dict.fromkeys(names))
    for name in own:
        if len({array.shape[axis] for axis, other in enumerate(names) if other == name}) > 1:
            raise Refused("takes a diagonal of what is not square")
    letters = {name: number for number, name in enumerate(own)}
    if len(own) < len(names):
        array = np.einsum(array, [letters[name] for name in names], list(range(len(own))))
    present = [name for name in order if name in letters]
    array = array.transpose([letters[name] for name in present])
    return array.reshape(
        [array.shape[present.index(name)] if name in letters else 1 for name in order]
    )


def _through(tensor: Tensor, values: Values, terms: Constants, factors: Float64Array) -> Values:
    """Combine values: of each result, which they are and their factors, shape (O, J)."""
    num_results, num_terms = terms.shape
    size = num_results * (values.width + row_size(values))
    tensor.budget.charge(size, num_results * num_terms * row_size(values))
    weight = np.zeros((num_results, values.width))
    weight[np.arange(num_results)[:, None], terms] = factors
    return values.through(weight)


def normalized(
    tensor: Tensor,
    axis: int,
    *,
    mean: Constants,
    variance: Constants,
    gain: Constants | None,
    shift: Constants | None,
    epsilon: float,
) -> Tensor:
    """Return (x - mean) / sqrt(variance + epsilon) * gain + shift, numbers along one axis."""
    axis = _computing(tensor).inner_axis(axis, "normalises across rows")
    length = tensor.places.shape[axis]
    shape = [length if other == axis else 1 for other in range(tensor.rank)]

    def spread(numbers: Constants) -> Float64Array:
        if numbers.shape != (length,):
            raise Refused("has not one of each number per feature")
        wide = numbers_of(numbers).reshape(shape)
        return np.broadcast_to(wide, tensor.places.shape).ravel()

    values = tensor.flat()
    tensor.budget.charge(values.width * row_size(values))
    done = batch_normalized(
        values,
        mean=spread(mean),
        variance=spread(variance),
        gain=None if gain is None else spread(gain),
        shift=None if shift is None else spread(shift),
        epsilon=epsilon,
    )
    return tensor.made(done, tensor.places.shape)


def cast(tensor: Tensor, precision: Precision) -> Tensor:
    """Go on in another precision."""
    return replace(tensor, values=tensor.values.cast(precision), is_whole=False)


def chosen(condition: Constants, left: Operand, right: Operand) -> Tensor:
    """Take the left where a constant condition holds and the right elsewhere."""
    like = left if isinstance(left, Tensor) else right
    assert isinstance(like, Tensor)
    shapes = [
        each.places.shape if isinstance(each, Tensor) else each.shape for each in (left, right)
    ]
    shape = _broadcast([condition.shape, *shapes])
    batch = like.batch + len(shape) - like.rank
    whole = replace(like, batch=batch)
    parts = [
        _expanded(each, shape)
        if isinstance(each, Tensor)
        else constant(np.broadcast_to(each, shape), whole)
        for each in (left, right)
    ]
    if parts[0].batch != parts[1].batch or shape[batch] != 1:
        raise Refused("chooses by row")
    values = [part.values for part in parts]
    like.budget.charge(joined_size(values))
    second = parts[1].places + values[0].width
    places = np.where(condition, parts[0].places, second)
    chosen_of = replace(parts[0], is_whole=any(part.is_whole for part in parts))
    return chosen_of.replaced(beside(values)).moved(places)
