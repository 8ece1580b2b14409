"""Peak memory of least squares on a Parquet table, and whether it grows with the rows.

    python benchmarks/memory.py [rows]

Measures the peak resident memory of a process that fits the table above that of one that has
imported the same and fitted a few rows. Fails if it is more than TARGET_MB, or if doubling the rows
adds more than GROWTH of what they take.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from _timing import cost

NUM_ROWS, NUM_FEATURES = 20_000_000, 10
TARGET_MB = 300
GROWTH = 0.05
"""Of the bytes of the rows that are added. What the allocator keeps for the threads that read and
add up differs by up to 64 MiB from run to run of the same rows (measured)."""
REPEATS = 3
"""The largest of so many peaks counts."""
MEBIBYTE = 1 << 20


def main() -> None:
    num_rows = int(sys.argv[1]) if len(sys.argv) > 1 else NUM_ROWS
    peaks = []
    with tempfile.TemporaryDirectory() as scratch:
        small = write(Path(scratch), 1000)
        base = peak(small)
        print(f"interpreter and imports, 1,000 rows: {base / MEBIBYTE:.0f} MiB")
        for rows in (num_rows, 2 * num_rows):
            path = write(Path(scratch), rows)
            size = path.stat().st_size
            peaks.append((max(peak(path) for _ in range(REPEATS)) - base) / MEBIBYTE)
            path.unlink()
            print(
                f"{rows:,} x {NUM_FEATURES}, {size / 1e9:.2f} GB of Parquet: {peaks[-1]:.0f} MiB "
                "above that"
            )
    most_growth = GROWTH * size / 2 / MEBIBYTE
    print(f"target: at most {TARGET_MB} MiB, and {most_growth:.0f} MiB more for twice the rows")
    if max(peaks) > TARGET_MB or peaks[1] - peaks[0] > most_growth:
        sys.exit("missed")


def write(directory: Path, num_rows: int) -> Path:
    """Write the table in a process of its own, so that its memory is not ours."""
    path = directory / f"{num_rows}.parquet"
    code = (
        "from pathlib import Path\nfrom _tables import write_parquet\n"
        f"write_parquet(Path({str(path)!r}), num_rows={num_rows}, num_features={NUM_FEATURES})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)
    return path


def peak(path: Path) -> float:
    """Return the peak resident bytes of a process that fits the table."""
    return cost([sys.executable, __file__, "--fit", str(path)]).peak


def fit(path: str) -> None:
    from linexport import pipeline, train
    from linexport.least_squares import LeastSquaresConfig

    rows = pipeline.read_data(path, targets=["y"], stream=True)
    train(rows, solver=LeastSquaresConfig())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--fit"]:
        fit(sys.argv[2])
    else:
        main()
