"""Least squares from a Parquet file, against polars that only decodes it.

    python benchmarks/parquet.py [rounds]

The file is as polars writes it by default, compressed with zstd. The limit is `pl.read_parquet` of
the same columns. Decoding in a stream, which keeps nothing, is printed too: it is spared the
memory that read_parquet has to be given first. Fails if reading, checking and fitting together take
more than TARGET times the limit; by CPU time where other work on the machine keeps cores busy, as
then decoding in two threads and fitting beside it gain nothing.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from _tables import write_parquet
from _timing import alternate_calls, report, rounds_asked

from linexport import pipeline, train
from linexport.least_squares import LeastSquaresConfig

NUM_ROWS, NUM_FEATURES = 10_000_000, 10
TARGET = 1.5


def main() -> None:
    rounds = rounds_asked(5)
    ours, limit = "linexport, least squares", "pl.read_parquet"
    with tempfile.TemporaryDirectory() as scratch:
        plain, path = Path(scratch) / "plain.parquet", Path(scratch) / "rows.parquet"
        write_parquet(plain, num_rows=NUM_ROWS, num_features=NUM_FEATURES)
        pl.scan_parquet(plain).sink_parquet(path)
        plain.unlink()
        timings = alternate_calls(
            {
                limit: lambda: pl.read_parquet(path),
                ours: lambda: fit(path),
                "polars, batches decoded and dropped": lambda: decode(path),
            },
            rounds=rounds,
        )
    wall = report(timings, base=limit)[ours]
    cpu = float(np.median(np.array(timings[ours].cpu) / timings[limit].cpu))
    print(f"target: at most {TARGET} times the limit; by CPU time it is {cpu:.2f} times")
    if min(wall, cpu) > TARGET:
        sys.exit(f"missed: {wall:.2f} times the limit")


def fit(path: Path) -> None:
    rows = pipeline.read_data(path, targets=["y"], stream=True)
    train(rows, solver=LeastSquaresConfig())


def decode(path: Path) -> None:
    for _ in pl.scan_parquet(path).collect_batches():
        pass


if __name__ == "__main__":
    main()
