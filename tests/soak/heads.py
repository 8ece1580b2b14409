"""`| head`: every command whose output nobody reads ends quietly, its work done or nothing left."""

from collections.abc import Iterator
from pathlib import Path

from jobs import begin, snapshot
from running import Ended, reader_that_leaves, run

from linexport.cli._main import COMMANDS

_WORK = {
    "describe": "new.csv",
    "evaluate": "new new.csv",
    "export": "new --probe-rows 8 --format onnx -o out/export",
    "fit": "new.state --probe-rows 8 --format onnx -o out/fit",
    "inspect": "new",
    "predict": "new rows.csv",
    "report": "new -o out/page.html",
    "serve": "--help",
    "state": "new.csv --target y -o out/rows.state",
    "synthesize": "--num-rows 9",
    "train-and-export": "--data new.csv --target y --probe-rows 8 --format onnx -o out/train",
    "verify": "new",
}
_WITHOUT_JSON = {"predict", "report", "serve", "synthesize"}


def lines(*, is_short: bool) -> Iterator[list[str]]:
    """Yield the arguments of every command, and of what else prints."""
    assert _WORK.keys() == COMMANDS.keys()
    yield from ([], ["--help"], ["--version"], ["unknown"])
    for name, rest in _WORK.items():
        yield [name, *rest.split()]
        yield [name, "--help"]
        if not (is_short or name in _WITHOUT_JSON):
            yield [name, *rest.split(), "--json"]


def unread(arguments: list[str], inputs: Path, place: Path) -> tuple[list[str], Ended]:
    """Run a command whose reader has gone; return what is wrong with it, and how it ended.

    Args:
        arguments: Of linexport.
        inputs: What `write_inputs` wrote.
        place: Where a directory for it is made.
    """
    begin(inputs, place)
    before = snapshot(place)
    read = run(arguments, place)
    done = snapshot(place)
    begin(inputs, place)
    with reader_that_leaves() as writer:
        ended = run(arguments, place, output=writer)
    faults = []
    if ended.errors != read.errors:
        faults.append("it is not quiet")
    if ended.status not in (read.status, 3):
        faults.append("it ended otherwise")
    if snapshot(place) not in (done, before):
        faults.append("its work is half done")
    return faults, ended
