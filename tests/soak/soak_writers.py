"""Writers that are killed, interrupted, refused and starved; a script for `make soak`.

    python tests/soak/soak_writers.py [--short | --times N] [--job COMMAND]

Each job of jobs.py runs in a child again and again, while one thing goes wrong: a kill or a signal
before one of its file-system calls or at a random moment, a call that fails or does half of what it
was asked, a directory that vanishes, a full disk, or a limit of size, descriptors or memory.
Whatever it was, the output is the old one or the new one, whole, and a failure is status 3 with one
line that names a file. After a kill the next run is right; after all else nothing is left at once.

The short form tries a seeded sample of each, `--times N` one that is N times as large; `--job`
tries the jobs of one command of linexport only. The counts are printed as JSON; what does not hold
is printed before, and ends with status 1.
"""

import errno
import json
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import heads
from jobs import JOBS, Job, Place, write_inputs
from limits import LIMITS, can_mount, small_disk
from running import SHORT, SIGNAL, VANISH, Call, Ended, Strike, run, run_preloaded

T = TypeVar("T")

_INTERRUPTED = ("open", "fopen", "read", "pread", "write", "pwrite", "fsync", "flock", "ftruncate")
_OUT_OF_SPACE = ("open", "fopen", "write", "pwrite", "fsync", "mkdir", "rename", "ftruncate")
_FALLS_SHORT = ("read", "pread", "write", "pwrite")
_MISUSE, _FAILED, _FAULT = 2, 3, 70
_ABORTS = (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGTRAP)
_REMOVES = ("unlink", "rmdir")
_REMOVED = (".linexport-new", ".linexport-old")
"""Directories that are opened to be emptied, when their time is over."""
_LONGEST_LINE = 400
_ROOM = (0, 4, 8, 16, 32)
"""Kilobytes left on a disk."""


@dataclass
class Soak:
    """What was tried, how often, and what did not hold."""

    times: int | None
    """So many times the short form; None for all that can be tried."""
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    drawn: random.Random = field(default_factory=lambda: random.Random(17))

    def some(self, things: Sequence[T], number: int) -> Sequence[T]:
        """Return all in the long form, else so many of them for each time, in their order."""
        if self.times is None or (number := number * self.times) >= len(things):
            return things
        return [things[place] for place in sorted(self.drawn.sample(range(len(things)), number))]

    def tried(self, what: str, case: str, faults: list[str], ended: Ended) -> None:
        """Count one run."""
        self.counts[what] += 1
        if faults:
            self.problems.append(f"{case}: {'; '.join(faults)}: {ended.status} {ended.errors!r}")
            print(self.problems[-1], flush=True)


def killed(soak: Soak, place: Place, number: int) -> None:
    """Kill before calls, and at random moments."""
    for at in soak.some(place.writing, number):
        _kill(
            soak, place, f"killed at call {at}", strike=Strike(at=at, what=SIGNAL - signal.SIGKILL)
        )
    for _ in soak.some(range(20), number // 4):
        after = soak.drawn.uniform(0, place.clean.seconds)
        _kill(soak, place, f"killed after {after:.3f} s", kill_after=(after, signal.SIGKILL))


def _kill(soak: Soak, place: Place, case: str, **how: object) -> None:
    ended = place.run(**how)
    faults = []
    if ended.status not in (-signal.SIGKILL, 0):
        faults.append("it ended otherwise")
    faults += _next_run(place)
    soak.tried(
        "kills" if ended.status else "kills that came late", f"{place}, {case}", faults, ended
    )


def _next_run(place: Place) -> list[str]:
    """Tell what is wrong with what there is, and with the next run, where it begins otherwise."""
    held, left = place.left()
    if held == "torn":
        return ["torn"]
    if held in ("old", "new") and not left:
        return []  # as before a run that is known to be right
    ended = run(place.job.arguments, place.path)
    held, left = place.left()
    if (ended.status, held, left) != (0, "new", []):
        return [f"then {ended.status} {ended.errors!r}, {held}, left {left}"]
    return []


def interrupted(soak: Soak, place: Place, number: int) -> None:
    """Send SIGTERM and SIGHUP before calls, and at random moments."""
    signals = [signal.SIGTERM, signal.SIGHUP]
    for at in soak.some(place.writing, number):
        sent = signals[at % 2]
        strike = Strike(at=at, what=SIGNAL - sent)
        _interrupt(soak, place, f"{sent.name} at call {at}", sent, strike=strike)
    for count in soak.some(range(20), number // 4):
        sent, after = signals[count % 2], soak.drawn.uniform(0, place.clean.seconds)
        _interrupt(soak, place, f"{sent.name} after {after:.3f} s", sent, kill_after=(after, sent))


def _interrupt(soak: Soak, place: Place, case: str, sent: signal.Signals, **how: object) -> None:
    ended = place.run(**how)
    held, left = place.left()
    faults = [f"left {left}"] if left else []
    if held == "torn" or (ended.status == 0 and held != "new"):
        faults.append(held)
    # Before the command has begun, the system ends it, which a shell calls by the same number.
    if ended.status not in (128 + sent, -sent, 0):
        faults.append("it ended otherwise")
    if ended.status == 128 + sent and ended.errors.strip() != "interrupted":
        faults.append("it said otherwise")
    soak.tried("interrupts", f"{place}, {case}", faults, ended)


def failed(soak: Soak, place: Place, number: int) -> None:
    """Let every call fail, or do half, in each way that it may."""
    calls = place.clean.calls
    # What is read was tried beside an old output.
    numbers = range(1, len(calls) + 1) if place.replaces else place.writing
    strikes = [
        (Strike(at=at, what=what), calls[at - 1]) for at in numbers for what in _ways(calls[at - 1])
    ]
    for strike, call in soak.some(strikes, number):
        ended = place.run(strike=strike)
        name = "short" if strike.what == SHORT else errno.errorcode[strike.what]
        case = f"{place}, call {strike.at} {call.name} {call.path}: {name}"
        is_kept = call.name.startswith(_REMOVES) or call.path.endswith(_REMOVED)
        faults = _faults_of(place, ended, is_kept=is_kept)
        if ended.status and strike.what == SHORT:
            faults.append("it is harmless")
        soak.tried("faults of calls", case, faults, ended)


def _ways(call: Call) -> Iterator[int]:
    yield errno.EIO
    if call.name.startswith(_OUT_OF_SPACE):
        yield errno.ENOSPC
    if call.name.startswith(_INTERRUPTED):
        yield errno.EINTR
    if call.name.startswith(_FALLS_SHORT):
        yield SHORT


def _faults_of(
    place: Place, ended: Ended, *, is_kept: bool = False, names_file: bool = True
) -> list[str]:
    """Tell what is wrong with a command that met a fault, and with what there is after it.

    Args:
        place: Where it ran.
        ended: What it did.
        is_kept: Whether it could not remove what it made: the next run does it then.
        names_file: Whether its message must name a file.
    """
    held, left = place.left()
    faults = _next_run(place) if is_kept else [f"left {left}"] if left else []
    if held == "torn" or (ended.status == 0 and held != "new"):
        faults.append(held)
    if ended.status == 0:
        return faults
    if ended.status == _MISUSE and "is not readable" in ended.errors:  # click looks first
        return faults
    if ended.status != _FAILED:
        faults.append("it ended otherwise")
    if not ended.errors.startswith("error: ") or ended.errors.count("\n") != 1:
        faults.append("it said otherwise")
    if len(ended.errors) > _LONGEST_LINE:
        faults.append("a long line")
    if names_file and not any(each in ended.errors for each in place.names):
        faults.append("it names no file")
    return faults


def vanished(soak: Soak, place: Place, number: int) -> None:
    """Let the output's directory be renamed before a call."""
    for at in soak.some(place.writing, number):
        ended = place.run(strike=Strike(at=at, what=VANISH))
        gone, out = place.path / "gone", place.path / "out"
        if out.exists() and gone.exists():  # it made the directory anew
            shutil.rmtree(gone)
            faults = [] if ended.status == 0 else ["it made a directory for nothing"]
        else:
            if gone.exists():
                gone.rename(out)
            faults = _faults_of(place, ended, is_kept=True)
        soak.tried("vanished directories", f"{place}, gone at call {at}", faults, ended)


def limited(soak: Soak, place: Place, number: int) -> None:
    """Let a limit of the system be reached."""
    # Where memory ends differs from run to run, so the same runs do not always meet it.
    certain = [name for name in LIMITS if soak.times != 1 or "memory" not in name]
    for name in soak.some(certain, number):
        ended = place.run(prepare=LIMITS[name])
        (place.path / "out").chmod(place.old["out"][0])
        if ended.status in _ABORTS:  # what libraries in C++ and Rust do where memory ends
            soak.tried("aborts", f"{place}, {name}", _next_run(place), ended)
            continue
        lines = ended.errors.splitlines()
        if "panicked" in ended.errors:  # polars says so before we can say why
            ended = replace(ended, errors=f"{lines[-1]}\n")
        if ended.status == _FAULT and "memory" in name:  # a library says less than what it met
            ended = replace(ended, status=_FAILED)
        of_files = "bytes" in name or "leave" in name
        faults = _faults_of(place, ended, names_file=of_files)
        soak.tried("limits", f"{place}, {name}", faults, ended)


def full(soak: Soak, place: Place, number: int) -> None:
    """Let the disk be full."""
    for kilobytes in soak.some(_ROOM, number) if can_mount() else ():
        place.reset()
        with small_disk(place.path, kilobytes=kilobytes):
            ended = run(place.job.arguments, place.path)
        case = f"{place}, {kilobytes} kB of disk"
        soak.tried("full disks", case, _faults_of(place, ended), ended)


def unread(soak: Soak, inputs: Path, work: Path) -> None:
    """Let nobody read what commands print."""
    for arguments in heads.lines(is_short=soak.times == 1):
        faults, ended = heads.unread(arguments, inputs, work / "unread")
        soak.tried("commands unread", f"{' '.join(arguments)} | head", faults, ended)


_TRIALS: dict[Callable[[Soak, Place, int], None], tuple[int, int]] = {
    killed: (6, 3), interrupted: (4, 2), failed: (12, 4), vanished: (2, 1), limited: (3, 1),
    full: (1, 1),
}  # fmt: skip
"""With the runs of each in the short form: of a quick job, and of one that takes long."""


def _given(option: str) -> str | None:
    """Return what follows an option."""
    return sys.argv[sys.argv.index(option) + 1] if option in sys.argv else None


def _times() -> int | None:
    if times := _given("--times"):
        return int(times)
    return 1 if "--short" in sys.argv else None


def _jobs() -> list[Job]:
    chosen = _given("--job")
    jobs = [job for job in JOBS if chosen in (None, job.arguments[0])]
    if not jobs:
        sys.exit(f"no job of {chosen}: choose from {sorted({job.arguments[0] for job in JOBS})}")
    return jobs


def main() -> None:
    jobs = _jobs()
    if "--inside" not in sys.argv:
        with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
            Path(scratch).chmod(0o755)  # for a user who is not root
            sys.exit(run_preloaded(Path(scratch)))
    work = Path(sys.argv[-1])
    soak = Soak(times=_times())
    inputs = work / "inputs"
    write_inputs(inputs)
    for job in jobs:
        for replaces in (True, False):
            if soak.times == 1 and job.is_slow and not replaces:
                continue
            place = Place(inputs, work / "job", job, replaces=replaces)
            for trial, numbers in _TRIALS.items():
                trial(soak, place, numbers[job.is_slow])
            print(f"{place}: {json.dumps(soak.counts)}", file=sys.stderr, flush=True)
    if _given("--job") is None:
        unread(soak, inputs, work)
    print(json.dumps(soak.counts))
    sys.exit(1 if soak.problems else 0)


if __name__ == "__main__":
    main()
