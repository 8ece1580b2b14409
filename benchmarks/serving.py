"""The inference server under load: beside its own stack answering a constant, and against others.

    python benchmarks/serving.py [rounds] [--peer-python INTERPRETER]...

wrk (https://github.com/wg/wrk) asks on loopback: one row and 1,000 rows of ten features, JSON and
binary, over 1 and 64 connections. All servers in alternation; medians of requests/s, p50 and p99,
and of each round's ratio of our requests/s to theirs. The constant is what any server on the stack
can reach at most; there is no target for it. Fails if an answer is an error, if another model
server is faster than ours, or if MLServer has an eighth of ours for one row and one connection.

The other model servers, with the same model by scikit-learn, are MLflow's and MLServer. Each is
loaded if an interpreter that is named has it; peers/requirements-*.txt say what to install.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _servers import KNOWN_PEERS, Request, Server, constant, interpreter_with, ours, peer
from sklearn.linear_model import LinearRegression

import linexport
from linexport import ExportConfig

TARGET = 8
"""Times MLServer's requests/s for one row over one connection."""
NUM_FEATURES = 10
SECONDS = 2
FULL = 5
"""Answers to each connection that make a run count: those that wrk still waits for when it ends
are not in its rate. With fewer, a run is repeated SLOWER times as long."""
SLOWER = 5
PATIENCE_SECONDS = 30
"""After which wrk counts a request as failed: slow is measured, not failed."""
CONNECTIONS = (1, 64)
_MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


class Load(NamedTuple):
    """What wrk found in one run."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("rounds", type=int, nargs="?", default=os.environ.get("ROUNDS", 3))
    arguments.add_argument("--peer-python", action="append", default=[sys.executable])
    given = arguments.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed; Debian has it (apt-get install wrk)")
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        servers = start(Path(scratch), given.peer_python, stack)
        missed = measure(servers, Path(scratch), given.rounds)
    print(f"target: {TARGET} times MLServer's requests/s for one row over one connection; else 1")
    if missed:
        sys.exit("missed: " + "; ".join(missed))


def start(scratch: Path, interpreters: Sequence[str], stack: ExitStack) -> list[Server]:
    """Start every server that there is, with a model of the same table."""
    random = np.random.default_rng(0)
    features = random.normal(size=(1000, NUM_FEATURES)).astype(np.float32)
    targets = features @ random.normal(size=NUM_FEATURES) + 1
    table = scratch / "table.npz"
    np.savez(table, features=features, targets=targets)
    model = LinearRegression().fit(features.astype(np.float64), targets)
    linexport.export(model, scratch / "model", config=ExportConfig(formats=("onnx",)))
    server, _ = stack.enter_context(ours(scratch / "model"))
    servers = [server, stack.enter_context(constant(like=server))]
    for name, known in KNOWN_PEERS.items():
        python = interpreter_with(known.package, interpreters)
        if python is None:
            print(f"{name}: not installed; see benchmarks/peers/requirements-{name}.txt")
        else:
            servers.append(stack.enter_context(peer(name, python, table, scratch / name)))
    return servers


def measure(servers: Sequence[Server], scratch: Path, rounds: int) -> list[str]:
    """Load them all with every kind of request; return the targets that are missed."""
    missed = []
    print(f"{'':<34}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'ours / it':>11}")
    for num_rows in (1, 1000):
        rows = np.random.default_rng(1).normal(size=(num_rows, NUM_FEATURES)).astype(np.float32)
        for kind in ("json", "binary"):
            asked = {server: server.request(rows, kind) for server in servers}
            for connections in CONNECTIONS:
                label = f"{num_rows:,} rows, {kind}, {connections} connections"
                print(label)
                scripts = {
                    server: write_script(scratch / f"{server.name}-{num_rows}-{kind}", request)
                    for server, request in asked.items()
                    if request is not None
                }
                ratios = compare(scripts, connections, rounds)
                alone = num_rows == connections == 1
                missed += [
                    f"{label}: {ratio:.2f} of {name}"
                    for name, ratio in ratios.items()
                    if name != "constant"
                    and ratio < (TARGET if alone and name == "mlserver" else 1)
                ]
    return missed


def compare(scripts: dict[Server, Path], connections: int, rounds: int) -> dict[str, float]:
    """Print what each reaches; return the ratio of the first's requests/s to each other's."""
    loads: dict[Server, list[Load]] = {server: [] for server in scripts}
    for _ in range(rounds):
        for server, script in scripts.items():
            loads[server].append(load(server, script, connections))
    first = next(iter(scripts))
    ratios = {}
    for server, found in loads.items():
        rate, p50, p99 = (statistics.median(values) for values in zip(*found, strict=True))
        line = f"  {server.name:<32}{rate:>12,.0f}{p50:>9.2f}{p99:>9.2f}"
        if server is not first:
            ratio = statistics.median(
                mine.requests_per_second / other.requests_per_second
                for mine, other in zip(loads[first], found, strict=True)
            )
            ratios[server.name] = ratio
            line += f"{ratio:>11.2f}"
        print(line, flush=True)
    return ratios


def load(server: Server, script: Path, connections: int) -> Load:
    """Let wrk ask for some seconds; an error in an answer ends the benchmark."""
    found = run_wrk(server, script, connections, SECONDS)
    if float(said(r"(\d+) requests in", found)) < FULL * connections:
        found = run_wrk(server, script, connections, SLOWER * SECONDS)
    times = {
        percent: float(value) * _MILLISECONDS[unit]
        for percent, value, unit in re.findall(r"(\d+)%\s+([\d.]+)(us|ms|s)\b", found)
    }
    return Load(float(said(r"Requests/sec:\s*([\d.]+)", found)), times["50"], times["99"])


def run_wrk(server: Server, script: Path, connections: int, seconds: int) -> str:
    settings = [f"-c{connections}", f"-d{seconds}s", f"--timeout={PATIENCE_SECONDS}s"]
    command = ["wrk", "-t1", *settings, "--latency", "-s", str(script)]
    url = f"http://127.0.0.1:{server.port}"
    found = subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in found or "Socket errors" in found:
        sys.exit(f"{server.name}: {found}")
    return found


def said(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return found[1]


def write_script(path: Path, request: Request) -> Path:
    """Write what wrk sends."""
    body = path.with_suffix(".body")
    body.write_bytes(request.body)
    lines = ['wrk.method = "POST"', f'wrk.path = "{request.path}"']
    lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in request.headers.items()]
    lines += [f'wrk.body = io.open("{body}", "rb"):read("*a")']
    script = path.with_suffix(".lua")
    script.write_text("\n".join(lines))
    return script


if __name__ == "__main__":
    main()
