"""Writers that are killed at every step and at random instants; a script for test_killed_writers.

Usage: killed_writers.py DIRECTORY. Prints one JSON object: how often the path held the old bundle,
the new one or, where it had named nothing before, still nothing.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from conftest import Draft

from linexport.bundle._reader import read_bundle
from linexport.errors import BundleError

STEPS = {
    *("open", "os.listdir", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.scandir"),
    *("ctypes.dlsym", "fcntl.flock"),
}
"""What a writer does to the file system, as Python's audit events; dlsym precedes the exchange."""
RANDOM_KILLS = 40


def held_by(path: Path) -> int:
    """Read the bundle whole; 0 if the path names nothing."""
    if not path.exists():
        return 0
    bundle = read_bundle(path)
    number = int(bundle.read("model.onnx").removeprefix(b"onnx "))
    expected = Draft(number)
    assert bundle.model.same_numbers(expected.model)
    assert {name: bundle.read(name) for name in expected.files} == expected.files
    return number


def write_in_child(path: Path, number: int, *, last_step: int | None = None) -> int:
    """Start a writer that kills itself before the given step: an open, a rename, a removal, ..."""
    child = os.fork()
    if child:
        return child
    steps = iter(range(last_step or 0))

    def kill_at_last(event: str, _: object) -> None:
        if event in STEPS and next(steps, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    if last_step is not None:
        sys.addaudithook(kill_at_last)
    Draft(number).write(path, overwrite=True)
    os._exit(0)


def outcome(path: Path, child: int, old: int, new: int) -> tuple[str, bool]:
    """Wait for a writer; return what the path holds and whether the writer was killed."""
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    number = held_by(path)
    assert number in (old, new), f"expected {old} or {new}, found {number}"
    return ("new" if number == new else "old" if old else "nothing"), os.WIFSIGNALED(status)


def main(directory: Path) -> None:
    """Kill writers of a bundle that is there, then of one that is not yet."""
    counts: Counter[str] = Counter()
    path = directory / "bundle"
    number = held_by(path)
    killed, step = True, 0
    while killed:
        child = write_in_child(path, number + 1, last_step=step)
        kept, killed = outcome(path, child, number, number + 1)
        number, step = held_by(path), step + 1
        counts[f"step {kept}"] += killed
    started = time.monotonic()
    outcome(path, write_in_child(path, number + 1), number, number + 1)
    number, one_write = held_by(path), time.monotonic() - started
    for _ in range(RANDOM_KILLS):
        child = write_in_child(path, number + 1)
        time.sleep(random.uniform(0, one_write))
        os.kill(child, signal.SIGKILL)
        kept, killed = outcome(path, child, number, number + 1)
        number = held_by(path)
        counts[f"random {kept}"] += killed
    Draft(number + 1).write(path, overwrite=True)
    assert list(directory.iterdir()) == [path], "abandoned directories are left"

    fresh = directory / "fresh"
    killed, step = True, 0
    while killed:
        child = write_in_child(fresh, 1, last_step=step)
        kept, killed = outcome(fresh, child, 0, 1)
        counts[f"fresh {kept}"] += killed
        step += 1
        if kept == "new":
            shutil.rmtree(fresh)
    try:
        read_bundle(fresh)
    except BundleError:
        json.dump(counts, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
