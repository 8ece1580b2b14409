"""Scoring a table as a whole process, against how others do it and against polars' own speed.

    python benchmarks/scoring.py [rounds]

Parquet to Parquet, 5,000,000 x 10 float32, and CSV to CSV, 1,000,000 x 10. The limit is polars
decoding the features and encoding one column, with nothing in between. Fails if `linexport predict`
takes more than TARGET times the limit, or if the process, interpreter and all that it loads
included, ever holds more than TARGET_MB of resident memory. A table of one row
shows what starting takes.
"""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from _scorers import BIAS, FEATURES, PEERS, WEIGHT, write_skl2onnx
from _timing import alternate_calls, compile_modules, cost, report, rounds_asked

TARGET = 1.4
TARGET_MB = 300
SIZES = {"parquet": 5_000_000, "csv": 1_000_000}
OURS, LIMIT = "linexport predict", "polars, decode + encode alone"
START = ", one row"


def main() -> None:
    rounds = rounds_asked(5)
    missed: list[str] = []
    compile_modules()
    with tempfile.TemporaryDirectory() as scratch:
        for suffix in SIZES:
            in_a_process("--prepare", scratch, suffix)
            missed += run(Path(scratch), suffix, rounds)
    if missed:
        sys.exit("missed: " + "; ".join(missed))


def in_a_process(*arguments: str) -> None:
    """Run a step that needs memory elsewhere, so that this process's peak stays small."""
    subprocess.run([sys.executable, __file__, *arguments], check=True)


def prepare(directory: Path, suffix: str) -> None:
    """Write the rows, the bundle, and the file that skl2onnx makes of the same numbers."""
    import numpy as np
    import polars as pl

    import linexport

    random = np.random.default_rng(0)
    columns = {name: random.standard_normal(SIZES[suffix], np.float32) for name in FEATURES}
    frame = pl.DataFrame(columns)
    for rows, name in ((frame, "in"), (frame.head(1), "one")):
        write = rows.write_csv if suffix == "csv" else rows.write_parquet
        write(directory / f"{name}.{suffix}")
    model = linexport.LinearModel.from_arrays(
        {"weight": np.array([WEIGHT]), "bias": np.array([BIAS])}, features=FEATURES, targets=["y"]
    )
    linexport.export(model, directory / "bundle", overwrite=True)
    write_skl2onnx(directory / "skl2onnx.onnx")


def run(directory: Path, suffix: str, rounds: int) -> list[str]:
    peaks: dict[str, float] = {}
    calls: dict[str, Callable[[], object]] = {
        name: partial(run_process, name, command, peaks)
        for name, command in commands(directory, suffix).items()
    }
    timings = alternate_calls(calls, rounds=rounds, who=resource.RUSAGE_CHILDREN)
    in_a_process("--compare", str(directory), suffix)
    print(f"{SIZES[suffix]:,} x {len(FEATURES)}, {suffix} to {suffix}, {os.cpu_count()} cores")
    ratios = report(timings, base=LIMIT)
    for name, peak in peaks.items():
        print(f"{name:<44}{peak:>9.0f} MB at the peak")
    print(f"target: at most {TARGET} times the limit and {TARGET_MB} MB")
    missed = []
    if ratios[OURS] > TARGET:
        missed.append(f"{suffix}: {ratios[OURS]:.2f} times the limit")
    if peaks[OURS] > TARGET_MB:
        missed.append(f"{suffix}: {peaks[OURS]:.0f} MB")
    return missed


def output_of(directory: Path, name: str, suffix: str) -> Path:
    return directory / f"{name.replace(' ', '-')}.{suffix}"


def commands(directory: Path, suffix: str) -> dict[str, Sequence[str]]:
    artifacts = {
        "pyarrow + onnxruntime": directory / "bundle" / "model.onnx",
        "skl2onnx's model": directory / "skl2onnx.onnx",
    }

    def ours(source: Path, output: Path) -> Sequence[str]:
        files = [directory / "bundle", source, "--output", output]
        return [sys.executable, "-m", "linexport", "predict", "--quiet", *map(str, files)]

    def theirs(name: str, source: Path, output: Path) -> Sequence[str]:
        files = [source, output, *([artifacts[name]] if name in artifacts else [])]
        script = Path(__file__).with_name("_scorers.py")
        return [sys.executable, str(script), name, *map(str, files)]

    source, one = directory / f"in.{suffix}", directory / f"one.{suffix}"
    by_name = {name: theirs(name, source, output_of(directory, name, suffix)) for name in PEERS}
    by_name[OURS] = ours(source, output_of(directory, OURS, suffix))
    by_name[LIMIT + START] = theirs(LIMIT, one, output_of(directory, "of one", suffix))
    by_name[OURS + START] = ours(one, output_of(directory, "of one", suffix))
    return by_name


def run_process(name: str, command: Sequence[str], peaks: dict[str, float]) -> None:
    """Run it, and keep the largest resident memory that any run of it held, in MB."""
    peaks[name] = max(peaks.get(name, 0), cost(command).peak / 1e6)


def compare(directory: Path, suffix: str) -> None:
    """End the benchmark if two ways to score differ by more than float32 allows."""
    import numpy as np
    import polars as pl

    read = pl.read_csv if suffix == "csv" else pl.read_parquet
    expected = read(output_of(directory, OURS, suffix))["y"].to_numpy()
    # At most D + 2 roundings of terms that together stay below 8 sum |w| + |b| at 8 deviations.
    allowed = (len(FEATURES) + 2) * 2.0**-23 * (8 * sum(WEIGHT) + BIAS)
    for name in PEERS:
        y = read(output_of(directory, name, suffix))["y"].to_numpy()
        if name != LIMIT and (len(y) != len(expected) or np.abs(y - expected).max() > allowed):
            sys.exit(f"{name} predicts otherwise")


if __name__ == "__main__":
    steps = {"--prepare": prepare, "--compare": compare}
    if sys.argv[1:2] and sys.argv[1] in steps:
        steps[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
    else:
        main()
