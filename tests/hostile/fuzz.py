"""Looks for bytes on which a reader of ours does anything but read them or say why not.

Usage: python -m hostile.fuzz [--seconds S] [--reader NAME]... [--work DIRECTORY]
Each reader is led by its coverage for S seconds of processor time, in processes of its own, and
goes on from where it was in the directory, which also counts what it has had there in all. Prints
that, and the most time and memory of one input; keeps the slowest. Exits with 1 where there is a
fault, of which the input is kept too.
"""

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import msgspec
from hostile.readers import READERS
from hostile.trying import Tally, processor_time

ROOT = Path(__file__).parents[2]
_TOLD = 3000
"""Bytes of what a process says of a fault."""
_LONGEST = 240.0
"""Seconds of one process: atheris itself keeps 2 kB of memory for each input."""
_HEADER = "reader             inputs   accepted    refused   CPU s    ms/KiB  bytes/byte  most MiB"


class Found(NamedTuple):
    """What came of one reader."""

    tally: Tally
    fault: str
    """The end of what its process said; empty where there is none."""
    input: bytes
    """The last."""
    slowest: bytes = b""
    """The one that took the most time for its size."""


def tried(reader: str, *how: object) -> Found:
    """Try a reader in a process of its own, as `trying` is told how."""
    with tempfile.TemporaryDirectory(prefix="fuzz") as name:
        directory = Path(name)
        command = [sys.executable, "-m", "hostile.trying", reader, name, *map(str, how)]
        paths = os.pathsep.join((str(ROOT / "tests"), str(ROOT)))
        environment = os.environ | {"PYTHONPATH": paths, "RUST_BACKTRACE": "0"}
        ended = subprocess.run(command, env=environment, capture_output=True, check=False)
        written = {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
        told = written.get("fault", ended.stderr)[-_TOLD:].decode(errors="replace")
        return Found(
            msgspec.json.decode(
                written.get("tally.json", b'{"reader": "%s"}' % reader.encode()), type=Tally
            ),
            f"{_status(ended.returncode)}\n{told}" if ended.returncode else "",
            written.get("input", b""),
            written.get("slowest", b""),
        )


def _status(code: int) -> str:
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"status {code}"


def led(reader: str, seconds: float, work: Path) -> Found:
    """Try what atheris makes, in one process after the other; return what came of it all here."""
    corpus, kept = work / "corpus" / reader, work / "tally" / f"{reader}.json"
    for directory in (corpus, kept.parent):
        directory.mkdir(parents=True, exist_ok=True)
    now = processor_time()
    ends = now + seconds
    total = msgspec.json.decode(kept.read_bytes(), type=Tally) if kept.exists() else Tally(reader)
    while True:
        began = now
        found = tried(reader, "--seconds", min(ends - began, _LONGEST), "--corpus", corpus)
        now = processor_time()
        if found.tally.seconds_per_kb > total.seconds_per_kb:
            (work / f"slowest-{reader}").write_bytes(found.slowest)
        total = total.plus(found.tally, seconds=now - began)
        kept.write_bytes(msgspec.json.encode(total))
        if found.fault or now >= ends:
            return found._replace(tally=total)


def row(tally: Tally) -> str:
    """Return the line of the table."""
    return (
        f"{tally.reader:15} {tally.inputs:9,} {tally.accepted:10,} {tally.refused:10,} "
        f"{tally.seconds:7.0f} {1000 * tally.seconds_per_kb:9.2f} {tally.memory_per_byte:11.1f} "
        f"{tally.most_memory / 2**20:9.1f}"
    )


def _keep(found: Found, work: Path) -> str:
    """Write the input of a fault, and return what to do to see it again."""
    name = f"{found.tally.reader}-{hashlib.sha256(found.input).hexdigest()[:12]}"
    path = work / name
    path.write_bytes(found.input)
    return (
        f"    {found.fault.strip()}\nTo repeat it: PYTHONPATH=tests:. {sys.executable} "
        f"-m hostile.trying {found.tally.reader} $(mktemp -d) {path}"
    ).replace("\n", "\n    ")


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    """Try every reader, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--reader", action="append", choices=READERS)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "fuzz")
    options = parser.parse_args()
    has_faults = False
    _say(_HEADER)
    for name in options.reader or READERS:
        found = led(name, options.seconds, options.work)
        _say(row(found.tally))
        if found.fault:
            has_faults = True
            _say(_keep(found, options.work))
    sys.exit(has_faults)


if __name__ == "__main__":
    main()
