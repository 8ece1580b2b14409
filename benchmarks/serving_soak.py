"""Good and bad requests for ten minutes: every answer as it should be, and flat memory.

    python benchmarks/serving_soak.py [seconds] [--workers N] [--reload] [--attack] [--short]

CLIENTS connections to one server, each sending requests of every kind in _soak_requests.py, in an
order of its own, PAUSE seconds apart. Every answer must have its kind's status, every row's
prediction must be within the rounding-error bound of the exact one, and every refusal must be a
sentence; the first that is not, or that gets no answer, ends the run. In the end the server is told
to stop while all go on asking: each must be answered until an answer says that it is the last.

--reload puts another model in the place of the one that is served every RELOAD_SECONDS, and sends
SIGHUP; an answer must be that of the version it names. --attack has the crowds of _soak_attacks.py
come and go beside the clients, who may then be told to try again.

Memory is flat if it does not grow by GROWTH_MB a process after the first third of the time, in
which buffers and caches fill: by the slope of a line through the least of each of WINDOWS equal
parts of the rest. The least, as bodies of 4 MiB and crowds come and go; what stays is in it. A run
shorter than JUDGED_SECONDS shows too little of it, and is judged by its answers alone.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from itertools import cycle, groupby
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

import numpy as np
from _servers import ours
from _soak_attacks import attack
from _soak_requests import BUNDLE, Kind, Models, bad_requests, good_requests, versions_of

import linexport
from linexport import ExportConfig, LinearModel

MINUTES, SHORT_SECONDS, CLIENTS, PAUSE = 10, 4.0, 8, 0.005
PATIENCE_SECONDS, WHO = 120.0, ("client", "answer", "idle")
"""Without an answer, which end the run. The server has as much: who asks and who answers share a
machine, on which each may be slow for reasons that are not the server's."""
SAMPLE_SECONDS, RELOAD_SECONDS = 0.25, 2.0
WINDOWS, GROWTH_MB, JUDGED_SECONDS = 20, 2.0, 60.0
"""The least that a request can leave behind is an object of 16 bytes: 2.4 MB after the 150,000
requests of 400 s. In runs of one to three minutes the line showed -1.0 to +0.7 MB."""
WRONG = {"refused", "failure", "dropped", "error"}
"""Events that the server's log must not have."""
BUSY = (429, 503)
"""What may be told, with the words "try again", to who asks beside a crowd."""


@dataclass(frozen=True, kw_only=True)
class Soak:
    """What all who ask share."""

    port: int
    kinds: Mapping[str, Kind]
    models: Models
    busy: Collection[int]
    over: threading.Event = field(default_factory=threading.Event)
    """Set when the time is over, or once something wrong has happened to one of them."""


class Found(NamedTuple):
    """What came of it."""

    answers: Counter[tuple[str, int]]
    """How often each kind of request was answered with what."""
    memory: list[int]
    """The server's resident bytes, sampled evenly; of all its processes."""
    beside: dict[str, int]
    """How often else what was done."""


def main() -> None:
    arguments = argparse.ArgumentParser()
    default = 60.0 * float(os.environ.get("ROUNDS", MINUTES))
    arguments.add_argument("seconds", type=float, nargs="?", default=default)
    arguments.add_argument("--workers", type=int, default=1)
    arguments.add_argument("--reload", action="store_true")
    arguments.add_argument("--attack", action="store_true")
    arguments.add_argument("--short", action="store_true")
    given = arguments.parse_args()
    given.seconds = SHORT_SECONDS if given.short else given.seconds
    log: Counter[str] = Counter()

    def see(line: bytes) -> None:
        event = json.loads(line)["event"] if line.startswith(b"{") else "error"
        log[event] += 1
        if event in WRONG:
            sys.stderr.buffer.write(line)

    with tempfile.TemporaryDirectory() as scratch:
        found = soak(Path(scratch), given, see)
    for kind, counts in groupby(sorted(found.answers.items()), key=lambda entry: entry[0][0]):
        print(f"{kind:<32}", *(f"{count:>9,} x {status}" for (_, status), count in counts))
    for what, number in {**found.beside, **log}.items():
        print(f"{what:<32} {number:>9,}")
    wrong = log.keys() & WRONG
    least = least_mb(found.memory)
    grown = growth(least) / given.workers
    total, first = found.answers.total(), found.memory[0] / 1e6
    print(f"{total:,} requests in {given.seconds:.0f} s, each answered as it should be")
    print(f"resident, MB: {first:.1f} at first, then", *(f"{each:.1f}" for each in least))
    print(f"by the line {grown:+.2f} MB a process")
    if wrong:
        sys.exit(f"missed: the log has {', '.join(wrong)}")
    if given.seconds >= JUDGED_SECONDS and not grown < GROWTH_MB:
        sys.exit(f"missed: memory grows by more than {GROWTH_MB} MB")


def soak(scratch: Path, given: argparse.Namespace, see: Callable[[bytes], object]) -> Found:
    """Start a server, ask it for so long, and stop it.

    Args:
        scratch: A directory for the models.
        given: The options.
        see: Is called with each line of the server's log.
    """
    bundles = two_models(scratch)
    options = [
        f"--workers={given.workers}",
        *(f"--{who}-timeout={PATIENCE_SECONDS}" for who in WHO),
    ]
    with (
        ThreadPoolExecutor(CLIENTS + 2) as pool,
        ours(bundles[0], *options, see=see) as (server, process),
    ):
        shared = Soak(
            port=server.port,
            kinds=good_requests() | bad_requests(),
            models=versions_of(*bundles),
            busy=BUSY if given.attack else (),
        )
        clients = [pool.submit(be_a_client, shared, seed) for seed in range(CLIENTS)]
        beside = {}
        if given.attack:
            beside["connections of crowds"] = pool.submit(attack, shared.port, 0, shared.over)
        if given.reload:
            beside["models put in place"] = pool.submit(replace, bundles, process, shared.over)
        memory = sampled(process.pid, given.seconds, shared.over)
        done = {what: future.result() for what, future in beside.items()}
        process.terminate()
        answers: Counter[tuple[str, int]] = Counter()
        for client in clients:
            answers += client.result()  # raises what the client met
        assert process.wait(PATIENCE_SECONDS) == 0
    assert {name for name, _ in answers} == shared.kinds.keys(), "some were never sent"
    return Found(answers, memory, done)


def sampled(process: int, seconds: float, over: threading.Event) -> list[int]:
    """Return the resident bytes of so long, every now and then; in the end it is over for all."""
    memory, end = [], time.monotonic() + seconds
    try:
        while time.monotonic() < end and not over.wait(SAMPLE_SECONDS):
            memory.append(resident_bytes(process))
    finally:
        over.set()
    return memory


def be_a_client(shared: Soak, seed: int) -> Counter[tuple[str, int]]:
    """Send one request after the other, until an answer says that it is the last."""
    answers: Counter[tuple[str, int]] = Counter()
    names = cycle(random.Random(seed).sample(sorted(shared.kinds), len(shared.kinds)))
    connection = HTTPConnection("127.0.0.1", shared.port, timeout=PATIENCE_SECONDS)
    try:
        is_last = False
        while not is_last:
            name = next(names)
            try:
                status, is_last = ask(name, shared, connection)
            except Exception as error:
                raise RuntimeError(f"{name}: {error!r}") from error
            answers[name, status] += 1
            time.sleep(PAUSE)
    finally:
        shared.over.set()
        connection.close()
    return answers


def ask(name: str, shared: Soak, connection: HTTPConnection) -> tuple[int, bool]:
    """Send one request and check the answer; return its status and whether it is the last."""
    kind = shared.kinds[name]
    if kind.announced:
        connection.putrequest(kind.method, kind.path)
        for header, value in kind.headers.items():
            connection.putheader(header, value)
        connection.endheaders()
    else:
        connection.request(kind.method, kind.path, kind.body, kind.headers)
    response = connection.getresponse()
    kind.check(response.status, response.headers, response.read(), shared.models, shared.busy)
    if kind.announced:
        connection.close()  # as the server still waits for the body
    return response.status, response.headers["connection"] == "close"


def two_models(scratch: Path) -> tuple[Path, Path]:
    """Write the model of the textbook, and another that is asked as it is."""
    served = shutil.copytree(BUNDLE, scratch / BUNDLE.name)
    model = LinearModel(weight=np.array([[-1.5, 0.25]]), bias=np.array([40.0]))
    other = scratch / "other"
    linexport.export(model, other, config=ExportConfig(formats=("onnx",)))
    return served, other


def replace(bundles: Sequence[Path], process: "Popen[bytes]", over: threading.Event) -> int:
    """Put one model in the place of the other, time and again, and have it served."""
    first, second = bundles
    aside, times = first.with_name("aside"), 0
    while not over.wait(RELOAD_SECONDS):
        first.rename(aside)
        second.rename(first)
        aside.rename(second)
        process.send_signal(signal.SIGHUP)
        times += 1
    return times


def least_mb(memory: Sequence[int]) -> list[float]:
    """Return the least of equal parts of the last two thirds of the samples."""
    parts = np.array_split(memory[len(memory) // 3 :], WINDOWS)
    return [float(part.min()) / 1e6 for part in parts if len(part)]


def growth(parts: Sequence[float]) -> float:
    """Return by how much they grow from the first to the last, by a line through them."""
    slope, _ = np.polyfit(range(len(parts)), parts, 1)
    return float(slope) * (len(parts) - 1)


def resident_bytes(process: int) -> int:
    """Return those of a process and of all that it started."""
    status = Path(f"/proc/{process}/status").read_text()
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    (found,) = (int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line)
    return found * 1024 + sum(map(resident_bytes, map(int, children)))


if __name__ == "__main__":
    main()
