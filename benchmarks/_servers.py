"""The inference servers that are loaded: ours, a constant on the same stack, and other people's."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

PEERS = Path(__file__).parent / "peers"
HEADER_LENGTH = "Inference-Header-Content-Length"
START_SECONDS = 120.0
"""For somebody else's server to answer rightly; MLflow's takes some 10 s."""
SAME = 1e-3
"""Relative. Float32 has seven digits; another model would differ in the first."""


class Request(NamedTuple):
    """What is posted."""

    path: str
    headers: dict[str, str]
    body: bytes


class Server(NamedTuple):
    """A server that listens on loopback."""

    name: str
    port: int
    request: Callable[[NDArray[np.float32], str], Request | None]
    """Makes a request of rows as "json" or "binary"; None for what it does not take."""


class Peer(NamedTuple):
    """A model server that others wrote, in an environment of its own."""

    package: str
    """That must be there to import."""
    request: Callable[[NDArray[np.float32], str], Request | None]
    predictions: Callable[[Any], Any]
    """Finds them in a JSON answer."""


def tensor_request(model: str, rows: NDArray[np.float32], kind: str) -> Request:
    """Return an inference request of the Open Inference Protocol, for an answer of its kind."""
    path = f"/v2/models/{model}/infer"
    given: dict[str, Any] = {"name": "features", "shape": rows.shape, "datatype": "FP32"}
    if kind == "json":
        body = json.dumps({"inputs": [given | {"data": rows.ravel().tolist()}]}).encode()
        return Request(path, {"Content-Type": "application/json"}, body)
    given |= {"parameters": {"binary_data_size": rows.nbytes}}
    wanted = {"name": "prediction", "parameters": {"binary_data": True}}
    header = json.dumps({"inputs": [given], "outputs": [wanted]}).encode()
    headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(header))}
    return Request(path, headers, header + rows.tobytes())


def _json_tensor_request(rows: NDArray[np.float32], kind: str) -> Request | None:
    return tensor_request("model", rows, kind) if kind == "json" else None


def _mlflow_request(rows: NDArray[np.float32], kind: str) -> Request | None:
    if kind != "json":
        return None
    body = json.dumps({"inputs": rows.tolist()}).encode()
    return Request("/invocations", {"Content-Type": "application/json"}, body)


KNOWN_PEERS = {
    "mlflow": Peer("mlflow", _mlflow_request, lambda answer: answer["predictions"]),
    "mlserver": Peer(
        "mlserver_sklearn", _json_tensor_request, lambda answer: answer["outputs"][0]["data"]
    ),
}


@contextmanager
def ours(
    bundle: Path, *options: str, see: Callable[[bytes], object] = len
) -> Iterator[tuple[Server, "subprocess.Popen[bytes]"]]:
    """Start `linexport serve` without its access log; yield it and its process.

    `see` is called with each line of its log after the first, in a thread.
    """
    command = [sys.executable, "-m", "linexport", "serve", str(bundle), "--port", "0", *options]
    with subprocess.Popen([*command, "--no-access-log"], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        lines = process.stderr
        port = int(json.loads(lines.readline())["urls"][0].rpartition(":")[2])
        reader = threading.Thread(target=lambda: [see(line) for line in lines])
        reader.start()

        def request(rows: NDArray[np.float32], kind: str) -> Request:
            return tensor_request(bundle.name, rows, kind)

        try:
            yield Server("linexport", port, request), process
        finally:
            process.terminate()
            process.wait()
            reader.join()


@contextmanager
def constant(like: Server) -> Iterator[Server]:
    """Start what is sent the same requests, and answers without looking at them."""
    command = [sys.executable, str(PEERS / "constant_server.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield Server("constant", int(process.stdout.readline()), like.request)
        finally:
            process.terminate()


def interpreter_with(package: str, interpreters: Sequence[str]) -> str | None:
    """Return the first Python interpreter that has a package."""
    look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"
    for python in interpreters:
        if subprocess.run([python, "-c", look], check=False).returncode == 0:
            return python
    return None


@contextmanager
def peer(name: str, python: str, table: Path, directory: Path) -> Iterator[Server]:
    """Start somebody else's server with a model of the table; yield it once it answers rightly."""
    known = KNOWN_PEERS[name]
    directory.mkdir()
    server = Server(name, _free_port(), known.request)
    command = [python, str(PEERS / f"{name}_server.py"), str(table), str(directory)]
    with (
        (directory / "log").open("wb") as log,
        subprocess.Popen(
            [*command, str(server.port)], stdout=log, stderr=log, start_new_session=True
        ) as process,
    ):
        try:
            with np.load(table) as arrays:
                rows, expected = arrays["features"][:8], arrays["targets"][:8]
            deadline = time.monotonic() + START_SECONDS
            while (answer := _answer(server, rows)) is None:
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{name} does not start:\n{(directory / 'log').read_text()[-2000:]}")
                time.sleep(0.2)
            found = np.ravel(known.predictions(answer))
            assert np.allclose(found, expected, rtol=SAME, atol=SAME), f"{name} predicts {found}"
            yield server
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # some start others


def _answer(server: Server, rows: NDArray[np.float32]) -> Any:
    """Return the JSON answer, None if there is none yet."""
    asked = server.request(rows, "json")
    assert asked is not None
    url = f"http://127.0.0.1:{server.port}{asked.path}"
    try:
        request = urllib.request.Request(url, asked.body, asked.headers)
        with urllib.request.urlopen(request, timeout=START_SECONDS) as response:
            return json.loads(response.read())
    except (urllib.error.URLError, ConnectionError):
        return None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
