"""A real server process: clients good, slow and greedy, signals, changed bundles."""

import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import tritonclient.http as triton
from nearness import assert_near
from prometheus_client.parser import text_string_to_metric_families
from running_server import TEXTBOOK, read_all, serving

import linexport
from linexport import ExportConfig, LinearModel

ROWS = "/v2/models/textbook/rows"
ROW = {"x1": 1.0, "x2": 2.0}


@pytest.fixture(scope="module")
def server():
    """One for all tests that leave it as it was."""
    with serving(TEXTBOOK, "--max-body", 1 << 20) as started:
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


def test_slow_clients_are_let_go():
    """And told so, if it is the body that does not come."""
    beginnings = [b"", b"\r\n", b"POST /v2", head(100), head(100) + b'{"x1":']
    with serving(TEXTBOOK, "--client-timeout", 2, "--idle-timeout", 2) as server:
        slow = [server.connect() for _ in beginnings]
        for connection, beginning in zip(slow, beginnings, strict=True):
            connection.sendall(beginning)
        assert server.ask(ROWS, ROW)[0] == 200  # they hold nobody else up
        for connection, beginning in zip(slow, beginnings, strict=True):
            received = read_all(connection)
            assert received.startswith(b"HTTP/1.1 408") if b"rows" in beginning else not received
            connection.close()


def test_headers_without_end_are_refused(server):
    with server.connect() as greedy:
        greedy.sendall(b"GET /v2 HTTP/1.1\r\n")
        greedy.sendall(b"x-a: " + b"a" * (1 << 16))
        assert greedy.recv(12) == b"HTTP/1.1 431"


def test_connections_past_the_limit_wait():
    request = head(20) + b'{"x1":1.0,"x2":2.00}'
    with serving(TEXTBOOK, "--max-connections", 2) as server:
        many = [server.connect() for _ in range(3)]
        for connection in many:
            connection.sendall(request)
        for connection in many:  # each takes the place of the one before
            assert connection.recv(12) == b"HTTP/1.1 200"
            connection.close()


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(server):
    with server.connect() as greedy:
        greedy.sendall(head(1 << 30))
        assert greedy.recv(12) == b"HTTP/1.1 413"


def test_a_limit_on_bodies_holds_for_small_requests_too():
    body = json.dumps([ROW] * 100).encode()
    with serving(TEXTBOOK, "--max-body", 1000) as server, server.connect() as client:
        client.sendall(head(len(body)) + body)
        assert client.recv(12) == b"HTTP/1.1 413"


def test_more_connections_than_the_system_allows_files_are_refused_before_serving():
    """A soft limit is raised, a hard one is not."""
    resource = pytest.importorskip("resource")

    def grant(soft, hard):
        return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    command = [sys.executable, "-m", "linexport", "serve", str(TEXTBOOK), "--port", "0"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, preexec_fn=grant(500, 1023)
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "960 connections need 1024 open files, and the system grants 1023" in done.stderr
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, preexec_fn=grant(500, 1024)) as process,
    ):
        assert b'"serving"' in process.stderr.readline()
        process.terminate()


def test_requests_past_the_limit_are_refused_at_once():
    with serving(TEXTBOOK, "--max-requests", 1) as server, server.connect() as slow:
        body = b'{"x1":1.0,"x2":2.00}'
        slow.sendall(head(len(body)) + body[:5])
        server.wait_for_requests_in_flight(1)
        status, answer = server.ask(ROWS, ROW)
        assert (status, "try again" in answer["error"]) == (429, True)
        assert server.ask("/v2/health/ready")[0] == 200
        slow.sendall(body[5:])
        assert slow.recv(12) == b"HTTP/1.1 200"
        while server.ask(ROWS, ROW)[0] != 200:  # its place is free a moment after its answer
            pass


def test_a_connection_outlives_its_refusals(server):
    """Also that of a body which is too large, and is sent all the same."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.connect()
    connection.auto_open = 0  # a second connection would be an error
    for status, body in ((400, b"{"), (413, b" " * (2 << 20)), (200, json.dumps(ROW).encode())):
        connection.request("POST", ROWS, body)
        response = connection.getresponse()
        response.read()
        assert response.status == status
    connection.close()


@pytest.mark.parametrize(("missing", "status"), [("error", 400), ("nan", 200)])
def test_a_row_that_lacks_a_value_is_refused_unless_that_is_allowed(missing, status):
    lacking = np.array([[1, np.nan], [1, 2]], np.float32)
    with serving(TEXTBOOK, "--missing", missing) as server:
        answered, named = server.ask(ROWS, [{"x1": 1, "x2": None}, ROW])
        assert answered == status
        client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
        for binary in (True, False):  # whose JSON says NaN
            given = triton.InferInput("features", lacking.shape, "FP32")
            given.set_data_from_numpy(lacking, binary_data=binary)
            if missing == "error":
                assert "column 'x2', row 1: There is no value" in named["error"]
                with pytest.raises(
                    triton.InferenceServerException, match=r"column 'x2', row 1: .*--missing nan"
                ):
                    client.infer("textbook", [given])
            else:
                first, second = client.infer("textbook", [given]).as_numpy("prediction").ravel()
                assert np.isnan(first)
                assert named["rows"] == [{"y": None}, {"y": float(second)}]
        client.close()


def test_prometheus_can_read_what_it_is_told():
    with serving(TEXTBOOK) as server:
        version = server.ask(ROWS, [ROW] * 3)[1]["model_version"]
        server.ask(ROWS, {"x1": 1})
        server.ask("/v2/models/other/infer", ROW)
        page = urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics").read().decode()
    families = {family.name: family for family in text_string_to_metric_families(page)}
    assert families["linexport_request_duration_seconds"].type == "histogram"
    bounds = [
        float(sample.labels["le"])
        for sample in families["linexport_request_duration_seconds"].samples
        if sample.name.endswith("_bucket") and sample.labels["endpoint"] == "rows"
    ]
    assert (bounds[0], bounds[-2:]) == (50e-6, [1, float("inf")])
    assert families["linexport_requests_in_flight"].type == "gauge"
    assert families["linexport_requests"].type == "counter"
    counted = {
        tuple(sample.labels.values()): sample.value
        for sample in families["linexport_requests"].samples
        if sample.name == "linexport_requests_total"
    }
    assert counted == {
        ("rows", "textbook", "200", version): 1,
        ("rows", "textbook", "400", version): 1,
        ("unknown", "", "404", ""): 1,
    }


def test_each_request_is_a_line_of_the_log():
    with serving(TEXTBOOK) as server:
        server.ask(ROWS, [ROW] * 3)
        line = server.event("request")
    named = {"time", "event", "method", "path", "status", "rows", "duration_ms", "id", "client"}
    assert line.keys() == named
    assert line["client"].startswith("127.0.0.1:")
    told = {key: line[key] for key in ("method", "path", "status", "rows")}
    assert told == {"method": "POST", "path": ROWS, "status": 200, "rows": 3}
    assert datetime.fromisoformat(line["time"]).tzinfo is not None
    assert line["duration_ms"] > 0


def test_requests_are_not_logged_if_that_is_not_wanted():
    with serving(TEXTBOOK, "--no-access-log") as server:
        assert server.ask(ROWS, ROW)[0] == 200
        server.stop()
        assert server.lines.get(timeout=60)["event"] == "stopping"


def test_what_openapi_lists_is_there(server):
    for path, methods in server.ask("/openapi.json")[1]["paths"].items():
        for method, operation in methods.items():
            if "requestBody" in operation:
                content = operation["requestBody"]["content"]["application/json"]
                assert server.ask(path, content["example"])[0] == 200
            else:
                url = f"http://127.0.0.1:{server.port}{path}"
                asked = urllib.request.Request(url, method=method.upper())
                assert urllib.request.urlopen(asked).status == 200


def test_sigterm_finishes_what_runs_and_ends_with_0():
    with serving(TEXTBOOK, "--no-access-log") as server, server.connect() as running:
        body = b'{"x1":1.0,"x2":2.00}'
        running.sendall(head(len(body)) + body[:5])
        while server.ask("/v2/health/ready")[0] != 200:
            pass
        server.wait_for_requests_in_flight(1)
        server.process.send_signal(signal.SIGTERM)
        assert server.event("stopping")["signal"] == "SIGTERM"
        running.sendall(body[5:])
        assert read_all(running).startswith(b"HTTP/1.1 200")
        assert server.process.wait(60) == 0
        server.event("stopped")


def test_a_log_that_nobody_reads_holds_up_neither_answers_nor_the_end():
    command = [sys.executable, "-m", "linexport", "serve", str(TEXTBOOK), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        port = int(json.loads(process.stderr.readline())["urls"][0].rsplit(":", 1)[1])
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for _ in range(2000):  # 64 KiB of a pipe hold 500 lines
            client.request("GET", "/v2")
            assert client.getresponse().read()
        client.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ([TEXTBOOK, "--host", "a" * 70], 3, "port 8000: this can be no host's name"),
        ([b"\xff"], 2, "cannot be a model's name; rename the directory"),
    ],
)
def test_names_that_cannot_be_are_refused(arguments, status, said):
    command = [sys.executable, "-m", "linexport", "serve", *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == status
    (line,) = done.stderr.decode().splitlines()
    assert said in line


LOADING = """
import os, signal, time
from types import SimpleNamespace
from linexport.serving import Limits, ServeConfig, run

class Source:
    name = "slow"
    fingerprint = staticmethod(lambda: 0)

    def load(self):
        os.kill(os.getpid(), signal.{signal})
        {then}

run([Source()], ServeConfig(port=0), Limits(), version="1")
"""


def test_sighup_while_models_are_loaded_is_no_reason_to_end():
    program = LOADING.format(signal="SIGHUP", then="raise SystemExit(7)")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (7, b"")


def test_sigterm_while_models_are_loaded_ends_with_0():
    program = LOADING.format(signal="SIGTERM", then="time.sleep(60)")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_sigterm_ends_also_what_must_not_raise():
    """An exception in a weak reference's callback is printed, and forgotten."""
    program = """
import os, signal, weakref
from linexport.serving import _server
signal.signal(signal.SIGTERM, _server._stop_before_serving)
class Thing: pass
thing = Thing()
kept = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
del thing
raise SystemExit(7)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_sigterm_waits_for_no_client_for_ever():
    """Neither for one that is idle, nor for one that stopped within a request."""
    body = b'{"x1":1.0,"x2":2.00}'
    with serving(TEXTBOOK, "--client-timeout", 5) as server:
        with server.connect() as idle, server.connect() as halfway:
            idle.sendall(head(len(body)) + body)
            assert idle.recv(12) == b"HTTP/1.1 200"
            halfway.sendall(head(len(body)) + body[:5])
            server.wait_for_requests_in_flight(1)
            assert server.stop() == 0
            assert halfway.recv(12) == b"HTTP/1.1 408"
        with pytest.raises(ConnectionRefusedError):
            server.connect()


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


@pytest.mark.parametrize(
    ("bundle", "said"),
    [("broken", "model.onnx is not the file"), ("nowhere", "nowhere")],
)
def test_what_cannot_be_served_is_one_line(versions, tmp_path, bundle, said):
    command = [sys.executable, "-m", "linexport", "serve", "--port", "0", tmp_path / bundle]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert re.fullmatch(f"error: .*{said}.*\n", done.stderr), done.stderr


def test_each_bundle_is_a_model_of_its_own(versions):
    with serving(versions["first"], versions["second"]) as server:
        for name, expected in (("first", 3.0), ("second", 102.0)):
            _, answer = server.ask(f"/v2/models/{name}/rows", {"x1": 1, "x2": 0})
            assert (answer["model_name"], answer["rows"]) == (name, [{"y": expected}])


def test_a_swap_fails_no_request_and_mixes_no_answer(versions, tmp_path):
    path = tmp_path / "live"
    put(versions["first"], path)
    answers = []

    def ask_until_served(version):
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        while not answers or answers[-1]["model_version"] != version:
            connection.request("POST", "/v2/models/live/rows", b'{"x1": 1, "x2": 0}')
            response = connection.getresponse()
            answers.append(json.loads(response.read()))
            assert response.status == 200
        connection.close()

    with ThreadPoolExecutor() as pool, serving(path) as server:  # its end ends the asking
        for name in ("second", "first", "second"):
            version = sha256((versions[name] / "model.onnx").read_bytes()).hexdigest()[:16]
            asking = pool.submit(ask_until_served, version)
            put(versions[name], path)
            server.process.send_signal(signal.SIGHUP)
            asking.result(timeout=60)
    made = {(answer["model_version"], answer["rows"][0]["y"]) for answer in answers}
    assert sorted(prediction for _, prediction in made) == [3.0, 102.0]


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
        f"error: 127.0.0.1, port {port}: Address already in use; choose another host or port.\n"
    )
