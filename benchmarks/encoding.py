"""Encoding while scoring, against the same table with its categories as numbers already.

    python benchmarks/encoding.py [rounds] [rows]

Parquet to Parquet by `linexport predict`, as a whole process: 5,000,000 rows of 7 float32 columns
and 3 categories of 3, 5 and 8 levels, as a dictionary and as text; and the same rows with the
number of the level, float32, for each category. Fails if dictionaries take more than TARGET times
as long.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from _timing import alternate, report, rounds_asked

TARGET = 1.3
NUM_ROWS = 5_000_000
NUMBERS = [f"x{place}" for place in range(7)]
LEVELS = {"a": 3, "b": 5, "c": 8}
KINDS = ("numbers", "dictionaries", "text")


def main() -> None:
    rounds = rounds_asked(5)
    num_rows = int(sys.argv[2]) if len(sys.argv) > 2 else NUM_ROWS
    with tempfile.TemporaryDirectory() as scratch:
        # A process begins with the peak of its parent, so what takes memory is done in another.
        subprocess.run([sys.executable, __file__, "--prepare", scratch, str(num_rows)], check=True)
        ratios = report(alternate(commands(Path(scratch)), rounds=rounds), base=KINDS[0])
    print(f"target: {KINDS[1]} at most {TARGET} times the {KINDS[0]}")
    if ratios[KINDS[1]] > TARGET:
        sys.exit(f"missed: {ratios[KINDS[1]]:.2f} times")


def commands(directory: Path) -> Mapping[str, list[str]]:
    run = [sys.executable, "-m", "linexport", "predict", "-q"]
    return {
        kind: [
            *run,
            str(directory / ("plain" if kind == "numbers" else "encoded")),
            str(directory / f"{kind}.parquet"),
            "-o",
            str(directory / f"{kind}-out.parquet"),
        ]
        for kind in KINDS
    }


def prepare(directory: Path, num_rows: int) -> None:
    """Write the rows in each form, and a bundle for each."""
    import numpy as np
    import polars as pl

    import linexport

    random = np.random.default_rng(0)
    columns = {name: pl.Series(random.standard_normal(num_rows, np.float32)) for name in NUMBERS}
    codes = {name: random.integers(0, count, num_rows) for name, count in LEVELS.items()}
    as_text = {
        name: pl.Series([f"level {place}" for place in range(LEVELS[name])]).gather(places)
        for name, places in codes.items()
    }
    as_codes = {name: text.cast(pl.Categorical) for name, text in as_text.items()}
    as_numbers = {name: pl.Series(places.astype(np.float32)) for name, places in codes.items()}
    target = {"y": pl.Series(random.standard_normal(num_rows, np.float32))}
    for kind, others in zip(KINDS, (as_numbers, as_codes, as_text), strict=True):
        frame = pl.DataFrame({**columns, **others, **target})
        frame.write_parquet(directory / f"{kind}.parquet")
        if kind != "text":
            rows = linexport.read_data(
                frame.head(10_000), targets="y", categorical=None if kind == "numbers" else "a,b,c"
            )
            name = "plain" if kind == "numbers" else "encoded"
            linexport.train_and_export(rows, directory / name).certificate.require()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--prepare"]:
        prepare(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
