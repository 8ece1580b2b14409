"""The memory that a file may take while it is read, of the kinds that say what they unpack to."""

__all__ = ["memory_allowed"]

_FREE_MEMORY, _MEMORY_PER_BYTE = 2**28, 64
"""Bytes for any file, and more of them for each of its bytes: numbers are compressed to a half or a
tenth, a column that takes a field in a footer of Arrow gets 8 KiB, and a cell of a usual workbook
has 6 bytes or more in the file and takes 70."""


def memory_allowed(file_bytes: int) -> int:
    """Return how many bytes of memory a file of so many bytes is allowed."""
    return _FREE_MEMORY + _MEMORY_PER_BYTE * file_bytes
