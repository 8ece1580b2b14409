"""Good and bad requests for ten minutes: every answer as it should be, and flat memory.

    python benchmarks/serving_soak.py [seconds]

CLIENTS connections to one server, each sending requests of every kind in _soak_requests.py, in
random order, PAUSE seconds apart. Every answer must have its kind's status, every row's prediction
must be within the rounding-error bound of the exact one, and every refusal must be a sentence; the
first that is not, or that gets no answer, ends the run.

Memory is flat if it does not grow by GROWTH_MB after the first third of the time, in which buffers
and caches fill: by the slope of a line through the medians of WINDOWS equal parts of the rest. The
medians, as bodies of 4 MiB come and go.
"""

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
from _servers import ours
from _soak_requests import BUNDLE, Kind, bad_requests, good_requests
from _timing import rounds_asked

MINUTES, CLIENTS, PAUSE = 10, 8, 0.005
PATIENCE_SECONDS = 30.0
"""Without an answer, which end the run; the server's own limits are shorter."""
SAMPLE_SECONDS = 0.25
WINDOWS, GROWTH_MB = 20, 2.0
"""The least that a request can leave behind is an object of 16 bytes: 2.4 MB after the 150,000
requests of 400 s. In runs of one to three minutes the line showed -1.0 to +0.7 MB."""


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0 * rounds_asked(MINUTES)
    kinds = good_requests() | bad_requests()
    with ours(BUNDLE) as (server, process):
        answers, memory = soak(kinds, server.port, process, seconds)
    for name in kinds:
        counts = {answer: count for (kind, answer), count in answers.items() if kind == name}
        print(f"{name:<32}", *(f"{count:>9,} x {answer}" for answer, count in counts.items()))
        assert counts, f"{name} was never sent"
    grown = growth_mb(memory)
    print(f"{answers.total():,} requests in {seconds:.0f} s, each answered as it should be")
    print(f"resident: {memory[-1] / 1e6:.1f} MB at the end; by the line {grown:+.2f} MB")
    if not grown < GROWTH_MB:
        sys.exit(f"missed: memory grows by more than {GROWTH_MB} MB")


def soak(
    kinds: Mapping[str, Kind], port: int, process: int, seconds: float
) -> tuple[Counter[tuple[str, int]], list[int]]:
    """Let the clients ask.

    Returns:
        How often each kind was answered with what; the server's resident bytes, sampled evenly.
    """
    stop, end, memory = threading.Event(), time.monotonic() + seconds, []
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(be_a_client, kinds, port, seed, stop) for seed in range(CLIENTS)]
        while time.monotonic() < end and not stop.wait(SAMPLE_SECONDS):
            memory.append(resident_bytes(process))
        stop.set()
    answers: Counter[tuple[str, int]] = Counter()
    for client in clients:
        answers += client.result()  # raises what the client met
    return answers, memory


def be_a_client(
    kinds: Mapping[str, Kind], port: int, seed: int, stop: threading.Event
) -> Counter[tuple[str, int]]:
    """Send one request after the other; whatever goes wrong here stops all clients."""
    answers: Counter[tuple[str, int]] = Counter()
    chance = random.Random(seed)
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        while not stop.is_set():
            name = chance.choice(list(kinds))
            try:
                answers[name, ask(kinds[name], connection)] += 1
            except Exception as error:
                raise RuntimeError(f"{name}: {error!r}") from error
            time.sleep(PAUSE)
    finally:
        stop.set()
        connection.close()
    return answers


def ask(kind: Kind, connection: HTTPConnection) -> int:
    """Send one request, check the answer and return its status."""
    if kind.announced:
        connection.putrequest(kind.method, kind.path)
        for name, value in kind.headers.items():
            connection.putheader(name, value)
        connection.endheaders()
    else:
        connection.request(kind.method, kind.path, kind.body, kind.headers)
    response = connection.getresponse()
    kind.check(response.status, response.headers, response.read())
    if kind.announced:
        connection.close()  # as the server still waits for the body
    return response.status


def growth_mb(memory: Sequence[int]) -> float:
    """Return by how much the resident bytes grow over the last two thirds of their samples."""
    windows = np.array_split(memory[len(memory) // 3 :], WINDOWS)
    slope, _ = np.polyfit(range(WINDOWS), [np.median(window) for window in windows], 1)
    return float(slope) * (WINDOWS - 1) / 1e6


def resident_bytes(process: int) -> int:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no such process")


if __name__ == "__main__":
    main()
