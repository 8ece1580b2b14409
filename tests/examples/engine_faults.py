"""What any engine is put to: a task that dies once its state is written, and a part without rows.

A task writes its state, and then its process dies, as for want of memory. The engine runs it again
where it may; whoever collects files then has two states of one part.
"""

import json
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import linexport

COUNT = 3
"""Parts: one file of rows each, the largest first; the last has no row."""
FAILING = 2
"""The part whose task dies the first time."""


def add_up(batches: Iterable[Any], number: int, directory: Path) -> bytes:
    """Add up a part and write its state, then die or return it too."""
    state = linexport.State(
        targets="rent", weights="times", categorical="kind", part=f"{number}/{COUNT}"
    )
    for batch in batches:
        state.update(batch)
    is_first = not list(directory.glob(f"{number}-*"))
    (directory / f"{number}-{uuid.uuid4().hex}.state").write_bytes(state.to_bytes())
    if number == FAILING and is_first:
        os._exit(1)
    return state.to_bytes()


def write_found(again: list[bytes | None], never: list[bytes | None], scratch: Path) -> None:
    """Write SCRATCH/found.json: what fits of all these states say.

    Args:
        again: By part, where tasks were run again; their files are in SCRATCH/again.
        never: By part, where they were not; None of one that failed.
        scratch: A directory.
    """
    files = sorted((scratch / "again").iterdir())
    found = {
        "tasks": _outcome([state for state in again if state]),
        "files": _outcome([path.read_bytes() for path in files]),
        "lost": _outcome([state for state in never if state]),
        "num_files": len(files),
        "empty": linexport.State.from_bytes(again[-1] or b"").num_rows,
    }
    (scratch / "found.json").write_text(json.dumps(found))


def _outcome(states: list[bytes]) -> dict[str, object]:
    """Return what a fit of states found, or what it said."""
    try:
        total = linexport.State().merge(*map(linexport.State.from_bytes, states))
        fit = total.fit()
    except linexport.errors.LinexportError as error:
        return {"error": str(error)}
    return {"weight": fit.model.weight.tolist(), "rows": total.num_rows, "parts": total.parts}
