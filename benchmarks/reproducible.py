"""What exact sums, the same bits in any order, cost beside the plain pass of least squares.

    python benchmarks/reproducible.py [rounds]

Adding up random normal rows in memory: as `train` does where one pass is enough, in double-double
as it does where rows are read again, and exactly, as a state does. One BLAS thread, seconds of
CPU. Exact sums were to become the only ones at no more than TARGET times the plain pass.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Callable
from functools import partial

import numpy as np
from _timing import alternate_calls, rounds_asked

from linexport.least_squares import Summing
from linexport.least_squares._factor import CAREFUL
from linexport.least_squares._passes import Accumulator, Plan

TARGET = 2.0
SIZES = ((1_000_000, 10), (200_000, 100))


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


def in_passes(rows: np.ndarray, num_slices: int) -> object:
    accumulator = Accumulator(rows.shape[1] - 1, 1, Plan(num_slices=num_slices))
    accumulator.add(rows[:, :-1], rows[:, -1:])
    return accumulator.factor()


def exactly(rows: np.ndarray, weights: np.ndarray | None = None) -> object:
    summing = Summing(rows.shape[1])
    summing.add(rows, weights)
    return summing.sums()


if __name__ == "__main__":
    main()
