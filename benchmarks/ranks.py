"""Least squares on two ranks against one process, each on one core, from Parquet.

    python benchmarks/ranks.py [rounds]

Times the fit alone, from the first byte to the coefficients: starting Python, importing and joining
the ranks takes seconds, whatever the number of rows. A process is bound to its core, as the thread
that reads ahead would otherwise take the other one too. Fails if two ranks are less than TARGET
times as fast. That takes two idle cores; where others are at work, the CPU time that a rank takes
says more, and is printed too.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _timing import rounds_asked

NUM_ROWS, NUM_FEATURES = 20_000_000, 10
TARGET = 1.7
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1")


def main() -> None:
    rounds = rounds_asked(5)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "rows.parquet"
        write = f"from _tables import write_parquet; from pathlib import Path; write_parquet(Path({str(path)!r}), num_rows={NUM_ROWS}, num_features={NUM_FEATURES})"  # noqa: E501
        subprocess.run([sys.executable, "-c", write], check=True, cwd=Path(__file__).parent)
        fit(path, 1)  # the file is in the page cache from here on
        pairs = [(fit(path, 1), fit(path, 2)) for _ in range(rounds)]
    (one, one_cpu), (two, two_cpu) = np.median(pairs, axis=0)
    ratio = float(np.median([alone[0] / shared[0] for alone, shared in pairs]))
    print(f"{NUM_ROWS:,} x {NUM_FEATURES} from Parquet, one core each")
    print(f"one process {one:.3f} s, two ranks {two:.3f} s: {ratio:.2f} times as fast")
    print(f"CPU {one_cpu:.3f} s and {two_cpu:.3f} s each: {one_cpu / two_cpu:.2f} times less")
    print(f"target: at least {TARGET} times")
    if ratio < TARGET:
        sys.exit(f"missed: {ratio:.2f} times")


def fit(path: Path, num_ranks: int) -> tuple[float, float]:
    """Return the seconds of wall clock and of CPU that the slowest rank took."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    environment = os.environ | ONE_THREAD
    environment |= {"WORLD_SIZE": str(num_ranks), "MASTER_ADDR": "127.0.0.1"}
    environment |= {"MASTER_PORT": str(port)}
    ranks = [
        subprocess.Popen(
            [sys.executable, __file__, "--rank", str(path)],
            env=environment | {"RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(num_ranks)
    ]
    outputs = [rank.communicate()[0] for rank in ranks]
    if any(rank.returncode for rank in ranks):
        sys.exit("a rank failed")
    fits = [json.loads(output) for output in outputs]
    if any(found["weight"] != fits[0]["weight"] for found in fits):
        sys.exit("the ranks disagree")
    wall, cpu = ([float(found[name]) for found in fits] for name in ("seconds", "cpu"))
    return max(wall), max(cpu)


def run_rank(path: str) -> None:
    from linexport import pipeline, tables, train
    from linexport.least_squares import LeastSquaresConfig
    from linexport.rows import synthesize
    from linexport.rows._ranks import open_ranks

    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(os.environ["RANK"])]})
    tables.open_table({"x": [1.0]})  # imports polars
    train(synthesize(), solver=LeastSquaresConfig())
    with open_ranks() as ranks:
        ranks.gather(np.zeros(1))  # all are there
        start, cpu_start = time.perf_counter(), time.process_time()
        rows = pipeline.read_data(path, targets=["y"], stream=True, ranks=ranks)
        result = train(rows, solver=LeastSquaresConfig(), ranks=ranks)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    print(json.dumps({"seconds": seconds, "cpu": cpu, "weight": result.model.weight.tolist()}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--rank"]:
        run_rank(sys.argv[2])
    else:
        main()
