"""One node of a foreign ONNX graph, with what is known of its inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from linexport.errors import ModelError
from linexport.sources._budget import Constants, Refused
from linexport.sources._tensors import BATCH, Operand, Tensor

__all__ = ["Node"]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A node with its attributes by name; None for an input that it leaves out."""

    proto: onnx.NodeProto
    attributes: Mapping[str, Any]
    inputs: Sequence[Operand | None] = ()

    @classmethod
    def of(cls, proto: onnx.NodeProto, inputs: Sequence[Operand | None] = ()) -> "Node":
        """Take a node of a checked file."""
        attributes = {part.name: helper.get_attribute_value(part) for part in proto.attribute}
        return cls(proto, attributes, inputs)

    @property
    def operator(self) -> str:
        """Its name, without the domain."""
        return str(self.proto.op_type)

    def error(self, reason: str) -> ModelError:
        """Return the error that says why this node is not taken."""
        name = self.proto.name or next(filter(None, self.proto.output), "")
        place = f" '{name[:80]}'" if name else ""
        return ModelError(f"The ONNX graph's {self.operator}{place} {reason}.")

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or what it is where the node leaves it out."""
        return self.attributes.get(name, default)

    def require(self, holds: bool, otherwise: str) -> None:
        """Refuse the node, with the reason, unless something holds."""
        if not holds:
            raise Refused(otherwise)

    def given(self, place: int) -> Operand | None:
        """Return an input; None where it is left out."""
        return self.inputs[place] if place < len(self.inputs) else None

    def operand(self, place: int) -> Operand:
        """Return an input that must be there."""
        operand = self.given(place)
        if operand is None:
            raise Refused("lacks an input")
        return operand

    @property
    def operands(self) -> list[Operand]:
        """All inputs that are there."""
        return [each for each in self.inputs if each is not None]

    @property
    def tensor(self) -> Tensor:
        """The first input, which must depend on the graph's."""
        operand = self.operand(0)
        if not isinstance(operand, Tensor):
            raise Refused("takes the model's input in another place than its first")
        return operand

    def constants(self, place: int, what: str) -> Constants | None:
        """Return an input that must not depend on the graph's; None where it is left out."""
        operand = self.given(place)
        if isinstance(operand, Tensor):
            raise Refused(f"takes {what} from values that depend on the input, which is not linear")
        return operand

    def integers(self, place: int, name: str, what: str) -> list[int] | None:
        """Return a list of whole numbers: an input, or an attribute in older opsets."""
        array = self.constants(place, what)
        if array is None:
            stated = self.get(name)
            return None if stated is None else np.ravel(stated).tolist()
        if array.dtype.kind not in "iu":
            raise Refused(f"takes {what} from what are no whole numbers")
        return [int(number) for number in array.ravel()]

    def shape(self, place: int) -> list[int]:
        """Return a shape, in which `BATCH` may stand for the number of rows.

        Raises:
            Refused: If it is not stated, or states a negative size.
        """
        stated = self.integers(place, "shape", "its shape")
        if stated is None or any(size < -1 and size != BATCH for size in stated):
            raise Refused("does not state its shape")
        return stated
