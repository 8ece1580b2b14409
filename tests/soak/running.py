"""Commands in children of a process that has loaded all they need, and what is done to them.

The process has `faults.c` preloaded, which strikes one file-system call of the child: see `Strike`.
"""

import ctypes
import fcntl
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, NoReturn

SHORT, VANISH, SIGNAL = -1, -2, -100
"""What `faults.c` does instead of failing with an errno; SIGNAL - N sends itself the signal N."""
_SECONDS = 600
"""After which a command hangs, also on a machine with much else to do."""
_SOURCE = Path(__file__).with_name("faults.c")


class Call(NamedTuple):
    """One call of the file system."""

    name: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Strike:
    """Which call is struck, from 1, and with what: an errno, or one of the above."""

    at: int = 0
    what: int = 0


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended: its status, or minus the signal; what it printed and called."""

    status: int
    output: str
    errors: str
    seconds: float
    calls: Sequence[Call] = field(repr=False)


def run_preloaded(work: Path) -> int:
    """Run this script with `faults.c`, built in `work`, and one thread in each library.

    It is given `--inside` and `work` as further arguments; its status is returned.
    """
    library = work / "faults.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, _SOURCE, "-ldl"], check=True)
    one_thread = dict.fromkeys(["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"], "1")
    settings = {"LD_PRELOAD": str(library), "POLARS_MAX_THREADS": "2", **one_thread}
    environment = os.environ | settings
    environment.pop("RUST_BACKTRACE", None)
    inside = [sys.executable, *sys.argv, "--inside", str(work)]
    return subprocess.run(inside, env=environment, check=False).returncode


def command(*arguments: str) -> NoReturn:
    """Run linexport in this process, and end it."""
    from linexport.cli import main

    status: object = 70
    try:
        main(list(arguments))
    except SystemExit as ended:
        status = ended.code or 0
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    os._exit(status if isinstance(status, int) else 1)


def run(
    arguments: Sequence[str],
    place: Path,
    *,
    strike: Strike = Strike(),
    prepare: Callable[[], object] = lambda: None,
    kill_after: tuple[float, int] | None = None,
    output: int | None = None,
    traced: bool = False,
) -> Ended:
    """Run a command in a child.

    Args:
        arguments: Of linexport.
        place: Where it runs; its calls below this directory are counted.
        strike: What becomes of one of them.
        prepare: Done in the child first.
        kill_after: Seconds, and the signal that is sent then.
        output: A descriptor in place of its standard output.
        traced: Whether its calls are noted.
    """
    (printed, to_output), (said, to_errors), called = _pipe(), _pipe(), os.memfd_create("calls")
    began = time.monotonic()
    child = os.fork()
    if not child:
        os.chdir(place)
        os.dup2(to_output if output is None else output, 1)
        os.dup2(to_errors, 2)
        os.closerange(3, called)
        prepare()
        arm = ctypes.CDLL(os.environ["LD_PRELOAD"]).arm
        arm(os.fsencode(place), strike.at, strike.what, called if traced else -1)
        command(*arguments)
    os.close(to_output)
    os.close(to_errors)
    status = _waited(child, kill_after)
    seconds = time.monotonic() - began
    os.lseek(called, 0, os.SEEK_SET)
    calls = [Call(*line.split("\t", 1)) for line in _content(called).splitlines()]
    return Ended(
        status=status,
        output=_content(printed),
        errors=_content(said),
        seconds=seconds,
        calls=calls,
    )


def _pipe() -> tuple[int, int]:
    """Return a pipe that holds all that a small command prints."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 20)
    return reader, writer


def _waited(child: int, kill_after: tuple[float, int] | None) -> int:
    watched = os.pidfd_open(child)
    try:
        if kill_after and not select.select([watched], [], [], kill_after[0])[0]:
            signal.pidfd_send_signal(watched, kill_after[1])
        if not select.select([watched], [], [], _SECONDS)[0]:
            signal.pidfd_send_signal(watched, signal.SIGABRT)
    finally:
        os.close(watched)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _content(descriptor: int) -> str:
    with os.fdopen(descriptor, "rb") as file:
        return file.read().decode(errors="replace")


def load_all_of(commands: Sequence[Sequence[str]], place: Path) -> None:
    """Run commands, and load here what they load, so that their children need not."""
    for arguments in commands:
        reader, writer = _pipe()
        child = os.fork()
        if not child:
            os.chdir(place)
            _tell_modules(arguments, writer)
        os.close(writer)
        status = _waited(child, None)
        told = _content(reader)
        assert status == 0, (arguments, status)
        for name in json.loads(told):
            with suppress(Exception):  # one that an application makes in memory
                importlib.import_module(name)


def _tell_modules(arguments: Sequence[str], writer: int) -> NoReturn:
    from linexport.cli import main

    with suppress(SystemExit):
        main(list(arguments))
    with os.fdopen(writer, "w") as told:
        json.dump(list(sys.modules), told)
    os._exit(0)


@contextmanager
def reader_that_leaves() -> Iterator[int]:
    """Yield a descriptor of a pipe whose reader has gone, as `head -0` does."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)
