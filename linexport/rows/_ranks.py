"""The ranks of a job: processes that train one model together, as torchrun starts them.

Every rank runs the same program on its own share of the rows, and says the same things in the same
order: an exchange ends when all ranks have come to it. So that none waits for one that has failed,
each exchange of results begins with a roll call, in which a rank that cannot go on tells why; all
of them then raise its error. Numbers travel as arrays and messages as text: nothing is unpickled.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from linexport._arrays import Float64Array, FloatArray
from linexport._documented import documented
from linexport.errors import ConfigError


@documented
class Ranks:
    """The processes that train together, as one of them sees them: here, a process by itself."""

    rank: int = 0
    """This process's number."""
    size: int = 1
    """How many there are."""
    local_rank: int = 0
    """This process's number among those of this machine."""
    local_size: int = 1
    """How many are on this machine."""

    def gather(self, values: Float64Array) -> Float64Array:
        """Return the arrays of all ranks, which are of one shape, stacked in their order.

        Raises:
            LinexportError: What a rank failed with, on all of them.
        """
        return values[np.newaxis]

    def sum(self, values: FloatArray) -> FloatArray:
        """Return the sum over the ranks of arrays of one shape and dtype, without a roll call."""
        return values

    @contextmanager
    def together(self) -> Iterator[None]:
        """Return a context at whose end all ranks have succeeded, or raise the same error."""
        yield


ONE = Ranks()
"""A process by itself."""


@contextmanager
def open_ranks() -> Iterator[Ranks]:
    """Join the ranks that torchrun started; without it there is this process alone.

    They talk through torch.distributed's gloo, which has neither authentication nor encryption. An
    error that is to be told must be told before this ends.

    Raises:
        ConfigError: If the environment tells only half of what torchrun sets.
        TrainingError: If the ranks do not find each other.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ONE
        return
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise ConfigError(f"WORLD_SIZE is set, but {missing[0]} is not: start with torchrun.")
    from linexport.rows._process_group import joined  # it imports torch

    with joined() as ranks:
        yield ranks
