"""A safetensors file: ours, or one that holds the state_dict of an nn.Linear."""

from linexport import bundle
from linexport.sources import _arrays as arrays
from linexport.sources._found import Found

__all__ = ["decode"]

LARGEST_HEADER = 1 << 20
"""Bytes; two tensors need a hundred, the rest is for notes that others keep in the file."""


def decode(data: bytes) -> Found:
    """Read a model from a file that may be anything.

    Raises:
        ArtifactError: If it is damaged, or holds numbers of another type.
        ModelError: If its numbers are not those of a linear model.
    """
    numbers = bundle.decode_arrays(data, largest_header=LARGEST_HEADER, narrow=True)
    return arrays.read(numbers, source="safetensors")
