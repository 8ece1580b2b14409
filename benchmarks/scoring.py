"""Scoring a table as a whole process, against how others do it and against polars' own speed.

    python benchmarks/scoring.py [rounds]

Parquet to Parquet, 5,000,000 x 10 float32, and CSV to CSV, 1,000,000 x 10. The limit is polars
decoding the features and encoding one column, with nothing in between. Fails if `linexport predict`
takes more than TARGET times the limit, or if the process, interpreter and all that it loads
included, ever holds more than TARGET_MB of resident memory.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from _scorers import BIAS, FEATURES, PEERS, WEIGHT, write_skl2onnx
from _timing import Timing, alternate_calls, report

import linexport

TARGET = 1.4
TARGET_MB = 300
SIZES = {"parquet": 5_000_000, "csv": 1_000_000}
OURS, LIMIT = "linexport predict", "polars, decode + encode alone"
MEBIBYTE = 1 << 20


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        write_models(directory)
        for suffix, num_rows in SIZES.items():
            missed += run(directory, suffix, num_rows, rounds)
    if missed:
        sys.exit("missed: " + "; ".join(missed))


def write_models(directory: Path) -> None:
    """Write what predicts: the bundle, and the file that skl2onnx makes of the same numbers."""
    model = linexport.LinearModel.from_arrays(
        {"weight": np.array([WEIGHT]), "bias": np.array([BIAS])}, features=FEATURES, targets=["y"]
    )
    linexport.export(model, directory / "bundle")
    write_skl2onnx(directory / "skl2onnx.onnx")


def run(directory: Path, suffix: str, num_rows: int, rounds: int) -> list[str]:
    source = directory / f"in.{suffix}"
    random = np.random.default_rng(0)
    frame = pl.DataFrame({name: random.standard_normal(num_rows, np.float32) for name in FEATURES})
    frame.write_csv(source) if suffix == "csv" else frame.write_parquet(source)
    del frame
    peaks: dict[str, int] = {}
    calls: dict[str, Callable[[], object]] = {}
    for name, command in commands(directory, source).items():
        calls[name] = partial(run_process, name, command, peaks)
    timings: dict[str, Timing] = alternate_calls(calls, rounds=rounds)
    check_agreement(directory, suffix)
    print(f"{num_rows:,} x {len(FEATURES)} from {suffix} to {suffix}, {os.cpu_count()} cores")
    ratios = report(timings, base=LIMIT)
    for name, peak in peaks.items():
        print(f"{name:<44}{peak / MEBIBYTE:>9.0f} MiB at the peak")
    print(f"target: at most {TARGET} times the limit and {TARGET_MB} MB")
    missed = []
    if ratios[OURS] > TARGET:
        missed.append(f"{suffix}: {ratios[OURS]:.2f} times the limit")
    if peaks[OURS] > TARGET_MB * 1_000_000:
        missed.append(f"{suffix}: {peaks[OURS] / 1_000_000:.0f} MB")
    return missed


def output_of(directory: Path, name: str, suffix: str) -> Path:
    return directory / f"{name.replace(' ', '-')}.{suffix}"


def commands(directory: Path, source: Path) -> dict[str, Sequence[str]]:
    peer_script = Path(__file__).parent / "_scorers.py"
    artifacts = {
        "pyarrow + onnxruntime": directory / "bundle" / "model.onnx",
        "skl2onnx's model": directory / "skl2onnx.onnx",
    }
    by_name: dict[str, Sequence[str]] = {}
    for name in PEERS:
        files = [source, output_of(directory, name, source.suffix[1:])]
        files += [artifacts[name]] if name in artifacts else []
        by_name[name] = [sys.executable, str(peer_script), name, *map(str, files)]
    output = output_of(directory, OURS, source.suffix[1:])
    ours = ["predict", "--quiet", directory / "bundle", source, "--output", output]
    by_name[OURS] = [sys.executable, "-m", "linexport", *map(str, ours)]
    return by_name


def run_process(name: str, command: Sequence[str], peaks: dict[str, int]) -> None:
    """Run it, and keep the largest resident memory that any run of it held, in bytes."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{name} failed")
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes on Linux
    peaks[name] = max(peaks.get(name, 0), usage.ru_maxrss * unit)


def check_agreement(directory: Path, suffix: str) -> None:
    """End the benchmark if two ways to score differ by more than float32 allows."""
    read = pl.read_csv if suffix == "csv" else pl.read_parquet
    outputs = {
        name: read(output_of(directory, name, suffix))["y"].to_numpy()
        for name in [OURS, *PEERS]
        if name != LIMIT
    }
    # At most D + 2 roundings of terms that together stay below 8 sum |w| + |b| at 8 deviations.
    allowed = (len(FEATURES) + 2) * 2.0**-23 * (8 * sum(WEIGHT) + BIAS)
    for name, y in outputs.items():
        apart = float(np.abs(y - outputs[OURS]).max())
        if len(y) != len(outputs[OURS]) or apart > allowed:
            sys.exit(f"{name} predicts otherwise, apart by {apart:.3g}")


if __name__ == "__main__":
    main()
