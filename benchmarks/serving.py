"""The inference server under load, against its own stack answering a constant.

    python benchmarks/serving.py [rounds]

wrk (https://github.com/wg/wrk) asks on loopback: one row and 1,000 rows, JSON and binary, over 1
and 64 connections. Both servers in alternation; medians of requests/s, p50 and p99. For 1,000 rows
the constant is no measure, as their time is spent on the rows. Fails if one row reaches less than
TARGET of the constant's requests/s, or if an answer is an error.
"""

import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

HERE = Path(__file__).parent
BUNDLE = HERE.parent / "models" / "textbook"
TARGET = 0.6
SECONDS = 2
CONNECTIONS = (1, 64)
_MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


class Load(NamedTuple):
    """What wrk found in one run."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float


def main() -> None:
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed; Debian has it (apt-get install wrk)")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    missed = []
    print(f"{'':<38}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'of constant':>13}")
    with tempfile.TemporaryDirectory() as scratch, ours() as (port, _), constant() as constant_port:
        for num_rows in (1, 1000):
            for kind in ("json", "binary"):
                script = write_script(Path(scratch), num_rows, kind)
                for connections in CONNECTIONS:
                    label = f"{num_rows} rows, {kind}, {connections} connections"
                    ratio = compare(label, script, connections, port, constant_port, rounds)
                    if num_rows == 1 and ratio < TARGET:
                        missed.append(f"{label}: {ratio:.2f}")
    print(f"target: {TARGET} of the constant's requests/s for one row")
    if missed:
        sys.exit("missed: " + "; ".join(missed))


def compare(
    label: str, script: Path, connections: int, port: int, constant_port: int, rounds: int
) -> float:
    pairs = [
        (load(port, script, connections), load(constant_port, script, connections))
        for _ in range(rounds)
    ]
    ratio = statistics.median(
        mine.requests_per_second / other.requests_per_second for mine, other in pairs
    )
    for name, loads in (
        (label, [mine for mine, _ in pairs]),
        ("  constant", [other for _, other in pairs]),
    ):
        rate, p50, p99 = (statistics.median(values) for values in zip(*loads, strict=True))
        share = f"{ratio:>13.2f}" if name == label else ""
        print(f"{name:<38}{rate:>12,.0f}{p50:>9.2f}{p99:>9.2f}{share}")
    return ratio


def load(port: int, script: Path, connections: int) -> Load:
    """Let wrk ask for some seconds; an error in an answer ends the benchmark."""
    url = f"http://127.0.0.1:{port}/v2/models/textbook/infer"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", "-s", str(script)]
    found = subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in found or "Socket errors" in found:
        sys.exit(found)
    rate = re.search(r"Requests/sec:\s*([\d.]+)", found)
    times = {
        percent: float(value) * _MILLISECONDS[unit]
        for percent, value, unit in re.findall(r"(\d+)%\s+([\d.]+)(us|ms|s)\b", found)
    }
    assert rate is not None, found
    return Load(float(rate[1]), times["50"], times["99"])


def write_script(directory: Path, num_rows: int, kind: str) -> Path:
    """Write what wrk sends: an inference request of the Open Inference Protocol."""
    rows = np.random.default_rng(0).normal(size=(num_rows, 2)).astype(np.float32)
    given = {"name": "features", "shape": rows.shape, "datatype": "FP32"}
    wanted = {"name": "prediction", "parameters": {"binary_data": kind == "binary"}}
    headers = {"Content-Type": "application/json"}
    if kind == "json":
        body = json.dumps({"inputs": [given | {"data": rows.ravel().tolist()}]}).encode()
    else:
        data = rows.tobytes()
        header = json.dumps(
            {
                "inputs": [given | {"parameters": {"binary_data_size": len(data)}}],
                "outputs": [wanted],
            }
        ).encode()
        body = header + data
        headers = {
            "Content-Type": "application/octet-stream",
            "Inference-Header-Content-Length": str(len(header)),
        }
    (directory / f"{num_rows}-{kind}.body").write_bytes(body)
    script = directory / f"{num_rows}-{kind}.lua"
    lines = ['wrk.method = "POST"']
    lines += [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
    lines += [f'wrk.body = io.open("{directory / script.stem}.body", "rb"):read("*a")']
    script.write_text("\n".join(lines))
    return script


@contextmanager
def ours() -> Iterator[tuple[int, int]]:
    """Start `linexport serve` without its access log; yield its port and process."""
    command = [sys.executable, "-m", "linexport", "serve", str(BUNDLE), "--port", "0"]
    with subprocess.Popen([*command, "--no-access-log"], stderr=subprocess.PIPE) as server:
        assert server.stderr is not None
        started = json.loads(server.stderr.readline())
        try:
            yield int(started["urls"][0].rpartition(":")[2]), server.pid
        finally:
            server.terminate()


@contextmanager
def constant() -> Iterator[int]:
    command = [sys.executable, str(HERE / "peers" / "constant_server.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
