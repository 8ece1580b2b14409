"""A real server process: clients good, slow and greedy, signals, changed bundles."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import tritonclient.http as triton
from nearness import assert_near
from running_server import read_all, serving

import linexport
from linexport import ExportConfig, LinearModel

TEXTBOOK = Path(__file__).parent.parent.parent / "models" / "textbook"
ROWS = "/v2/models/textbook/rows"
ROW = {"x1": 1.0, "x2": 2.0}


@pytest.fixture(scope="module")
def server():
    """One for all tests that leave it as it was, with limits that are quickly reached."""
    arguments = ("--client-timeout", 1, "--max-connections", 20, "--max-body", 1 << 20)
    with serving(TEXTBOOK, *arguments) as started:
        yield started


def head(body_bytes: int) -> bytes:
    return f"POST {ROWS} HTTP/1.1\r\nhost: x\r\ncontent-length: {body_bytes}\r\n\r\n".encode()


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_client_of_triton_gets_what_onnxruntime_predicts(server, binary, dtype):
    rows = np.random.default_rng(5).normal(size=(1000, 2)).astype(dtype)
    session = onnxruntime.InferenceSession(TEXTBOOK / "model.onnx")
    (expected,) = session.run(None, {"features": rows.astype(np.float32)})
    client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("textbook")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    (version,) = client.get_model_metadata("textbook")["versions"]
    given = triton.InferInput("features", rows.shape, "FP64" if dtype == np.float64 else "FP32")
    given.set_data_from_numpy(rows, binary_data=binary)
    wanted = triton.InferRequestedOutput("prediction", binary_data=binary)
    result = client.infer("textbook", [given], version, [wanted], request_id="7")
    assert_near(result.as_numpy("prediction"), expected, TEXTBOOK, rows)
    assert result.get_response()["id"] == "7"
    with pytest.raises(triton.InferenceServerException, match="no model 'other'"):
        client.infer("other", [given])
    client.close()


def test_the_client_of_triton_is_told_what_is_wrong(server):
    client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    given = triton.InferInput("features", (1, 3), "FP32")
    given.set_data_from_numpy(np.ones((1, 3), np.float32))
    with pytest.raises(triton.InferenceServerException, match=r"must be \[rows, 2\]"):
        client.infer("textbook", [given])
    client.close()


def test_slow_clients_are_told_so_and_let_go(server):
    """Whatever of its request each of them stops at."""
    beginnings = [b"", b"\r\n", b"POST /v2", head(100), head(100) + b'{"x1":']
    slow = [server.connect() for _ in beginnings]
    for connection, beginning in zip(slow, beginnings, strict=True):
        connection.sendall(beginning)
    assert server.ask(ROWS, ROW)[0] == 200  # they hold nobody else up
    for connection in slow:
        assert read_all(connection).startswith(b"HTTP/1.1 408")
        connection.close()


def test_a_client_that_does_not_take_its_answer_is_let_go(server):
    rows = json.dumps([ROW] * 30_000).encode()
    with server.connect() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(8):  # more answers than the system's buffers hold
            deaf.sendall(head(len(rows)) + rows)
        with pytest.raises(ConnectionResetError):
            send_for_ever(deaf)


def send_for_ever(connection):
    while True:
        connection.sendall(b" ")


def test_headers_without_end_are_refused(server):
    with server.connect() as greedy:
        greedy.sendall(b"GET /v2 HTTP/1.1\r\n")
        greedy.sendall(b"x-a: " + b"a" * (1 << 16))
        assert greedy.recv(12) == b"HTTP/1.1 431"


def test_connections_past_the_limit_are_refused_at_once(server):
    with server.connect() as first:
        many = [server.connect() for _ in range(25)]
        statuses = [connection.recv(12) for connection in many[20:]]
        for connection in many:
            connection.close()
        assert set(statuses) == {b"HTTP/1.1 503"}
        first.sendall(head(20) + b'{"x1":1.0,"x2":2.00}')
        assert first.recv(12) == b"HTTP/1.1 200"


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(server):
    with server.connect() as greedy:
        greedy.sendall(head(1 << 30))
        assert greedy.recv(12) == b"HTTP/1.1 413"


def test_what_is_no_http_is_refused(server):
    with server.connect() as stranger:
        stranger.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
        assert read_all(stranger).startswith(b"HTTP/1.1 400")
    assert server.event("warning")["logger"] == "uvicorn.error"


def test_sigterm_finishes_what_runs_and_ends_with_0():
    with serving(TEXTBOOK, "--no-access-log") as server, server.connect() as running:
        body = b'{"x1":1.0,"x2":2.00}'
        running.sendall(head(len(body)) + body[:5])
        while server.ask("/v2/health/ready")[0] != 200:
            pass
        wait_for_requests_in_flight(server)
        server.process.send_signal(signal.SIGTERM)
        assert server.event("stopping")["signal"] == "SIGTERM"
        running.sendall(body[5:])
        assert read_all(running).startswith(b"HTTP/1.1 200")
        assert server.process.wait(60) == 0
        server.event("stopped")


def test_sigterm_while_models_are_loaded_ends_with_0():
    program = """
import os, signal, time
from linexport.serving import Limits, Log, run

class Slow:
    name = "slow"
    fingerprint = staticmethod(lambda: 0)

    def load(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

log = Log(print)
run([Slow()], host="127.0.0.1", port=0, version="1", limits=Limits(), watch=False, log=log)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def wait_for_requests_in_flight(server):
    url = f"http://127.0.0.1:{server.port}/metrics"
    while b"linexport_requests_in_flight 1.0" not in urllib.request.urlopen(url).read():
        pass


@pytest.fixture
def versions(tmp_path):
    """Two versions of a model, and one whose file was changed."""

    def export(name, bias):
        model = LinearModel(weight=np.array([[2.0, -4.0]]), bias=np.array([bias]))
        config = ExportConfig(formats=("onnx",), probe_rows=16)
        return linexport.export(model, tmp_path / name, config=config).path

    first, second = export("first", 1.0), export("second", 100.0)
    broken = shutil.copytree(second, tmp_path / "broken")
    data = bytearray((broken / "model.onnx").read_bytes())
    data[-1] ^= 1
    (broken / "model.onnx").write_bytes(data)
    return {"first": first, "second": second, "broken": broken}


def put(version: Path, at: Path) -> None:
    """Replace a bundle as a deployment does: another directory under the same name."""
    fresh = shutil.copytree(version, at.with_name("fresh"))
    if at.exists():
        at.rename(at.with_name(f"old-{fresh.stat().st_ino}"))
    fresh.rename(at)


@pytest.mark.parametrize("by", ["SIGHUP", "--watch"])
def test_a_changed_bundle_is_served_and_a_broken_one_is_not(versions, tmp_path, by):
    path = tmp_path / "live"
    put(versions["first"], path)
    options = ["--watch"] if by == "--watch" else []

    def reload():
        if by == "SIGHUP":
            server.process.send_signal(signal.SIGHUP)

    def predicted():
        return server.ask("/v2/models/live/rows", {"x1": 1, "x2": 0})[1]["rows"]

    with serving(path, *options) as server:
        assert predicted() == [{"y": 3.0}]
        put(versions["broken"], path)
        reload()
        assert "model.onnx is not the file" in server.event("refused")["reason"]
        assert predicted() == [{"y": 3.0}]
        put(versions["second"], path)
        reload()
        assert server.event("loaded")["model"] == "live"
        assert predicted() == [{"y": 102.0}]
        assert server.stop() == 0


def test_torch_is_never_loaded():
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("only Linux tells what a process has loaded")
    with serving(TEXTBOOK) as server:
        assert server.ask(ROWS, ROW)[0] == 200
        loaded = Path(f"/proc/{server.process.pid}/maps").read_text()
        assert "onnxruntime" in loaded
        assert "torch" not in loaded


def test_a_taken_port_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "linexport", "serve", str(TEXTBOOK), "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        f"error: 127.0.0.1, port {port}: Address already in use; choose another with --host or "
        "--port.\n"
    )
