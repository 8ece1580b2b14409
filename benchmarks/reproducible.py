"""What exact sums, the same bits in any order, cost beside the plain pass of least squares.

    python benchmarks/reproducible.py [rounds]

Adding up random normal rows in memory: as `train` does where one pass is enough, in double-double
as it does where rows are read again, and exactly, as a state does. One BLAS thread, seconds of
CPU. Exact sums were to become the only ones at no more than TARGET times the plain pass.

Then beside the bitrep package, which is exact from first to last too: rows with WITNESS features
must be added up FASTER times as fast, and coefficients must have the same bits. These are compared
for SOLVED features: solving in integers, it takes 25 times as long for twice as many.
"""

import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Callable
from functools import partial

import bitrep
import numpy as np
from _timing import alternate_calls, rounds_asked

import linexport
from linexport.least_squares import Summing
from linexport.least_squares._factor import CAREFUL
from linexport.least_squares._passes import Accumulator, Plan

TARGET = 2.0
SIZES = ((1_000_000, 10), (200_000, 100))
FASTER = 5.0
WITNESS, SOLVED = (10_000, 100), (10_000, 20)


def main() -> None:
    rounds = rounds_asked(5)
    for num_rows, num_features in SIZES:
        random = np.random.default_rng(0)
        rows = random.standard_normal((num_rows, num_features + 1))
        weights = random.random(num_rows)
        calls: dict[str, Callable[[], object]] = {
            "plain": partial(in_passes, rows, 0),
            "double-double": partial(in_passes, rows, CAREFUL),
            "exact": partial(exactly, rows),
            "exact, float32 rows": partial(exactly, rows.astype(np.float32).astype(np.float64)),
            "exact, 0 and 1": partial(exactly, (rows > 0).astype(np.float64)),
            "exact, weights": partial(exactly, rows, weights),
        }
        timings = alternate_calls(calls, rounds=rounds)
        print(f"{num_rows:,} x {num_features}")
        plain = min(timings["plain"].cpu)
        for name, timing in timings.items():
            seconds = min(timing.cpu)
            print(f"  {name:<20}{seconds:8.3f} s{seconds / plain:8.1f} times")
    print(f"to be the only sums: at most {TARGET} times")
    if witness(rounds) < FASTER:
        sys.exit(f"missed: bitrep must take at least {FASTER} times as long")


def in_passes(rows: np.ndarray, num_slices: int) -> object:
    accumulator = Accumulator(rows.shape[1] - 1, 1, Plan(num_slices=num_slices))
    accumulator.add(rows[:, :-1], rows[:, -1:])
    return accumulator.factor()


def exactly(rows: np.ndarray, weights: np.ndarray | None = None) -> object:
    summing = Summing(rows.shape[1])
    summing.add(rows, weights)
    return summing.sums()


def witness(rounds: int) -> float:
    """Print what another's exact sums take, and return how often ours fit into their time."""
    random = np.random.default_rng(1)
    rows, few = (random.standard_normal((size, width + 1)) for size, width in (WITNESS, SOLVED))
    calls: dict[str, Callable[[], object]] = {
        "ours": partial(exactly, rows),
        "bitrep": partial(by_bitrep, rows),
    }
    timings = alternate_calls(calls, rounds=rounds)
    ours, theirs = (min(timings[name].cpu) for name in calls)
    print(f"{WITNESS[0]:,} x {WITNESS[1]}")
    print(f"  ours {ours:.3f} s, bitrep {theirs:.3f} s, {theirs / ours:.1f} times")
    found = linexport.State().update(few[:, :-1], few[:, -1]).fit().coefficients["y"]
    if [found.intercept, *found.features.values()] != by_bitrep(few).regression_exact():
        sys.exit("ours and bitrep's coefficients differ")
    print(f"{SOLVED[0]:,} x {SOLVED[1]}: the same coefficients, bit for bit")
    return theirs / ours


def by_bitrep(rows: np.ndarray) -> bitrep.CovMatrixF64:
    sums = bitrep.CovMatrixF64(rows.shape[1] - 1)
    for *features, target in rows.tolist():
        sums.add(features, target)
    return sums


if __name__ == "__main__":
    main()
