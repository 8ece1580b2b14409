"""Contenders that each have a process of their own, called in alternation.

In one process the threads of one library, which spin for a while when they have nothing to do, take
the cores from the next; and a library that only one contender needs is loaded for all of them.
"""

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection

Prepare = Callable[[], Callable[[], object]]
"""Makes the call that is timed; to be pickled, since it runs in the contender's process."""


@dataclass(frozen=True, kw_only=True)
class Calls:
    """What one call of a contender took, one entry per round."""

    seconds: tuple[float, ...]
    """The median of its turn."""
    fastest: float
    """Seconds of the fastest in all rounds. Other work on the machine only ever adds to a call, and
    adds most where every core is used: this is what a contender can do, and what compares."""
    page_faults: tuple[float, ...]
    """On average."""

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)


def alternate_processes(
    contenders: Mapping[str, Prepare], *, rounds: int, calls: int
) -> dict[str, Calls]:
    """Let one contender after the other call, round by round; the first round is not counted.

    Args:
        contenders: By name. All processes live until the end.
        rounds: How often each has its turn.
        calls: Timed ones in a turn; one more comes before them, to wake threads and fill caches.
    """
    context = multiprocessing.get_context("spawn")  # no thread of one survives into the next
    connections: dict[str, Connection] = {}
    for name, prepare in contenders.items():
        connections[name], theirs = context.Pipe()
        context.Process(target=_obey, args=(theirs, prepare), daemon=True).start()
        theirs.close()
    turns: dict[str, list[tuple[list[float], float]]] = {name: [] for name in contenders}
    for round_number in range(rounds + 1):
        for name, connection in connections.items():
            connection.send(calls)
            turn = connection.recv()
            if round_number:
                turns[name].append(turn)
    return {
        name: Calls(
            seconds=tuple(statistics.median(seconds) for seconds, _ in turn),
            fastest=min(min(seconds) for seconds, _ in turn),
            page_faults=tuple(faults for _, faults in turn),
        )
        for name, turn in turns.items()
    }


def _obey(orders: Connection, prepare: Prepare) -> None:
    """Call as often as told, until nobody is left to tell."""
    call = prepare()
    while True:
        try:
            count = orders.recv()
        except EOFError:
            return
        call()
        seconds, before = [], resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(count):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        orders.send((seconds, faults / count))
