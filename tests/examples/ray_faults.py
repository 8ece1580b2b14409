"""Parts that Ray loses, runs again, or finds empty: what a merge of their states says.

    python ray_faults.py ROWS.parquet SCRATCH

Writes SCRATCH/found.json. A task writes its state, and then its worker dies, as for want of memory.
Ray runs it again where it may; whoever collects files then has two states of one part.
"""

import json
import os
import sys
import uuid
from pathlib import Path

import polars as pl
import ray

import linexport

COUNT = 3
FAILING = 2
"""The part whose worker dies."""


def add_up(source: str, number: int, directory: str) -> bytes:
    state = linexport.State(
        targets="rent", weights="times", categorical="kind", part=f"{number}/{COUNT}"
    )
    rows = pl.read_parquet(source)
    # By a column, so that the third part has no row.
    state.update(rows.filter((rows["area"] > rows["area"].median()).cast(int) + 1 == number))
    is_first = not list(Path(directory).glob(f"{number}-*"))
    Path(directory, f"{number}-{uuid.uuid4().hex}.state").write_bytes(state.to_bytes())
    if number == FAILING and is_first:
        os._exit(1)
    return state.to_bytes()


def run(source: str, directory: Path, retries: int) -> list[bytes | None]:
    """Return the state of each task, None of one that failed."""
    directory.mkdir()
    task = ray.remote(max_retries=retries)(add_up)
    found: list[bytes | None] = []
    for number in range(1, COUNT + 1):
        try:
            found.append(ray.get(task.remote(source, number, str(directory))))
        except ray.exceptions.WorkerCrashedError:
            found.append(None)
    return found


def outcome(states: list[bytes]) -> dict[str, object]:
    """Return what a fit of states found, or what it said."""
    try:
        total = linexport.State().merge(*map(linexport.State.from_bytes, states))
        fit = total.fit()
    except linexport.errors.LinexportError as error:
        return {"error": str(error)}
    return {"weight": fit.model.weight.tolist(), "rows": total.num_rows, "parts": total.parts}


def main() -> None:
    source, scratch = sys.argv[1], Path(sys.argv[2])
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    again, never = run(source, scratch / "again", 1), run(source, scratch / "never", 0)
    files = sorted((scratch / "again").iterdir())
    found = {
        "tasks": outcome([state for state in again if state]),
        "files": outcome([path.read_bytes() for path in files]),
        "lost": outcome([state for state in never if state]),
        "num_files": len(files),
        "empty": linexport.State.from_bytes(again[-1] or b"").num_rows,
    }
    (scratch / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
