"""One row at a time through a predictor, against onnxruntime's own session.

    python benchmarks/one_row.py [blocks]

The same (1, D) float32 array, D = 10, through `load(path).predict`, `load(path).bind()` and bare
`session.run`, the latter with onnxruntime's default options, with those that `load` sets, and with
one thread. Each is called in blocks of CALLS in turn, so that reading the clock, some 50 ns, is
shared by a block; the figures are the medians of all blocks' times per call. A call that does
nothing shows what the loop itself takes. The ratios are to the fastest of the bare sessions. Fails
if `predict` takes more than PREDICT_TARGET times as long, or a bound row more than BOUND_TARGET.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

import linexport

PREDICT_TARGET = 1.15
"""What checking types and shapes, which a bare session leaves to the caller, may cost on top."""
BOUND_TARGET = 0.5
"""The caller takes care of memory and thread, and is to get twice the rows for it."""
BLOCKS = 2000
CALLS = 50
"""In a block: half a millisecond, in which another process seldom cuts in."""
NUM_FEATURES = 10
BARE = "session.run"


def main() -> None:
    blocks = int(sys.argv[1]) if len(sys.argv) > 1 else BLOCKS
    medians = measure(contenders(), blocks)
    base = min(seconds for name, seconds in medians.items() if name.startswith(BARE))
    print(f"{'':<34}{'us':>8}{'ratio':>8}")
    for name, seconds in medians.items():
        print(f"{name:<34}{1e6 * seconds:>8.2f}{seconds / base:>8.2f}")
    print(f"targets: at most {PREDICT_TARGET} and {BOUND_TARGET} times session.run")
    targets = {"linexport, predict": PREDICT_TARGET, "linexport, bound row": BOUND_TARGET}
    missed = [name for name, target in targets.items() if medians[name] > target * base]
    if missed:
        sys.exit("missed: " + "; ".join(missed))


def contenders() -> dict[str, Callable[[], object]]:
    random = np.random.default_rng(0)
    model = linexport.LinearModel(weight=random.normal(size=(1, NUM_FEATURES)), bias=np.ones(1))
    feed = {"features": random.normal(size=(1, NUM_FEATURES)).astype(np.float32)}
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch) / "bundle"
        linexport.export(model, bundle)
        predictor = linexport.load(bundle)
        artifact = (bundle / "model.onnx").read_bytes()
    default, ours, alone = (
        onnxruntime.InferenceSession(artifact, options)
        for options in (onnxruntime.SessionOptions(), as_ours(), as_ours(num_threads=1))
    )
    bound, row = predictor.bind(), feed["features"]

    def through_bound() -> None:
        bound.features[...] = row
        bound.run()

    return {
        BARE: lambda: default.run(None, feed),
        f"{BARE}, our options": lambda: ours.run(None, feed),
        f"{BARE}, our options, 1 thread": lambda: alone.run(None, feed),
        "linexport, predict": lambda: predictor.predict(row),
        "linexport, bound row": through_bound,
        "  of which writing the row": lambda: bound.features.__setitem__(..., row),
        "  of which evaluating": bound.run,
        "a call that does nothing": lambda: None,
    }


def as_ours(*, num_threads: int = 0) -> onnxruntime.SessionOptions:
    """Return what `linexport.load` sets; 0 threads are onnxruntime's default."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 4
    return options


def measure(calls: dict[str, Callable[[], object]], blocks: int) -> dict[str, float]:
    """Return the median of each one's seconds per call; the first block of each is a warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(blocks + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(CALLS):
                call()
            seconds[name].append((time.perf_counter() - start) / CALLS)
    return {name: statistics.median(times[1:]) for name, times in seconds.items()}


if __name__ == "__main__":
    main()
