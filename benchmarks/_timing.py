"""Whole processes timed in alternation, so that a drift of the machine's speed hits all alike."""

import resource
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds of wall clock and of CPU, one entry per round."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]

    @property
    def median(self) -> float:
        """Of the wall clock."""
        return statistics.median(self.wall)


def alternate(commands: Mapping[str, Sequence[str]], *, rounds: int) -> dict[str, Timing]:
    """Run every command once as a warm-up, then in turn; a failing one ends the benchmark."""
    wall: dict[str, list[float]] = {name: [] for name in commands}
    cpu: dict[str, list[float]] = {name: [] for name in commands}
    for round_number in range(rounds + 1):
        for name, command in commands.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            elapsed = time.perf_counter() - start
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if round_number:
                wall[name].append(elapsed)
                cpu[name].append(
                    after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
                )
    return {name: Timing(wall=tuple(wall[name]), cpu=tuple(cpu[name])) for name in commands}


def report(timings: Mapping[str, Timing], *, base: str) -> dict[str, float]:
    """Print medians and the median of each round's ratio to the base; return the ratios."""
    ratios = {}
    print(f"{'':<44}{'wall s':>9}{'CPU s':>9}{'ratio':>9}  of {base}")
    for name, timing in timings.items():
        pairs = np.array(timing.wall) / np.array(timings[base].wall)
        ratios[name] = float(np.median(pairs))
        cpu = statistics.median(timing.cpu)
        print(f"{name:<44}{timing.median:>9.3f}{cpu:>9.3f}{ratios[name]:>9.2f}")
    return ratios
