"""Exporting and proving with torch imported, against torch.onnx.export alone.

    python benchmarks/proof.py [rounds]

`linexport.export` takes a model in memory to a bundle on the disk, proof and canaries included;
`torch.onnx.export(dynamo=True)` writes one file and proves nothing. `verify` reads a bundle and
proves it again, at 10 features in turn with the others, and at 10,000 after them.

Targets are seconds on the machine at hand, so they are held against the fastest round: what else
runs on the machine only ever adds to one. The ratios are of medians. Fails if one is missed.
"""

import logging
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from _timing import Timing, alternate_calls, rounds_asked

import linexport

EXPORT, VERIFY, VERIFY_WIDE = "linexport.export", "verify, D = 10", "verify, D = 10,000"
PEER = "torch.onnx.export(dynamo=True)"
EXPORT_TARGET = 0.15
"""An eighth of the 1.2 s that the peer takes: no time is saved by leaving out the proof."""
VERIFY_TARGET = 0.5
"""So that a server can verify each of its models whenever it loads it."""
VERIFY_WIDE_TARGET = 20.0
"""As long as a build step may take: its one-hot rows alone are 400 MB, about which the reference,
ten runtimes and each canary that is not caught before are asked."""
TARGETS = {EXPORT: EXPORT_TARGET, VERIFY: VERIFY_TARGET, VERIFY_WIDE: VERIFY_WIDE_TARGET}
WIDE_ROUNDS = 3
"""It takes seconds, in which disturbances even out."""


def main() -> None:
    rounds = rounds_asked(9)
    warnings.simplefilter("ignore")  # TorchScript is deprecated
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision
    timings = measure(rounds)
    base = timings[PEER].median
    print(
        f"{'seconds':<34}{'fastest':>9}{'target':>9}{'median':>9}{'CPU':>9}{'ratio':>9}  of torch's"
    )
    for name, timing in timings.items():
        target = f"{TARGETS[name]:.2f}" if name in TARGETS else ""
        print(
            f"{name:<34}{min(timing.wall):>9.3f}{target:>9}{timing.median:>9.3f}"
            f"{statistics.median(timing.cpu):>9.3f}{timing.median / base:>9.2f}"
        )
    missed = [name for name, seconds in TARGETS.items() if min(timings[name].wall) > seconds]
    if missed:
        sys.exit("missed: " + "; ".join(missed))


def measure(rounds: int) -> dict[str, Timing]:
    with tempfile.TemporaryDirectory() as scratch:
        narrow, wide = model(10), model(10_000)
        bundle, wide_bundle = Path(scratch) / "narrow", Path(scratch) / "wide"
        linexport.export(narrow, bundle)
        linexport.export(wide, wide_bundle)
        calls: dict[str, Callable[[], object]] = {
            PEER: lambda: by_torch(narrow, Path(scratch) / "torch.onnx"),
            EXPORT: lambda: linexport.export(narrow, bundle, overwrite=True),
            VERIFY: lambda: linexport.verify(bundle).require(),
        }
        timings = alternate_calls(calls, rounds=rounds)
        wide_call = {VERIFY_WIDE: lambda: linexport.verify(wide_bundle).require()}
        return timings | alternate_calls(wide_call, rounds=WIDE_ROUNDS)


def model(num_features: int) -> linexport.LinearModel:
    random = np.random.default_rng(0)
    return linexport.LinearModel(weight=random.normal(size=(1, num_features)), bias=np.ones(1))


def by_torch(given: linexport.LinearModel, path: Path) -> None:
    module = torch.nn.Linear(given.num_features, given.num_targets)
    torch.onnx.export(
        module,
        (torch.zeros(2, given.num_features),),
        path,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    )


if __name__ == "__main__":
    main()
