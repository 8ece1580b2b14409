"""NumPy for small tables, PyTorch for all others: the operations that the two spell differently.

A call of NumPy takes a half to a third of the time of one of PyTorch, which has threads and GPUs.
Operators, slices and assignments to slices are the same in both.
"""

from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

__all__ = ["Array", "compose", "gather", "kind_of", "multiply", "shared", "suited", "zeros"]

Array: TypeAlias = Any
"""An array of NumPy or a tensor. No type that a checker knows has the operators of both."""

SMALL = 8_192
"""Values of a table up to which NumPy computes: an epoch of 400 to 8,000 then takes 0.4 to 0.7 of
the time, measured with 2 to 30 features (1.2 with 30 in batches of one row). The ways break even
between 40,000 and 100,000; but from a batch of 9,216 values on NumPy's BLAS (OpenBLAS) starts
threads, which wait where a core is busy, and whose number changes the bits."""


def suited(table: Tensor) -> Array:
    """Return the same memory, as an array of NumPy where that makes training faster."""
    small = table.device.type == "cpu" and table.numel() <= SMALL
    return table.numpy() if small else table


def shared(tensor: Tensor, *, like: Array) -> Array:
    """Return the same memory, as an array of NumPy if `like` is one."""
    return tensor.numpy() if isinstance(like, np.ndarray) else tensor


def kind_of(array: Array) -> str:
    """Return "numpy", or the type of a tensor's device."""
    return "numpy" if isinstance(array, np.ndarray) else array.device.type


def zeros(*shape: int, like: Array) -> Array:
    """Return zeros of the same kind and dtype."""
    if isinstance(like, np.ndarray):
        return np.zeros(shape, like.dtype)
    return like.new_zeros(shape)


def gather(rows: Array, places: Array, *, out: Array) -> None:
    """Write the rows (N, C) at the places, which all exist."""
    if isinstance(rows, np.ndarray):
        rows.take(places, axis=0, out=out, mode="clip")  # "raise" would gather into a copy of `out`
    else:
        torch.index_select(rows, 0, places, out=out)


def multiply(left: Array, right: Array, factor: float, *, out: Array) -> None:
    """Write the products of two stacks of matrices, times a number."""
    if isinstance(out, np.ndarray):
        np.matmul(left, right, out=out)
        out *= factor
    else:
        out.baddbmm_(left, right, beta=0, alpha=factor)  # 0: overwrites


def compose(first: Array, second: Array, matrices: Array, *, out: Array) -> None:
    """Write first + second - matrices @ first, of stacks of matrices."""
    if isinstance(out, np.ndarray):
        np.add(first, second, out=out)
        out -= matrices @ first
    else:
        torch.add(first, second, out=out).baddbmm_(matrices, first, alpha=-1)
