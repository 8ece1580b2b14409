"""Ranks in threads of this process: what they exchange is real, how it travels is not."""

import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import numpy as np

SECONDS = 60  # then a rank that waits for another in vain makes the test fail instead of hang


class _Meeting:
    """Where all ranks put something down and take everything up, round after round."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.rounds: list[dict[int, Any]] = []
        self.ended: set[int] = set()
        self.changed = threading.Condition()

    def exchange(self, rank: int, round_number: int, value: Any) -> list[Any]:
        with self.changed:
            if round_number == len(self.rounds):
                self.rounds.append({})
            values = self.rounds[round_number]
            values[rank] = value
            self.changed.notify_all()
            self.changed.wait_for(lambda: len(values) == self.size or self.ended, SECONDS)
            assert len(values) == self.size, f"rank {rank} waits for others, which have ended"
            return [values[other] for other in range(self.size)]

    def end(self, rank: int) -> None:
        with self.changed:
            self.ended.add(rank)
            self.changed.notify_all()


class ThreadRank:
    """One of them."""

    def __init__(self, rank: int, meeting: _Meeting) -> None:
        self.rank = self.local_rank = rank
        self.size = self.local_size = meeting.size
        self._meeting = meeting
        self._rounds = 0

    def _exchange(self, value: Any) -> list[Any]:
        self._rounds += 1
        return self._meeting.exchange(self.rank, self._rounds - 1, value)

    def gather(self, values: np.ndarray) -> np.ndarray:
        return np.stack(self._exchange(np.array(values)))

    def sum(self, values: np.ndarray) -> np.ndarray:
        return sum(self._exchange(np.array(values)))

    @contextmanager
    def together(self):
        yield


def on_ranks(size: int, work: Callable[[ThreadRank], Any]) -> list[Any]:
    """Return what each rank's work returns, or the error it raises."""
    meeting = _Meeting(size)
    outcomes: list[Any] = [None] * size

    def run(rank: int) -> None:
        try:
            outcomes[rank] = work(ThreadRank(rank, meeting))
        except Exception as error:  # the test looks at it
            outcomes[rank] = error
        finally:
            meeting.end(rank)

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
