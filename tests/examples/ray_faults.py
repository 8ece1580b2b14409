"""Parts that Ray loses, runs again, or finds empty: what a merge of their states says.

    python ray_faults.py DIRECTORY SCRATCH

See engine_faults.py. Writes SCRATCH/found.json.
"""

import sys
from pathlib import Path

import polars as pl
import ray
from engine_faults import add_up, write_found


def run(source: Path, directory: Path, retries: int) -> list[bytes | None]:
    """Return the state of each task, None of one that failed."""
    directory.mkdir()
    task = ray.remote(max_retries=retries)(add_up)
    found: list[bytes | None] = []
    files = sorted(source.iterdir(), key=lambda path: -path.stat().st_size)
    for number, path in enumerate(files, start=1):
        try:
            found.append(ray.get(task.remote([pl.read_parquet(path)], number, directory)))
        except ray.exceptions.WorkerCrashedError:
            found.append(None)
    return found


def main() -> None:
    source, scratch = map(Path, sys.argv[1:])
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    write_found(run(source, scratch / "again", 1), run(source, scratch / "never", 0), scratch)


if __name__ == "__main__":
    main()
