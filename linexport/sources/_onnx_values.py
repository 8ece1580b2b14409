"""What is known of a tensor in a foreign ONNX graph, and what its nodes ask of it.

A batch is known as an affine map of each row, and as the way in which its values lie: one row per
input row, one column per input row, or, of a single value each, in a line.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.errors import ModelError
from linexport.numerics import Scaled, Values
from linexport.sources._arithmetic import numbers_of

Layout = Literal["rows", "columns", "line"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Batch:
    """A tensor that depends on the input."""

    values: Values
    """C values, for every row of the input."""
    layout: Layout = "rows"
    """[N, C], [C, N], or [N] where C is 1."""
    rows: int | None = None
    """N, where the file freezes it."""

    @property
    def is_table(self) -> bool:
        """Whether each input row has its row of values, or its one value."""
        return self.layout != "columns"

    @property
    def is_unmixed(self) -> bool:
        """Whether each value still is of one input column alone."""
        return isinstance(self.values, Scaled)

    @property
    def T(self) -> "Batch":  # noqa: N802 - as an array has it
        """The batch with columns for rows."""
        layouts: dict[Layout, Layout] = {"rows": "columns", "columns": "rows", "line": "line"}
        return replace(self, layout=layouts[self.layout])

    def with_values(self, values: Values) -> "Batch":
        """Return other values in the same layout."""
        return replace(self, values=values)


Value = Batch | NDArray[Any]


@dataclass(frozen=True, slots=True)
class Node:
    """A node with its attributes by name, and what is known of its inputs."""

    operator: str
    attributes: dict[str, Any]
    proto: onnx.NodeProto
    inputs: Sequence[Value | None]

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or what it is where the node leaves it out."""
        return self.attributes.get(name, default)

    def refuse(self, reason: str) -> ModelError:
        """Return the error that says why this node is not taken."""
        place = f" '{self.proto.name}'" if self.proto.name else ""
        return ModelError(f"The ONNX graph's {self.operator}{place} {reason}.")

    def require(self, holds: bool, otherwise: str) -> None:
        """Refuse the node, with the reason, unless something holds."""
        if not holds:
            raise self.refuse(otherwise)

    @property
    def batch(self) -> Batch:
        """The first input, which must depend on the graph's."""
        return self.batch_of(self.inputs[0])

    def batch_of(self, value: Value | None) -> Batch:
        """Return what must depend on the graph's input."""
        if not isinstance(value, Batch):
            raise self.refuse("takes constants where the input's values should be")
        return value

    def numbers(self, value: Value | None) -> Float64Array:
        """Return constants in float64, which holds all that are taken exactly."""
        if isinstance(value, Batch):
            raise self.refuse("multiplies values that depend on the input, which is not linear")
        return numbers_of(np.asarray(value))

    def integers(self, place: int) -> list[int]:
        """Return a constant shape or list of axes; none where it is left out."""
        value = self.inputs[place]
        if isinstance(value, Batch):
            raise self.refuse("takes its shape from values that depend on the input")
        return [] if value is None else [int(number) for number in np.ravel(value)]

    def operands(self, left: Value | None, right: Value | None) -> tuple[Batch, Float64Array, bool]:
        """Return a batch, a number for each of its values, and whether the batch comes first."""
        if isinstance(left, Batch) and isinstance(right, Batch):
            raise self.refuse(
                "combines two values that depend on the input; fold them into one layer"
            )
        batch_first = isinstance(left, Batch)
        batch, numbers = (left, right) if batch_first else (right, left)
        assert isinstance(batch, Batch)
        array, width = self.numbers(numbers), batch.values.width
        shapes: dict[str, tuple[tuple[int, ...], ...]] = {
            "rows": ((), (1,), (1, 1), (width,), (1, width)),
            "columns": ((), (1,), (1, 1), (width, 1)),
            "line": ((), (1,)),
        }
        self.require(
            array.shape in shapes[batch.layout],
            f"has constants of shape {array.shape} for {width} values per row",
        )
        return batch, np.broadcast_to(array.ravel(), (width,)), batch_first
