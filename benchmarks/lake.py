"""CPU seconds and memory of states as rows grow: streamed record batches, one process and two.

    python benchmarks/lake.py [rows ...]

Each process makes its rows as it goes (not timed), adds them up into a state, and sends that; the
first merges and fits. One BLAS thread a process. Fails if memory grows with the rows by more than
MOST_GROWTH.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import multiprocessing
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

import linexport

ROWS = (1_000_000, 10_000_000)
FEATURES = (10, 100)
LARGEST_TABLE = 1_000_000_000
"""Numbers; of wider tables fewer rows are taken."""
BATCH_ROWS = 100_000
PROCESSES = (1, 2)
MOST_GROWTH = 64
"""MiB, from the least to the most rows; what an allocator keeps differs by some tens from run to
run."""


class Added(NamedTuple):
    """What one process did."""

    state: bytes
    seconds: float
    """Of CPU, reading threads included."""
    peak: float
    """MiB of resident memory."""


def main() -> None:
    sizes = [int(size) for size in sys.argv[1:]] or list(ROWS)
    grown = []
    print(f"{'rows':>12}{'columns':>9}{'processes':>11}{'CPU s':>10}{'fit s':>8}{'MiB':>7}")
    for num_features in FEATURES:
        peaks = []
        for num_rows in sizes:
            if num_rows * num_features > LARGEST_TABLE:
                continue
            digests = set()
            for count in PROCESSES:
                done = add_up(num_rows, num_features, count)
                start = time.process_time()
                total = linexport.State().merge(
                    *(linexport.State.from_bytes(each.state) for each in done)
                )
                found = total.fit()
                seconds_to_fit = time.process_time() - start
                digests.add(repr(found.coefficients))
                seconds, peak = (max(part) for part in zip(*(d[1:] for d in done), strict=True))
                peaks.append(peak)
                print(
                    f"{num_rows:>12,}{num_features:>9}{count:>11}{seconds:>10.2f}{seconds_to_fit:>8.2f}"
                    f"{peak:>7.0f}"
                )
            if len(digests) > 1:
                sys.exit("one process and two gave different coefficients")
        grown.append(max(peaks, default=0) - min(peaks, default=0))
    print(f"target: memory grows by at most {MOST_GROWTH} MiB; it grew by {max(grown):.0f}")
    if max(grown) > MOST_GROWTH:
        sys.exit("missed")


def add_up(num_rows: int, num_features: int, count: int) -> list[Added]:
    """Let each of some processes add up its part of the batches."""
    starts = list(range(0, num_rows, BATCH_ROWS))
    jobs = [
        (starts[rank::count], num_rows, num_features, f"{rank + 1}/{count}")
        for rank in range(count)
    ]
    with multiprocessing.get_context("spawn").Pool(count, maxtasksperchild=1) as pool:
        return pool.starmap(part_of, jobs, chunksize=1)


def part_of(starts: list[int], num_rows: int, num_features: int, part: str) -> Added:
    """Add up some of the batches."""
    state = linexport.State(targets="y", part=part)
    seconds = 0.0
    for batch in batches(starts, num_rows, num_features):
        begun = time.process_time()
        state.update(batch)
        seconds += time.process_time() - begun
    # Not ru_maxrss, which begins at that of who started this process.
    peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    return Added(state.to_bytes(), seconds, int(peak) / 1024)


def batches(starts: list[int], num_rows: int, num_features: int) -> Iterator[pa.RecordBatch]:
    """Make the rows of each start, whichever process does."""
    for start in starts:
        random = np.random.default_rng(start)
        size = min(BATCH_ROWS, num_rows - start)
        features = random.standard_normal((num_features, size))
        target = features.sum(axis=0) + random.standard_normal(size)
        columns = {f"x{number}": column for number, column in enumerate(features)}
        yield pa.record_batch({**columns, "y": target})


if __name__ == "__main__":
    main()
