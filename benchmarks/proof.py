"""Exporting and proving with torch imported, against torch.onnx.export alone.

    python benchmarks/proof.py [rounds]

`linexport.export` takes a model in memory to a bundle on the disk, proof and canaries included;
`torch.onnx.export(dynamo=True)` writes one file and proves nothing. `verify` reads a bundle and
proves it again, at 10 and at 10,000 features. Fails if one takes longer than its target, in seconds
on the machine at hand: a second is what a person at a terminal waits without wondering.
"""

import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from _timing import alternate_calls, report

import linexport

EXPORT, VERIFY, VERIFY_WIDE = "linexport.export", "verify, D = 10", "verify, D = 10,000"
TARGETS = {EXPORT: 0.15, VERIFY: 0.5, VERIFY_WIDE: 20.0}
PEER = "torch.onnx.export(dynamo=True)"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    warnings.simplefilter("ignore")  # TorchScript is deprecated, torch.onnx says much
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
        timings |= alternate_calls(
            {VERIFY_WIDE: lambda: linexport.verify(wide_bundle).require()}, rounds=1
        )
    report({name: timings[name] for name in calls}, base=PEER)
    print(f"{VERIFY_WIDE:<34}{timings[VERIFY_WIDE].median:>8.3f} s")
    print("targets:", ", ".join(f"{name} {seconds} s" for name, seconds in TARGETS.items()))
    missed = [name for name, seconds in TARGETS.items() if timings[name].median > seconds]
    if missed:
        sys.exit("missed: " + "; ".join(missed))


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
