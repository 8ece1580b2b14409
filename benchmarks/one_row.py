"""One row at a time through a predictor, against onnxruntime's own session.

    python benchmarks/one_row.py [rounds]

The same (1, D) float32 array, D = 10, in turn through `session.run`, `load(path).predict` and
`load(path).bind()`, thousands of times a round; the median round of each one's p50. Fails if
`predict` takes more than PREDICT_TARGET times `session.run`, or a bound row more than BOUND_TARGET.
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

PREDICT_TARGET, BOUND_TARGET = 1.15, 0.5
CALLS = 5000
NUM_FEATURES = 10


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    random = np.random.default_rng(0)
    model = linexport.LinearModel(weight=random.normal(size=(1, NUM_FEATURES)), bias=np.ones(1))
    row = random.normal(size=(1, NUM_FEATURES)).astype(np.float32)
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch) / "bundle"
        linexport.export(model, bundle)
        predictor = linexport.load(bundle)
        session = onnxruntime.InferenceSession(bundle / "model.onnx")
    bound = predictor.bind()

    def through_bound() -> None:
        bound.features[...] = row
        bound.run()

    calls: dict[str, Callable[[], object]] = {
        "session.run": lambda: session.run(None, {"features": row}),
        "linexport, predict": lambda: predictor.predict(row),
        "linexport, bound row": through_bound,
    }
    medians = {
        name: statistics.median(times)
        for name, times in zip(
            calls,
            zip(*([p50(call) for call in calls.values()] for _ in range(rounds)), strict=True),
            strict=True,
        )
    }
    for name, seconds in medians.items():
        print(f"{name:<24}{1e6 * seconds:>8.2f} us{seconds / medians['session.run']:>8.2f} x")
    ratios = [medians[name] / medians["session.run"] for name in list(calls)[1:]]
    print(f"targets: at most {PREDICT_TARGET} and {BOUND_TARGET} times session.run")
    if ratios[0] > PREDICT_TARGET or ratios[1] > BOUND_TARGET:
        sys.exit("missed")


def p50(call: Callable[[], object]) -> float:
    """Return the median seconds of many calls, each timed by itself."""
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    main()
