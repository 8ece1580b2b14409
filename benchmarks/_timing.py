"""Calls and processes timed in alternation: a drift of the machine's speed hits all alike."""

import compileall
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

import linexport


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds of wall clock and of CPU, one entry per round."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]

    @property
    def median(self) -> float:
        """Of the wall clock."""
        return statistics.median(self.wall)


@dataclass(frozen=True)
class Cost:
    """Of one process."""

    cpu: float
    """Seconds."""
    wall: float
    """Seconds."""
    peak: float
    """Bytes of resident memory."""


def rounds_asked(default: int) -> int:
    """Return how many rounds to take: the first argument, or `make bench ROUNDS=1`'s."""
    return int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("ROUNDS", default))


def compile_modules() -> None:
    """Compile linexport as pip does where it installs it, and as all other packages are.

    Python itself does not where it is told to write no bytecode, and would compile in each process.
    """
    compileall.compile_dir(Path(linexport.__file__).parent, quiet=1)


def alternate(commands: Mapping[str, Sequence[str]], *, rounds: int) -> dict[str, Timing]:
    """Run every command once as a warm-up, then in turn; a failing one ends the benchmark."""
    compile_modules()
    calls = {
        name: partial(subprocess.run, command, check=True, capture_output=True)
        for name, command in commands.items()
    }
    return alternate_calls(calls, rounds=rounds, who=resource.RUSAGE_CHILDREN)


def alternate_calls(
    calls: Mapping[str, Callable[[], object]], *, rounds: int, who: int = resource.RUSAGE_SELF
) -> dict[str, Timing]:
    """Call each once as a warm-up, then in turn.

    Args:
        calls: By name.
        rounds: How often each is timed.
        who: Whose CPU time is counted.
    """
    wall: dict[str, list[float]] = {name: [] for name in calls}
    cpu: dict[str, list[float]] = {name: [] for name in calls}
    for round_number in range(rounds + 1):
        for name, call in calls.items():
            before = resource.getrusage(who)
            start = time.perf_counter()
            call()
            elapsed = time.perf_counter() - start
            after = resource.getrusage(who)
            if round_number:
                wall[name].append(elapsed)
                cpu[name].append(
                    after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
                )
    return {name: Timing(wall=tuple(wall[name]), cpu=tuple(cpu[name])) for name in calls}


def cost(command: Sequence[str]) -> Cost:
    """Run a process to its end; a failing one ends the benchmark.

    Its peak is no less than this process's own, with which Linux lets it begin: what takes memory
    is done elsewhere.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, process.returncode, usage = os.wait4(process.pid, 0)
    if process.returncode:
        sys.exit(f"failed: {' '.join(command)}")
    cpu = usage.ru_utime + usage.ru_stime
    return Cost(cpu, time.perf_counter() - start, usage.ru_maxrss * 1024)


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
