"""How many threads one operation is worth."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

__all__ = ["threads_for"]

SINGLE_THREAD_VALUES = 32_768
"""PyTorch's own grain: its kernels share out no less. BLAS does, which gains nothing (measured with
2 threads: 84 us against 81 at 32,000 values) and on a machine whose cores are busy with something
else makes each step wait for a core (at 4,420 values 23 ms against 66 us)."""


def threads_for(
    num_values: int, *, alone: int = SINGLE_THREAD_VALUES
) -> AbstractContextManager[None]:
    """Compute with one thread where operations take so few values that more are not faster.

    Args:
        num_values: How many an operation takes.
        alone: Up to how many one thread does them alone.
    """
    num_threads = torch.get_num_threads()
    if num_threads == 1 or num_values > alone:
        return nullcontext()
    return _one_thread(num_threads)


@contextmanager
def _one_thread(num_threads: int) -> Iterator[None]:
    """Compute with one thread, and then with so many."""
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)
