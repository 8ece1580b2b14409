"""weights.safetensors: the numbers that define what is right."""

from typing import Any

import numpy as np
import safetensors
from safetensors import numpy as safetensors_numpy

from linexport._arrays import FloatArray, FloatDType
from linexport.errors import ArtifactError, ModelError
from linexport.model import LinearModel

LARGEST_HEADER = 4096
"""Bytes; the header names four arrays, where the safetensors format would allow 100 MB."""

_DAMAGED = "The safetensors file is damaged:"
_DTYPES: dict[str, FloatDType] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}


def encode_weights(model: LinearModel) -> bytes:
    """Write a model's numbers: weight (K, D), bias (K,) and, where kept, mean and scale (D,)."""
    return bytes(safetensors_numpy.save(dict(model.arrays())))


def decode_weights(data: bytes) -> LinearModel:
    """Read a model's numbers, under default names, from a file that may be anything.

    Raises:
        ArtifactError: If it is no safetensors file, or does not hold exactly a finite linear model.
    """
    if int.from_bytes(data[:8], "little") > LARGEST_HEADER:
        raise ArtifactError(f"{_DAMAGED} its header passes {LARGEST_HEADER} bytes.")
    tensors: list[tuple[str, dict[str, Any]]]
    try:
        tensors = safetensors.deserialize(data)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise ArtifactError(f"{_DAMAGED} {error}.") from error
    arrays: dict[str, FloatArray] = {}
    for name, tensor in tensors:
        if tensor["dtype"] not in _DTYPES:
            raise ArtifactError(
                f"The safetensors file holds {name} as {tensor['dtype']}; it must be F32 or F64."
            )
        flat = np.frombuffer(tensor["data"], dtype=_DTYPES[tensor["dtype"]])
        arrays[name] = flat.reshape(tensor["shape"])
    try:
        return LinearModel.from_arrays(arrays)
    except ModelError as error:
        raise ArtifactError(f"The safetensors file is no linear model: {error}") from error
