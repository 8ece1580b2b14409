"""What is known of a value in a graph of PyTorch's operations, and of a call of one of them."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from linexport.numerics import BFLOAT16, FLOAT16, FLOAT32, FLOAT64
from linexport.sources._budget import Constants, Refused
from linexport.sources._tensors import BATCH, Operand, Tensor

__all__ = ["PRECISIONS", "Call", "Value", "array_of", "is_batch"]

Value: TypeAlias = Any
"""A Tensor that depends on the input; a torch.Tensor or a number that does not; a list of them."""
PRECISIONS = {
    torch.float64: FLOAT64, torch.float32: FLOAT32, torch.float16: FLOAT16,
    torch.bfloat16: BFLOAT16,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation."""

    dtype: torch.dtype | None
    """Of the result."""
    rows: Tensor
    """Any tensor with the input's rows."""

    def operand(self, value: Value) -> Operand:
        """Return an operand of arithmetic, in the result's dtype, in which torch computes."""
        if isinstance(value, Tensor):
            return value
        if is_batch(value):
            raise Refused("computes with the number of rows")
        numbers: Constants = array_of(torch.as_tensor(value).to(self.dtype))
        return numbers


def is_batch(value: Value) -> bool:
    """Tell whether it is the number of rows."""
    return isinstance(value, int) and value == BATCH


def array_of(tensor: torch.Tensor) -> Constants:
    """NumPy has no bfloat16; float32 holds it."""
    tensor = tensor.detach().resolve_neg().cpu()
    array: Constants = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array
