"""Batches in memory, by rows and by columns, against NumPy, torch, onnxruntime and the memory.

    python benchmarks/batches.py [rounds]

float32, each contender in a process of its own. Ours is `load(path).predict` on rows (C order) and
on columns (Fortran order, as a table lies). The peers are NumPy's X @ w + b and torch's `linear`,
on either, and a bare `session.run` on rows, which is all that the exported file takes.

The limit is the time to read every feature once and then to write every prediction once, each by
the fastest of several ways with as many threads as the contenders have. The memory serves reading
and writing by the same wires, so nothing that does both can be faster. Of the ways to read, BLAS's
matrix-vector product wins: it follows several rows at once, so each core has more cache lines on
their way than in a plain sum.

Each prediction is dropped before the next is asked for, so allocators can give the same memory
again. "kept" keeps them: then each goes to memory that the system has to clear first, at a cost
that is the system's and not the reader's, and is reported for ours and for writing alone.

The figures are each contender's fastest call, with the median beside it. Fails if ours in its
better order is slower than the best peer, or columns are read at less than MEMORY_TARGET of the
limit.
"""

import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _processes import Calls, Prepare, alternate_processes
from _timing import rounds_asked

SIZES = ((10_000_000, 2), (2_000_000, 10), (200_000, 100))
"""80 MB of features each, beyond a cache of 32 MiB."""
PEER_TARGET = 1.0
"""Who has a bundle should have no reason to predict with anything else."""
MEMORY_TARGET = 0.7
"""torch.add of two columns, a loop that does nothing else, was found at 0.7 to 0.9 of it."""
CALLS = 5
"""In one turn."""
KEPT_ROUNDS = 3
"""They hold on to 1 GB each."""
WIDTH = 4000
"""Of the matrix as which BLAS reads the features; it divides all sizes."""

Array = np.ndarray[Any, np.dtype[np.float32]]
Call = Callable[[], object]


def main() -> None:
    rounds = rounds_asked(15)
    missed = [line for size in SIZES for line in run(*size, rounds)]
    print(f"targets: {PEER_TARGET} of the best peer, and by columns {MEMORY_TARGET} of the limit")
    if missed:
        sys.exit("missed: " + "; ".join(missed))


def run(num_rows: int, num_features: int, rounds: int) -> list[str]:
    """Print one size's table and return what missed its target."""
    with tempfile.TemporaryDirectory() as scratch:
        bundle = export(num_features, Path(scratch) / "bundle")
        return measure((num_rows, num_features), bundle, rounds)


def measure(size: tuple[int, int], bundle: Path, rounds: int) -> list[str]:
    by_rows, by_columns = "linexport, rows", "linexport, columns"
    ours: dict[str, Prepare] = {
        by_rows: partial(predicting, bundle, size, "C"),
        by_columns: partial(predicting, bundle, size, "F"),
    }
    peers: dict[str, Prepare] = {
        "session.run, rows": partial(session_running, bundle, size),
        "numpy, rows": partial(numpy_multiplying, size, "C"),
        "numpy, columns": partial(numpy_multiplying, size, "F"),
        "torch, rows": partial(torch_multiplying, size, "C"),
        "torch, columns": partial(torch_multiplying, size, "F"),
    }
    reading: dict[str, Prepare] = {
        "read: matrix-vector product": partial(reading_by_product, size),
        "read: numpy max, threads": partial(reading_by_max, size),
        "read: torch sum": partial(reading_by_sum, size),
    }
    writing: dict[str, Prepare] = {
        "write: numpy fill, threads": partial(writing_by_threads, size),
        "write: torch fill_": partial(writing_by_torch, size),
    }
    kept: dict[str, Prepare] = {
        "linexport, columns, kept": partial(keeping, ours[by_columns]),
        "write: numpy full, kept": partial(keeping, partial(writing_new_memory, size)),
    }
    timings = alternate_processes(ours | peers | reading | writing, rounds=rounds, calls=CALLS)
    timings |= alternate_processes(kept, rounds=KEPT_ROUNDS, calls=CALLS)
    fastest = {name: timing.fastest for name, timing in timings.items()}
    limit = sum(min(fastest[name] for name in ways) for ways in (reading, writing))
    num_rows, num_features = size
    label = f"{num_rows:,} x {num_features}"
    print_table(label, timings, moved=4 * num_rows * (num_features + 1), limit=limit)
    best_peer = min(peers, key=fastest.__getitem__)
    ratio = fastest[best_peer] / min(fastest[name] for name in ours)
    of_limit = limit / fastest[by_columns]
    print(f"  {ratio:.2f} times as fast as {best_peer}; columns at {of_limit:.2f} of the limit")
    missed = []
    if ratio < PEER_TARGET:
        missed.append(f"{label}: {ratio:.2f} of {best_peer}")
    if of_limit < MEMORY_TARGET:
        missed.append(f"{label}: columns at {of_limit:.2f} of the limit")
    return missed


def print_table(label: str, timings: dict[str, Calls], *, moved: int, limit: float) -> None:
    """Print one line each, and the limit at the speed of which it moves all bytes."""
    print(f"{label:<32}{'ms':>8}{'median':>8}{'limit/it':>10}{'page faults':>13}")
    for name, timing in timings.items():
        faults = statistics.median(timing.page_faults)
        share = "" if ":" in name else f"{limit / timing.fastest:.2f}"
        times = f"{1e3 * timing.fastest:>8.2f}{1e3 * timing.median:>8.2f}"
        print(f"  {name:<30}{times}{share:>10}{faults:>13.0f}")
    print(
        f"  {'the limit':<30}{1e3 * limit:>8.2f}{'':>8}{'1.00':>10}{moved / 1e9 / limit:>8.1f} GB/s"
    )


def keeping(prepare: Prepare) -> Call:
    """Return the call with what it returns held, so that none gets the memory of another."""
    call = prepare()
    kept: list[object] = []
    return lambda: kept.append(call())


def batch(size: tuple[int, int], order: str = "C") -> Array:
    """Return the features; the same numbers in every process."""
    rows = np.random.default_rng(0).standard_normal(size, np.float32)
    return np.asfortranarray(rows) if order == "F" else rows


def coefficients(num_features: int) -> tuple[Array, Array]:
    """Return the weight, (D,), and the bias, (1,)."""
    weight = np.random.default_rng(1).standard_normal(num_features).astype(np.float32)
    return weight, np.ones(1, np.float32)


def export(num_features: int, bundle: Path) -> Path:
    import linexport

    weight, bias = (array.astype(float) for array in coefficients(num_features))
    linexport.export(linexport.LinearModel(weight=weight[None], bias=bias), bundle)
    return bundle


def predicting(bundle: Path, size: tuple[int, int], order: str) -> Call:
    import linexport

    predictor, features = linexport.load(bundle), batch(size, order)
    return lambda: predictor.predict(features)


def session_running(bundle: Path, size: tuple[int, int]) -> Call:
    import onnxruntime

    session, feed = onnxruntime.InferenceSession(bundle / "model.onnx"), {"features": batch(size)}
    return lambda: session.run(None, feed)


def numpy_multiplying(size: tuple[int, int], order: str) -> Call:
    features, (weight, bias) = batch(size, order), coefficients(size[1])
    return lambda: features @ weight + bias


def torch_multiplying(size: tuple[int, int], order: str) -> Call:
    import torch

    features = torch.from_numpy(batch(size, order))
    weight, bias = map(torch.from_numpy, coefficients(size[1]))
    return lambda: torch.nn.functional.linear(features, weight[None], bias)


def reading_by_product(size: tuple[int, int]) -> Call:
    matrix, ones = batch(size).reshape(-1, WIDTH), np.ones(WIDTH, np.float32)
    return lambda: matrix @ ones


def reading_by_max(size: tuple[int, int]) -> Call:
    return by_threads(np.max, batch(size).ravel())


def reading_by_sum(size: tuple[int, int]) -> Call:
    import torch

    features = torch.from_numpy(batch(size))
    return features.sum


def writing_by_threads(size: tuple[int, int]) -> Call:
    return by_threads(lambda part: part.fill(1), np.empty(size[0], np.float32))


def writing_by_torch(size: tuple[int, int]) -> Call:
    import torch

    predictions = torch.empty(size[0])
    return lambda: predictions.fill_(1)


def writing_new_memory(size: tuple[int, int]) -> Call:
    return lambda: np.full(size[0], 1, np.float32)


def by_threads(work: Callable[[Array], object], array: Array) -> Call:
    """Return a call that works on equal parts, one for each core."""
    num_threads = os.cpu_count() or 1
    parts, pool = np.array_split(array, num_threads), ThreadPoolExecutor(num_threads)
    return lambda: list(pool.map(work, parts))


if __name__ == "__main__":
    main()
