"""Several processes at one port, and TLS: real servers."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from running_server import PATIENCE, TEXTBOOK, serving

from linexport.serving import _metrics
from linexport.serving._metrics import Metrics

CERTIFICATES = Path(__file__).parent / "certificates"
ROWS = "/v2/models/textbook/rows"
ROW = {"x1": 1.0, "x2": 2.0}


def total(server, line):
    """The value of a metric, once no other worker has any more to add."""
    time.sleep(2 * _metrics.SHARE_SECONDS)
    page = urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics").read().decode()
    (found,) = [value for name, value in map(str.split, rows(page)) if name == line]
    return float(found)


def rows(page):
    return [line for line in page.splitlines() if not line.startswith("#")]


def test_workers_share_the_work_and_one_log_and_their_metrics_are_totals():
    with serving(TEXTBOOK, "--workers", 2) as server:
        assert server.event("serving")["worker"] in (1, 2)
        for _ in range(40):
            status, answer = server.ask(ROWS, [ROW] * 3)
            assert status == 200
        version = answer["model_version"]
        asked = [server.event("request") for _ in range(40)]
        assert {line["worker"] for line in asked} == {1, 2}
        assert total(server, 'linexport_rows_total{model="textbook"}') == 120
        told = (
            'linexport_request_duration_seconds_count{endpoint="rows",model="textbook",'
            f'version="{version}"}}'
        )
        assert total(server, told) == 40
        assert total(server, "linexport_requests_in_flight") == 0
        assert total(server, "process_resident_memory_bytes") > 100e6
        server.process.send_signal(signal.SIGHUP)
        assert {server.event("loaded")["worker"], server.event("loaded")["worker"]} == {1, 2}
        assert server.ask(ROWS, ROW)[0] == 200
        assert server.stop() == 0
        assert {server.event("stopped")["worker"], server.event("stopped")["worker"]} == {1, 2}


def test_metrics_of_processes_are_added_up(tmp_path, monkeypatch):
    mine, other = Metrics(tmp_path), Metrics(tmp_path)
    for metrics, pid in ((mine, os.getpid()), (other, 1)):
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        metrics.in_flight = lambda: 2
        metrics.serving({"m": "v1"})
        metrics.loaded("m")
        metrics.outside_range("m", 5)
        metrics.request("rows", "m", "v1", 200, 3, 0.02)
        metrics.request("rows", "m", "v1", 400 + pid % 2, 0, 0.3)
        metrics._share(tmp_path)
    page = rows(other.page().body.decode())
    for line in (
        'linexport_requests_total{endpoint="rows",model="m",status="200",version="v1"} 2.0',
        'linexport_request_duration_seconds_bucket{endpoint="rows",le="0.025",model="m",'
        'version="v1"} 2.0',
        'linexport_request_duration_seconds_count{endpoint="rows",model="m",version="v1"} 4.0',
        'linexport_rows_total{model="m"} 6.0',
        'linexport_rows_outside_range_total{model="m"} 10.0',
        'linexport_model_loads_total{model="m",outcome="loaded"} 2.0',
        'linexport_model_info{model="m",version="v1"} 1.0',
        "linexport_requests_in_flight 4.0",
    ):
        assert line in page


def test_what_no_worker_can_serve_is_one_line(tmp_path):
    command = [sys.executable, "-m", "linexport", "serve", tmp_path / "none", "--workers", "2"]
    done = subprocess.run([*command, "--port", "0"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "none" in line


def test_a_worker_that_ends_ends_the_server():
    with serving(TEXTBOOK, "--workers", 2) as server:
        server.event("serving")
        server.ask(ROWS, ROW)
        (child, *_) = children(server.process.pid)
        os.kill(child, signal.SIGKILL)
        assert "A worker was killed (SIGKILL)" in server.event("error")["message"]
        assert server.process.wait(PATIENCE) == 3


def test_a_worker_names_options_as_the_command_does():
    with serving(TEXTBOOK, "--workers", 2) as server:
        server.event("serving")
        status, answered = server.ask(ROWS, {"x1": None, "x2": 1.0})
        assert (status, "--missing nan" in answered["error"]) == (400, True)


def test_workers_end_with_the_process_that_started_them():
    with serving(TEXTBOOK, "--workers", 2) as server:
        server.event("serving")
        workers = children(server.process.pid)
        server.process.kill()
        for worker in workers:
            while Path(f"/proc/{worker}").exists():
                time.sleep(0.01)


def children(pid):
    """Those that serve."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        int(child)
        for child in found
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


@pytest.mark.parametrize("client_ca", [False, True])
def test_https_is_spoken_and_clients_are_known_where_that_is_asked_for(client_ca):
    options = ["--tls-cert", CERTIFICATES / "server.pem", "--tls-key", CERTIFICATES / "server.key"]
    if client_ca:
        options += ["--tls-client-ca", CERTIFICATES / "ca.pem"]
    context = ssl.create_default_context(cafile=CERTIFICATES / "ca.pem")

    def ask():
        url = f"https://localhost:{server.port}{ROWS}"
        return urllib.request.urlopen(url, json.dumps(ROW).encode(), context=context)

    with serving(TEXTBOOK, *options) as server:
        if client_ca:
            with pytest.raises((ssl.SSLError, OSError)):
                ask()
            context.load_cert_chain(CERTIFICATES / "client.pem", CERTIFICATES / "client.key")
        assert json.loads(ask().read())["rows"]
        assert server.stop() == 0


def test_a_certificate_without_its_key_is_misuse():
    command = [sys.executable, "-m", "linexport", "serve", TEXTBOOK, "--tls-cert"]
    done = subprocess.run(
        [*command, CERTIFICATES / "server.pem"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "a certificate and its key: --tls-cert cert.pem --tls-key key.pem." in done.stderr
