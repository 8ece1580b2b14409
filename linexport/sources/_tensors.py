"""A tensor of a foreign graph that depends on the graph's input, and what moves its values.

One axis of such a tensor is the batch: along it lie the input's rows, and what a row's values are
is the same affine map of each. So a tensor is the values of one row, and an array of places among
them that has the tensor's shape with a batch of length one. Whatever moves values is done on the
places, with NumPy, and touches no number.

The other operand of an operation may be constants: a NumPy array in the dtype in which the graph
has it. A dialect (ONNX, ATen) is a table of functions that call these here and in `_arithmetic`; it
catches `Refused` and says which of its operations it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linexport.numerics import FLOAT64, Values, beside, constants, input_columns
from linexport.sources._budget import (
    Budget,
    Constants,
    Refused,
    joined_size,
    precision_of_array,
    row_size,
)

__all__ = ["BATCH", "Operand", "Tensor", "concatenated", "constant", "input_tensor"]

BATCH = -(2**52 + 1)
"""The number of rows in a shape, where it is not known: no size, and no index, that a file has."""
Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tensor:
    """A tensor that depends on the input."""

    values: Values
    """Of one row, in any order."""
    places: Places
    """For each element of one row, which of the values it is; of the tensor's shape, with 1 for the
    batch."""
    batch: int
    """Which axis the batch is."""
    rows: int | None
    """The length of the batch, where the graph freezes it."""
    budget: Budget
    is_whole: bool = False
    """Whether it has whole numbers, with which nothing is computed before they are cast."""

    @property
    def rank(self) -> int:
        """How many axes it has."""
        return self.places.ndim

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis; `BATCH` for the batch, unless that is frozen."""
        length = BATCH if self.rows is None else self.rows
        return (*self.places.shape[: self.batch], length, *self.places.shape[self.batch + 1 :])

    @property
    def is_table(self) -> bool:
        """Whether it has one row of values, or one value, for each row of the input."""
        return self.batch == 0 and self.rank in (1, 2)

    def axis(self, axis: int, rank: int | None = None) -> int:
        """Return an axis counted from the front; a negative one is counted from behind.

        Raises:
            Refused: If there is no such axis.
        """
        rank = self.rank if rank is None else rank
        if not -rank <= axis < rank:
            raise Refused(f"names axis {axis} of a tensor that has {rank}")
        return axis % rank

    def inner_axis(self, axis: int, otherwise: str = "mixes rows") -> int:
        """Return an axis that is not the batch, counted from the front.

        Raises:
            Refused: If there is none, or it is the batch.
        """
        axis = self.axis(axis)
        if axis == self.batch:
            raise Refused(otherwise)
        return axis

    def moved(self, places: Places, batch: int | None = None) -> "Tensor":
        """Return elements at other places; a batch of another axis is told."""
        self.budget.charge(places.size)
        return replace(self, places=places, batch=self.batch if batch is None else batch)

    def flat(self) -> Values:
        """Return a value for each element of one row, in the order of the elements."""
        places = self.places.ravel()
        if np.array_equal(places, np.arange(self.values.width)):
            return self.values
        self.budget.charge(places.size * row_size(self.values))
        return self.values.taken(places)

    def made(self, values: Values, shape: tuple[int, ...], batch: int | None = None) -> "Tensor":
        """Return what was computed, a value for each element; the shape has 1 for the batch."""
        return self.replaced(values).moved(np.arange(values.width).reshape(shape), batch)

    def replaced(self, values: Values) -> "Tensor":
        """Return other values at the same places."""
        return replace(self, values=values)

    # Operations that move values.

    def transposed(self, order: Sequence[int]) -> "Tensor":
        """Put the axes into another order."""
        axes = [self.axis(axis) for axis in order]
        if sorted(axes) != list(range(self.rank)):
            raise Refused(f"puts {self.rank} axes into the order {list(order)}")
        return self.moved(self.places.transpose(axes), axes.index(self.batch))

    def reshaped(self, shape: Sequence[int]) -> "Tensor":
        """Give it another shape, in which the rows stay what they are; -1 is what remains."""
        lengths = self._resolved(list(shape))
        before = int(np.prod(self.places.shape[: self.batch], dtype=np.int64))
        length = self.shape[self.batch]
        for axis, size in enumerate(lengths):
            as_one = [1 if other == axis else lengths[other] for other in range(len(lengths))]
            first = int(np.prod(as_one[:axis], dtype=object))
            whole = int(np.prod(as_one, dtype=object))
            if (size, first, whole) == (length, before, self.places.size):
                return self.moved(self.places.reshape(as_one), axis)
        said = [*("N" if size == BATCH else size for size in shape)]
        raise Refused(f"mixes rows: the shape {_said(self.shape)} becomes {_said(said)}")

    def _resolved(self, shape: list[int]) -> list[int]:
        """Find what -1 stands for."""
        if shape.count(-1) != 1:
            return shape
        place = shape.index(-1)
        known = [size for size in shape if size not in (-1, BATCH)]
        rest = int(np.prod(known, dtype=object))
        size = self.places.size * (1 if self.rows is None or BATCH in shape else self.rows)
        if rest <= 0 or size % rest:
            raise Refused(f"gives {_said(self.shape)} the shape {_said(shape)}")
        is_batch = self.rows is None and BATCH not in shape and size == rest
        shape[place] = BATCH if is_batch else size // rest
        return shape

    def merged(self, first: int, last: int) -> "Tensor":
        """Make one axis of those from the first to the last."""
        sizes = list(self.shape)
        inner = sizes[first : last + 1]
        if BATCH in inner and inner.count(1) == len(inner) - 1:
            length = BATCH
        elif BATCH in inner:
            raise Refused("joins rows")
        else:
            length = int(np.prod(inner, dtype=np.int64))
        return self.reshaped([*sizes[:first], length, *sizes[last + 1 :]])

    def taken(self, indices: Any, axis: int) -> "Tensor":
        """Take elements along an axis; an index alone takes the axis away."""
        axis, indices = self.inner_axis(axis, "chooses rows"), np.asarray(indices)
        length = self.places.shape[axis]
        if indices.dtype.kind not in "iu":
            raise Refused("chooses by what are no whole numbers")
        if ((indices < -length) | (indices >= length)).any():
            raise Refused(f"chooses other than some of {length}")
        self.budget.charge(self.places.size // max(length, 1) * indices.size)
        places = np.take(self.places, indices, axis=axis)
        return self.moved(places, self.batch + (indices.ndim - 1) * (axis < self.batch))

    def sliced(self, part: slice, axis: int) -> "Tensor":
        """Take a part of an axis; of the batch, all of it."""
        axis = self.axis(axis)
        if axis == self.batch:
            whole = part.start in (None, 0) and part.step in (None, 1)
            end = part.stop in (None, BATCH) or part.stop >= (self.rows or 2**31 - 1)
            if not (whole and end):
                raise Refused("chooses rows")
            return self
        return self.moved(self.places[(slice(None),) * axis + (part,)])

    def squeezed(self, axes: Sequence[int] | None) -> "Tensor":
        """Take out axes of length one; all that are, where none are named."""
        sizes = self.places.shape
        if axes is None:
            axes = [axis for axis, size in enumerate(sizes) if size == 1 and axis != self.batch]
        chosen = {self.inner_axis(axis, "takes out the axis of the rows") for axis in axes}
        if any(sizes[axis] != 1 for axis in chosen):
            raise Refused(f"takes out an axis that is not of length 1 of {_said(self.shape)}")
        batch = self.batch - sum(axis < self.batch for axis in chosen)
        return self.moved(self.places.squeeze(tuple(chosen)), batch)

    def unsqueezed(self, axes: Sequence[int]) -> "Tensor":
        """Put in axes of length one, which are counted in the result."""
        rank = self.rank + len(axes)
        chosen = {self.axis(axis, rank) for axis in axes}
        if len(chosen) < len(axes):
            raise Refused("puts in an axis twice")
        batch = [axis for axis in range(rank) if axis not in chosen][self.batch]
        return self.moved(np.expand_dims(self.places, tuple(chosen)), batch)

    def expanded(self, shape: Sequence[int]) -> "Tensor":
        """Repeat it to a shape, as NumPy broadcasts."""
        rank = max(self.rank, len(shape))
        places = self.places.reshape((1,) * (rank - self.rank) + self.places.shape)
        batch = self.batch + rank - self.rank
        target = [1] * (rank - len(shape)) + list(shape)
        if target[batch] not in (1, self.rows, BATCH):
            raise Refused(f"repeats rows: {_said(self.shape)} becomes {_said(shape)}")
        target[batch] = 1
        if min(target, default=1) < 0:
            raise Refused("repeats values as often as there are rows")
        try:
            whole = np.broadcast_shapes(places.shape, tuple(target))
        except ValueError as error:
            raise Refused(f"makes {_said(shape)} of {_said(self.shape)}") from error
        self.budget.charge(int(np.prod(whole, dtype=object)))
        return self.moved(np.broadcast_to(places, whole), batch)

    def repeated(self, counts: Sequence[int]) -> "Tensor":
        """Put it behind itself: how often, for each axis."""
        for axis, count in enumerate(counts):
            if count != 1:
                self.inner_axis(axis, "repeats rows")
            if count < 1:
                raise Refused("repeats nothing")
        self.budget.charge(int(np.prod([self.places.size, *counts], dtype=object)))
        return self.moved(np.tile(self.places, counts))

    def padded(self, amounts: Sequence[tuple[int, int]], number: Constants) -> "Tensor":
        """Put a constant around it: how often before and behind, for each axis."""
        if amounts[self.batch] != (0, 0):
            raise Refused("adds rows")
        if any(min(pair) < 0 for pair in amounts):
            raise Refused("cuts by a negative amount")
        shape = [n + sum(pair) for n, pair in zip(self.places.shape, amounts, strict=True)]
        self.budget.charge(int(np.prod(shape, dtype=object)) + row_size(self.values))
        fill = constant(number.reshape((1,) * self.rank), self)
        joined = beside([self.values, fill.values])
        places = np.pad(self.places, amounts, constant_values=self.values.width)
        return self.replaced(joined).moved(places)


Operand = Tensor | Constants


def input_tensor(
    width: int | None, start: int, *, rows: int | None, budget: Budget, is_whole: bool = False
) -> Tensor:
    """Return an input [batch, width], or [batch] where the width is None, from a column on."""
    budget.charge((width or 1) * (1 + Budget.OF_A_FEATURE))
    values = input_columns(width or 1, start)
    places = np.arange(width or 1).reshape((1,) if width is None else (1, width))
    return Tensor(
        values=values, places=places, batch=0, rows=rows, budget=budget, is_whole=is_whole
    )


def constant(array: Constants, like: Tensor) -> Tensor:
    """Return constants as a tensor, the same for every row, with the batch of another.

    Raises:
        Refused: If they are not of length one along that, or no finite numbers.
    """
    if array.ndim <= like.batch or array.shape[like.batch] != 1:
        raise Refused("joins rows of constants to the input's")
    numbers = array.astype(np.float64).ravel()
    if not np.isfinite(numbers).all():
        raise Refused("takes constants that are NaN or infinity")
    like.budget.charge(numbers.size)
    whole = array.dtype.kind in "iu"
    values = constants(numbers, FLOAT64 if whole else precision_of_array(array))
    places = np.arange(numbers.size).reshape(array.shape)
    return replace(like, values=values, places=places, is_whole=whole)


def concatenated(parts: Sequence[Operand], axis: int) -> Tensor:
    """Put tensors, and constants, behind each other along an axis that is not the batch."""
    first = next(part for part in parts if isinstance(part, Tensor))
    axis = first.inner_axis(axis, "joins rows")
    tensors = [
        part if isinstance(part, Tensor) else constant(_of_one_row(part, first), first)
        for part in parts
    ]
    values = list({id(part.values): part.values for part in tensors}.values())
    starts = dict(zip(map(id, values), np.cumsum([0, *(v.width for v in values)]), strict=False))
    first.budget.charge(sum(part.places.size for part in tensors))
    if len(values) > 1:
        first.budget.charge(joined_size(values))
    for part in tensors:
        shape = [*part.places.shape]
        if part.batch != first.batch or part.rank != first.rank:
            raise Refused("joins tensors whose rows lie along different axes")
        shape[axis] = first.places.shape[axis]
        if tuple(shape) != first.places.shape:
            raise Refused("joins tensors of different shapes")
    places = [part.places + starts[id(part.values)] for part in tensors]
    whole = any(part.is_whole for part in tensors)
    joined = replace(first, values=beside(values), is_whole=whole)
    return replace(joined, places=np.concatenate(places, axis=axis))


def _of_one_row(array: Constants, like: Tensor) -> Constants:
    """Return constants where they are the only row of a batch that is frozen at one."""
    if like.rows != 1:
        raise Refused("joins constants to rows, of which there may be any number")
    return array


def _said(shape: Sequence[Any]) -> str:
    return f"[{', '.join('N' if size == BATCH else str(size) for size in shape)}]"
