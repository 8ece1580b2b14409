"""Whether a limit of memory leaves room for the libraries, which do not all say when there is none.

Without it, OpenBLAS ends the process with 1, which means that a runtime disagrees; polars, PyTorch
and onnxruntime abort, or fail in as many words as there are threads.
"""

import os
import sys
from collections.abc import Sequence

from linexport.errors import UnavailableError

__all__ = ["require_room"]

_LEAST, _LEAST_WITH_TORCH, _OF_A_CORE = 2**30, 2**31, 2**27
"""Bytes of addresses: twice what commands on a few rows were seen to end well with; and for the
stacks and heaps of the threads that libraries start for each core."""
_WITH_TORCH = {"export", "fit", "train-and-export", "verify"}
_HELP = {"-h", "--help", "--version"}


def require_room(given: Sequence[str], commands: Sequence[str]) -> None:
    """Refuse to begin a command whose libraries would not load, or do so and then fail.

    Where they are loaded already, nothing is asked.

    Raises:
        UnavailableError: If the limit of addresses (`ulimit -v`) is too low.
    """
    name = next((word for word in given if word in commands), None)
    if name is None or _HELP & {*given} or "numpy" in sys.modules:
        return
    try:
        import resource
    except ImportError:  # not a system with limits
        return
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    least = _LEAST_WITH_TORCH if name in _WITH_TORCH else _LEAST
    least += _OF_A_CORE * (os.cpu_count() or 1)
    if limit not in (resource.RLIM_INFINITY, -1) and limit < least:
        raise UnavailableError(
            f"Memory is limited to {limit >> 10} KiB (ulimit -v), and {name} needs {least >> 10} "
            f"for the libraries alone: set ulimit -v {least >> 10} or more, or limit what is "
            "resident, as systemd-run -p MemoryMax= and docker run --memory do."
        )
