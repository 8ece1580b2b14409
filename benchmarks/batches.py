"""Batches in memory, by rows and by columns, against onnxruntime, NumPy and the memory itself.

    python benchmarks/batches.py [rounds]

float32. `load(path).predict` on rows (C order) and on columns (Fortran order, as a table lies),
against `session.run` and x @ w.T + b on rows. The limit is the faster of two readings of the same
bytes: torch's dot of the flat array with itself, and its sum with all threads. Fails if ours, in
its better order, is slower than the best peer, or if columns are read at less than MEMORY_TARGET of
the limit.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from _timing import alternate_calls

import linexport

SIZES = ((10_000_000, 2), (2_000_000, 10), (200_000, 100))
MEMORY_TARGET = 0.7


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    missed = []
    for num_rows, num_features in SIZES:
        missed += run(num_rows, num_features, rounds)
    print(f"targets: the best peer, and from columns {MEMORY_TARGET} of the memory's speed")
    if missed:
        sys.exit("missed: " + "; ".join(missed))


def run(num_rows: int, num_features: int, rounds: int) -> list[str]:
    random = np.random.default_rng(0)
    rows = random.standard_normal((num_rows, num_features), np.float32)
    columns, flat = np.asfortranarray(rows), torch.from_numpy(rows).flatten()
    weight = random.standard_normal((1, num_features)).astype(np.float32)
    bias = np.ones(1, np.float32)
    model = linexport.LinearModel(weight=weight.astype(float), bias=bias.astype(float))
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch) / "bundle"
        linexport.export(model, bundle)
        predictor = linexport.load(bundle)
        session = onnxruntime.InferenceSession(bundle / "model.onnx")
    by_rows, by_columns = "linexport, rows", "linexport, columns"
    peers = {
        "session.run, rows": lambda: session.run(None, {"features": rows}),
        "numpy, rows": lambda: rows @ weight.T + bias,
    }
    limits = {"memory, dot": lambda: flat.dot(flat), "memory, sum": lambda: flat.sum()}
    timings = alternate_calls(
        {
            by_rows: lambda: predictor.predict(rows),
            by_columns: lambda: predictor.predict(columns),
            **peers,
            **limits,
        },
        rounds=rounds,
        settling=True,
    )
    speed = {name: rows.nbytes / 1e9 / timing.median for name, timing in timings.items()}
    limit = max(speed[name] for name in limits)
    best_peer = max(speed[name] for name in peers)
    label = f"{num_rows:,} x {num_features}"
    print(label)
    for name, rate in speed.items():
        print(f"  {name:<22}{rate:>7.1f} GB/s{rate / limit:>7.2f} of the memory's speed")
    missed = []
    if max(speed[by_rows], speed[by_columns]) < best_peer:
        missed.append(f"{label}: a peer is faster")
    if speed[by_columns] < MEMORY_TARGET * limit:
        missed.append(f"{label}: columns at {speed[by_columns] / limit:.2f} of the memory's speed")
    return missed


if __name__ == "__main__":
    main()
