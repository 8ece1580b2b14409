"""weights.safetensors: the numbers that define what is right."""

from typing import Any

import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors import numpy as safetensors_numpy

from linexport._arrays import FloatArray, FloatDType
from linexport.errors import ArtifactError, ModelError
from linexport.model import LinearModel

LARGEST_HEADER = 4096
"""Bytes; the header names three arrays, where the safetensors format would allow 100 MB."""

_DAMAGED = "The safetensors file is damaged:"
_DTYPES: dict[str, FloatDType] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
_NARROW_DTYPES: dict[str, FloatDType] = {"F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}


def encode_weights(model: LinearModel) -> bytes:
    """Write a model's numbers: weight (K, D), bias (K,) and, where centred, mean (D,)."""
    return bytes(safetensors_numpy.save(dict(model.arrays())))


def decode_weights(data: bytes) -> LinearModel:
    """Read a model's numbers, under default names, from a file that may be anything.

    Raises:
        ArtifactError: If it is no safetensors file, or does not hold exactly a finite linear model.
    """
    try:
        return LinearModel.from_arrays(decode_arrays(data))
    except ModelError as error:
        raise ArtifactError(f"The safetensors file is no linear model: {error}") from error


def decode_arrays(
    data: bytes, *, largest_header: int = LARGEST_HEADER, narrow: bool = False
) -> dict[str, FloatArray]:
    """Read arrays by name from a file that may be anything.

    Args:
        data: What it holds.
        largest_header: Bytes.
        narrow: Whether to take float16 and bfloat16 too, as the float32 that equals them.

    Raises:
        ArtifactError: If it is no safetensors file, or holds other numbers than these or float32
            and float64.
    """
    if int.from_bytes(data[:8], "little") > largest_header:
        raise ArtifactError(f"{_DAMAGED} its header passes {largest_header} bytes.")
    tensors: list[tuple[str, dict[str, Any]]]
    try:
        tensors = safetensors.deserialize(data)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise ArtifactError(f"{_DAMAGED} {error}.") from error
    dtypes = _DTYPES | _NARROW_DTYPES if narrow else _DTYPES
    arrays: dict[str, FloatArray] = {}
    for name, tensor in tensors:
        kind = tensor["dtype"]
        if kind not in dtypes:
            raise ArtifactError(
                f"The safetensors file holds {name} as {kind}; it must be {' or '.join(dtypes)}."
            )
        flat = _widened(np.frombuffer(tensor["data"], dtype=dtypes[kind]))
        arrays[name] = flat.reshape(tensor["shape"])
    return arrays


def _widened(values: NDArray[Any]) -> FloatArray:
    """Return float16, and the bits of bfloat16, as float32: of that, bfloat16 is the upper half."""
    if values.dtype == np.uint16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32) if values.dtype == np.float16 else values
