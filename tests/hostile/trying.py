"""Gives a reader one input after the other, each within limits of memory and of time.

Usage: python -m hostile.trying READER DIRECTORY (FILE... | --inputs N [--seed S] | --seconds S)
The inputs are files; or changes of good ones, the same for a seed; or what atheris finds in S
seconds of processor time, led by what of linexport each input reached. The directory is given
DIRECTORY/input, which holds the input at hand for whoever has to say what it died of,
DIRECTORY/slowest, the one that took the most time for its size, DIRECTORY/tally.json, and
DIRECTORY/fault, a traceback, where there is one.
"""

import argparse
import importlib
import os
import random
import resource
import signal
import struct
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NoReturn

import msgspec
from hostile.readers import READERS, Reader

from linexport.errors import LinexportError

MOST_CPU_SECONDS = 20.0
"""Of all threads, for one input of some kilobytes; the process ends where it takes more."""
MOST_MEMORY, MOST_MEMORY_PER_BYTE = 256 << 20, 256
"""Bytes that the process may grow by for one input: a constant, and for each of its bytes."""
MOST_ADDRESSES = 4 << 30
"""Bytes that a process may map beyond what it has: it ends before the machine is in need."""
LONGEST_MESSAGE = 500
"""Characters, without the path. The command line makes one line of what a name may have of them."""
LONGEST_INPUT = 1 << 16
_WRITTEN_EACH = 64
"""Inputs between two looks at the tally, for whoever survives the process."""
_COUNTED = 4096
"""Bytes that an input counts as at least, where a cost is said per byte."""


class Fault(Exception):  # noqa: N818 - it is the finding
    """What a reader did that it must not do."""


class Tally(msgspec.Struct):
    """What came of a reader's inputs."""

    reader: str
    inputs: int = 0
    accepted: int = 0
    seconds: float = 0.0
    """Of processor time that the reader had, with what leads it."""
    seconds_per_kb: float = 0.0
    """Of processor time; the most of one input."""
    memory_per_byte: float = 0.0
    """By which the process grew, for each byte of the input; the most of one."""
    most_memory: int = 0
    """Bytes by which it grew for one input."""

    @property
    def refused(self) -> int:
        return self.inputs - self.accepted

    def plus(self, other: "Tally", seconds: float) -> "Tally":
        """Return that of both, of which the other took so many seconds."""
        return Tally(
            reader=self.reader,
            inputs=self.inputs + other.inputs,
            accepted=self.accepted + other.accepted,
            seconds=self.seconds + seconds,
            seconds_per_kb=max(self.seconds_per_kb, other.seconds_per_kb),
            memory_per_byte=max(self.memory_per_byte, other.memory_per_byte),
            most_memory=max(self.most_memory, other.most_memory),
        )


class Trial:
    """A reader under limits."""

    def __init__(self, name: str, directory: Path) -> None:
        files = directory / "files"
        files.mkdir()
        self._files = str(files)
        self.reader: Reader = READERS[name](files)
        self.tally = Tally(name)
        self._directory = directory
        self._input = os.open(directory / "input", os.O_RDWR | os.O_CREAT)

    def one(self, data: bytes) -> None:
        """Give it one input.

        Raises:
            Fault: If it was too much for it; or whatever it raises that is not one of our errors.
        """
        try:
            self._one(data)
        except BaseException:  # a panic of polars is no Exception
            (self._directory / "fault").write_text(traceback.format_exc())
            self.write()
            raise

    def _one(self, data: bytes) -> None:
        os.pwrite(self._input, data, 0)
        os.ftruncate(self._input, len(data))
        signal.setitimer(signal.ITIMER_PROF, MOST_CPU_SECONDS)
        memory, seconds = _memory_from_now_on(), time.process_time()
        message = None
        try:
            self.reader.read(data)
            self.tally.accepted += 1
        except LinexportError as error:
            message = str(error).replace(self._files, "")
        finally:  # it would end whatever this process does next
            signal.setitimer(signal.ITIMER_PROF, 0)
        self._count(data, time.process_time() - seconds, _peak() - memory)
        if message is not None:
            _require_sentence(message)

    def _count(self, data: bytes, seconds: float, memory: int) -> None:
        tally, counted = self.tally, max(len(data), _COUNTED)
        tally.inputs += 1
        if tally.inputs % _WRITTEN_EACH == 0:
            self.write()
        seconds_per_kb = 1024 * seconds / counted
        if seconds_per_kb > tally.seconds_per_kb:
            (self._directory / "slowest").write_bytes(data)
            tally.seconds_per_kb = seconds_per_kb
        tally.memory_per_byte = max(tally.memory_per_byte, memory / counted)
        tally.most_memory = max(tally.most_memory, memory)
        if memory > MOST_MEMORY + MOST_MEMORY_PER_BYTE * len(data):
            raise Fault(f"it took {memory >> 20} MiB for {len(data)} bytes")

    def write(self) -> None:
        """Write the tally."""
        (self._directory / "tally.json").write_bytes(msgspec.json.encode(self.tally))


def processor_time() -> float:
    """Return the seconds of this process and of the children that it waited for."""
    return sum(os.times()[:4])


def _require_sentence(message: str) -> None:
    if not 0 < len(message) <= LONGEST_MESSAGE:
        raise Fault(f"its message has {len(message)} characters: {message!r}")


def _memory_from_now_on() -> int:
    """Return the bytes in memory, and have the kernel forget the most that there were."""
    with suppress(OSError):  # not Linux, or not allowed: then what is more than ever is seen
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    try:
        status = Path("/proc/self/status").read_bytes()
    except OSError:
        return 0
    return int(status.split(b"VmHWM:")[1].split(maxsplit=1)[0]) << 10


_BYTES = (0, 1, 0x7F, 0x80, 0xFF, *b'"[]{}\n,0-')
WORDS = (
    b"\xff\xff\xff\x7f", b"\xff" * 8, b"\0" * 8, b"1e999", b"-0", b"NaN", b"null", b"\\ud800",
    b"\xed\xa0\x80", b"[" * 64, b'{"a":' * 64, b"9" * 400, b'"', b"\r", b",,", b"\xef\xbb\xbf",
    b"\x1b[2J",
)  # fmt: skip
"""What parsers stumble over."""
_NUMBERS = (-1, 2**31 - 1, 1 << 24, 1 << 40)


def changed(seeds: "list[bytes]", rng: random.Random) -> bytes:
    """Return one of the seeds with a few changes: bits, bytes, words, cuts, copies, numbers."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(data):
                data[at] = rng.choice(_BYTES)
            case 2:
                data[at:at] = rng.choice(WORDS)
            case 3:
                del data[at : at + rng.choice((1, 4, 32, 1024))]
            case 4:
                part = bytes(data[at : at + rng.choice((4, 64, 512))])
                data[at:at] = part * rng.choice((1, 2, 50))
            case 5:
                number = struct.pack("<q", rng.choice(_NUMBERS))[: rng.choice((4, 8))]
                data[at : at + len(number)] = number
            case _ if rng.randrange(2):
                del data[at:]
    return bytes(data[:LONGEST_INPUT])


def _changes(reader: Reader, seed: int) -> Iterator[bytes]:
    yield from reader.seeds
    rng = random.Random(seed)
    while True:
        yield changed(list(reader.seeds), rng)


def _limit_addresses() -> None:
    if (statm := Path("/proc/self/statm")).exists():
        mapped = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + MOST_ADDRESSES,) * 2)


def _made(name: str, directory: Path) -> Trial:
    """Return a trial of a reader that has loaded what it needs."""
    trial = Trial(name, directory)
    for seed in trial.reader.seeds:
        with suppress(LinexportError):
            trial.reader.read(seed)
    _limit_addresses()
    return trial


def _led(name: str, directory: Path, corpus: Path, seconds: float) -> NoReturn:
    """Try what atheris makes; what led it anywhere is kept in the corpus, also for another time."""
    import atheris
    import torch._weights_only_unpickler

    with atheris.instrument_imports(include=["torch"]):  # it takes whole packages, and seconds
        importlib.reload(torch._weights_only_unpickler)
    with atheris.instrument_imports(include=["linexport"]):
        trial = _made(name, directory)
    for number, seed in enumerate(trial.reader.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = directory / "words"
    quoted = ("".join(f"\\x{byte:02x}" for byte in word) for word in WORDS)
    words.write_text("".join(f'"{word}"\n' for word in quoted))
    ends = processor_time() + seconds

    def one(data: bytes) -> None:
        if processor_time() > ends:
            trial.write()
            os._exit(0)  # atheris has no other end but a fault
        trial.one(data)

    options = f"-max_len={LONGEST_INPUT} -rss_limit_mb=0 -timeout=120 -dict={words}".split()
    quiet = ["-verbosity=0", f"-artifact_prefix={directory}/"]
    atheris.Setup([sys.argv[0], str(corpus), *options, *quiet], one)
    atheris.Fuzz()
    sys.exit(1)


def main() -> None:
    """Try one reader."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("directory", type=Path)
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--inputs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--corpus", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.seconds:
        _led(options.reader, options.directory, options.corpus, options.seconds)
    trial = _made(options.reader, options.directory)
    inputs = islice(_changes(trial.reader, options.seed), options.inputs)
    for data in (file.read_bytes() for file in options.files) if options.files else inputs:
        trial.one(data)
    trial.write()


if __name__ == "__main__":
    main()
