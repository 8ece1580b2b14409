"""How large the files of a bundle may be: in proportion to the numbers that it holds.

A model of D features and K targets has 4 bytes of numbers or more for each of D K. What else is in
a bundle repeats them, with names: the manifest of a fit has 250 bytes for each feature, and 500 for
each of its coefficients. So nobody is made to read, nor to hold, much more than the numbers take.
"""

import os

from linexport._files import LARGEST_FILE
from linexport.errors import BundleError

__all__ = ["largest_manifest", "largest_other", "require_proportion", "size_of"]

_LARGEST_MANIFEST = 2**28
"""Bytes; room for 100,000 features with three targets and all statistics."""
_FREE_TEXT, _TEXT_PER_BYTE = 2**20, 4096
"""Bytes of the manifest, and more of them for each byte of numbers: names may be long."""
_FREE_OTHER, _OTHER_PER_BYTE = 2**22, 16
"""Likewise of each other file, for each byte of manifest and numbers."""
_FREE_CONTAINERS, _CONTAINERS_PER_BYTE = 10_000, 8
"""Lists and objects, of which a feature makes some, and brackets in its name, told five times."""
_FREE_VALUES, _VALUES_PER_BYTE = 2**18, 32
"""Likewise of values: 500 features have as many as half of these for the spread of predictions."""


def largest_manifest(weights_bytes: int) -> int:
    """Return how many bytes manifest.json may have beside numbers of so many."""
    return min(_LARGEST_MANIFEST, _FREE_TEXT + _TEXT_PER_BYTE * weights_bytes)


def largest_other(manifest_bytes: int, weights_bytes: int) -> int:
    """Return how many bytes each other file may have."""
    return min(LARGEST_FILE, _FREE_OTHER + _OTHER_PER_BYTE * (manifest_bytes + weights_bytes))


def require_proportion(name: str, data: bytes, weights_bytes: int) -> None:
    """Refuse JSON that would be parsed to more than a model of such numbers needs.

    Raises:
        BundleError: If it has too many lists, objects or values.
    """
    containers = data.count(b"[") + data.count(b"{")
    if (
        containers > _FREE_CONTAINERS + _CONTAINERS_PER_BYTE * weights_bytes
        or data.count(b",") > _FREE_VALUES + _VALUES_PER_BYTE * weights_bytes
    ):
        raise BundleError(
            f"{name} holds more than a model needs whose weights.safetensors has "
            f"{weights_bytes} bytes."
        )


def size_of(descriptor: int, name: str) -> int:
    """Return how many bytes a file of an open directory has; 0 where it is missing."""
    try:
        return os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_size
    except OSError:
        return 0
