"""The server's addresses, limits, metrics and log."""

import asyncio
import gzip
import json
import shutil
import threading
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from asking import NEVER, Exchange, scope_of

from linexport.errors import ConfigError
from linexport.predicting import Predictor
from linexport.serving import Limits, ServeConfig

INFER, ROWS = "/v2/models/flats/infer", "/v2/models/flats/rows"
ROW = json.dumps({"a": 1, "b": 2}).encode()
CERTIFICATES = Path(__file__).parent / "certificates"


def test_the_server_says_what_it_is(client):
    said = client.get("/v2").json
    assert said == client.get("/v2/").json
    assert (said["name"], said["version"]) == ("linexport", "1.2")
    assert "binary_tensor_data" in said["extensions"]


def test_the_server_lives_and_is_ready_until_it_is_to_stop(client):
    assert client.get("/v2/health/live").json == {"live": True}
    assert client.get("/v2/health/ready").json == {"live": True, "ready": True}
    client.application.ready = False
    stopping = client.get("/v2/health/ready")
    assert (stopping.status, stopping.json["ready"]) == (503, False)
    assert client.get("/v2/health/live").status == 200


@pytest.mark.parametrize("path", ["/v2/models/flats", "/v2/models/flats/versions/v1"])
def test_a_model_says_what_it_takes(client, path):
    described = client.get(path).json
    (given,), (made,) = described["inputs"], described["outputs"]
    assert (described["name"], described["versions"]) == ("flats", ["v1"])
    assert described["platform"] == "onnxruntime_onnx"
    assert (given["name"], given["datatype"], given["shape"]) == ("features", "FP32", [-1, 2])
    assert (made["name"], made["datatype"], made["shape"]) == ("prediction", "FP32", [-1, 2])
    first = given["parameters"]["columns"][0]
    assert (first["name"], first["unit"], first["maximum"]) == ("a", "m", 9.0)
    assert "rounded to the nearest FP32" in given["parameters"]["rounding"]
    assert client.get(f"{path}/ready").json == {"name": "flats", "ready": True}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/", "nothing at this address"),
        ("/v2/models/other", "no model 'other'; there is 'flats', 'rents'"),
        ("/v2/models/other/infer", "no model 'other'"),
        ("/v2/models/flats/versions/v0", "Version 'v0' of 'flats' is not served; 'v1' is"),
        ("/v2/models/flats/explain", "nothing at this address"),
        ("/v2/models/flats/versions/v1/explain", "nothing at this address"),
    ],
)
def test_an_unknown_address_is_not_found(make_client, make_model, path, said):
    client = make_client(make_model(), make_model("rents"))
    response = client.get(path)
    assert response.status == 404
    assert said in response.error


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", INFER, "POST"), ("POST", "/v2", "GET"), ("DELETE", "/v2/models/flats", "GET")],
)
def test_the_wrong_method_is_refused_with_the_right_one(client, method, path, allowed):
    response = client.get(path, method)
    assert (response.status, response.headers["allow"]) == (405, allowed)
    assert f"takes {allowed}, not {method}" in response.error


def test_a_long_name_is_not_repeated_whole(client):
    for path in ("/v2/models/{}", "/v2/models/flats/versions/{}"):
        assert len(client.get(path.format("a" * 60_000)).error) < 300


def test_head_is_a_get(client):
    assert client.get("/v2/health/ready", "HEAD").status == 200


def test_a_model_may_have_any_name_that_a_directory_has(make_client, make_model):
    client = make_client(make_model("flats 2, ä"))
    assert client.post("/v2/models/flats 2, ä/rows", ROW).status == 200


def test_a_body_is_read_in_parts(client):
    parts = [ROW[:3], b"", ROW[3:]]
    assert asyncio.run(client.ask("POST", ROWS, parts)).status == 200


def test_a_large_body_is_refused_as_soon_as_it_shows(make_client):
    client = make_client(body_bytes=100)
    assert client.post(ROWS, ROW + b" " * (100 - len(ROW))).status == 200
    announced = asyncio.run(client.ask("POST", ROWS, [], [("content-length", 101)]))
    assert announced.status == 413
    assert "larger than the 100 bytes allowed" in announced.error
    endless = asyncio.run(client.ask("POST", ROWS, [b" " * 60] * 2 + [b""] * 5))
    assert endless.status == 413


@pytest.mark.parametrize(("name", "pack"), [("GZIP", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_body_is_unpacked_within_the_limit(make_client, name, pack):
    client = make_client(body_bytes=1000)
    packing = ("content-encoding", name)
    plain = client.post(ROWS, ROW)
    assert client.post(ROWS, pack(ROW), packing).body == plain.body
    assert client.post(ROWS, pack(ROW + b" " * 2000), packing).status == 413
    for damaged in (ROW, pack(ROW)[:-1], pack(ROW) + b"x", b""):
        refused = client.post(ROWS, damaged, packing)
        assert (refused.status, "compressed body is" in refused.error) == (400, True)


def test_a_body_that_is_compressed_otherwise_is_refused(client):
    assert client.post(ROWS, ROW, ("content-encoding", "br")).status == 415
    assert client.post(ROWS, ROW, ("content-encoding", "Identity")).status == 200
    twice = client.post(ROWS, ROW, ("content-encoding", "gzip"), ("content-encoding", "gzip"))
    assert twice.status == 415


def test_a_body_that_does_not_come_in_time_is_refused(make_client):
    client = make_client(client_seconds=0.01)
    for headers in ([], [("content-length", len(ROW))]):
        late = asyncio.run(client.ask("POST", ROWS, [ROW[:3], NEVER], headers))
        assert (late.status, late.headers["connection"]) == (408, "close")
        assert late.error == "The request was not there within 0.01 s."
    assert client.application.in_flight == 0


def test_a_client_that_leaves_is_noted_and_told_so_if_it_still_reads(client):
    answer = asyncio.run(client.ask("POST", ROWS, [ROW[:3], None]))
    assert (answer.status, answer.error) == (400, client.lines[0]["reason"])
    assert client.application.in_flight == 0
    assert client.lines[0]["status"] == 499


def test_a_client_that_is_refused_may_send_on(make_client):
    """Or it could not read why."""
    client = make_client(body_bytes=10)
    exchange = Exchange([b" " * 11] * 5)

    async def ask():
        client.application.loop = asyncio.get_running_loop()
        await client.application.handle(scope_of("POST", ROWS), exchange)

    asyncio.run(ask())
    assert (exchange.response.status, exchange.parts) == (413, [])


def test_answers_tell_of_the_end_once_the_server_is_to_stop(client):
    assert "connection" not in client.post(ROWS, ROW).headers
    client.application.ready = False
    assert client.post(ROWS, ROW).headers["connection"] == "close"


class Gate:
    """A runtime that does not answer until it is told to."""

    def __init__(self, runtime):
        self.runtime, self.dtype, self.opened = runtime, runtime.dtype, threading.Event()
        self.structure = runtime.structure

    def predict(self, features):
        assert self.opened.wait(20)
        return self.runtime.predict(features)


@pytest.fixture
def gated(make_client, make_model):
    """A client of a server that takes two requests, and the gate before its answers."""
    gate = Gate(make_model().predictor.runtime)

    def make(**limits):
        return make_client(make_model(wrap=lambda _: gate), **limits), gate

    yield make
    gate.opened.set()


LARGE = json.dumps([{"a": 1, "b": 2}] * 4000).encode()
"""More than is answered on the event loop."""


def test_requests_past_the_limit_are_refused_at_once_and_the_others_answered(gated):
    client, gate = gated(requests=2)

    async def ask():
        running = [asyncio.create_task(client.ask("POST", ROWS, [LARGE])) for _ in range(2)]
        while client.application.in_flight < 2:
            await asyncio.sleep(0)
        refused = await client.ask("POST", ROWS, [ROW])
        health = await client.ask("GET", "/v2/health/live")
        gate.opened.set()
        answers = await asyncio.gather(*running)
        while client.application.in_flight:
            await asyncio.sleep(0)
        return refused, health, answers, await client.ask("POST", ROWS, [ROW])

    refused, health, answers, later = asyncio.run(ask())
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert "at the same time, 2, are being answered" in refused.error
    assert [health.status, *(answer.status for answer in answers), later.status] == [200] * 4


def test_an_answer_that_takes_too_long_keeps_its_place_until_it_is_done(gated):
    client, gate = gated(requests=1, answer_seconds=0.01)

    async def ask():
        late = await client.ask("POST", ROWS, [LARGE])
        busy = await client.ask("POST", ROWS, [ROW])
        gate.opened.set()
        while client.application.in_flight:
            await asyncio.sleep(0)
        return late, busy, await client.ask("POST", ROWS, [ROW])

    late, busy, later = asyncio.run(ask())
    assert [late.status, busy.status, later.status] == [503, 429, 200]
    assert "not there within 0.01 s" in late.error


def test_a_request_ends_on_the_model_that_it_began_with(gated, make_model):
    client, gate = gated()

    async def ask():
        before = asyncio.create_task(client.ask("POST", ROWS, [LARGE]))
        while not client.application.in_flight:
            await asyncio.sleep(0)
        client.application.serve_from_now_on([make_model(version="v2", bias=(100, 0))])
        after = await client.ask("POST", ROWS, [ROW])
        gate.opened.set()
        return await before, after

    before, after = asyncio.run(ask())
    assert (before.json["model_version"], before.json["rows"][0]["y"]) == ("v1", -5.5)
    assert (after.json["model_version"], after.json["rows"][0]["y"]) == ("v2", 94.0)
    assert client.get("/v2/models/flats/versions/v1").status == 404
    assert client.get("/v2/models/flats").json["versions"] == ["v2"]


def test_large_and_small_requests_say_the_same(client):
    (small,) = client.post(ROWS, ROW).json["rows"]
    large = client.post(ROWS, LARGE).json["rows"]
    assert large == [small] * 4000


def test_a_mistake_of_ours_is_a_500_that_shows_nothing_of_the_request(client, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("secret 42")

    monkeypatch.setattr(Predictor, "predict_array", fail)
    response = client.post(ROWS, ROW)
    assert (response.status, response.error) == (500, "The server failed; its log says where.")
    failure = client.lines[-2]
    assert (failure["event"], failure["error"]) == ("failure", "ZeroDivisionError")
    assert "fail" in failure["trace"][-1]
    assert "secret" not in json.dumps(client.lines)


def test_each_request_is_a_line_without_what_was_sent(make_client):
    client = make_client()
    client.post(ROWS, [{"a": 123.456, "b": 2}] * 3)
    client.post(ROWS, {"a": 123.456})
    client.get("/v2/" + "x" * 10_000)
    first, second, third = client.lines
    assert {"time", "event", "duration_ms"} < first.keys()
    assert first["time"].endswith("Z")
    assert [first[key] for key in ("method", "path", "status", "rows")] == ["POST", ROWS, 200, 3]
    assert (second["status"], second["rows"]) == (400, 0)
    assert len(third["path"]) == 200
    assert "123.456" not in json.dumps(client.lines)


def test_prometheus_is_told_of_requests_rows_versions_and_places(client, make_model):
    client.post(ROWS, [{"a": 1, "b": 2}] * 3)
    client.post(INFER, b"")
    client.get("/no/such/address")
    client.application.serve_from_now_on([make_model(version="v2")])
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    lines = response.body.decode().splitlines()
    for line in (
        'linexport_requests_total{endpoint="rows",model="flats",status="200",version="v1"} 1.0',
        'linexport_requests_total{endpoint="infer",model="flats",status="400",version="v1"} 1.0',
        'linexport_requests_total{endpoint="unknown",model="",status="404",version=""} 1.0',
        'linexport_request_duration_seconds_count{endpoint="rows",model="flats",version="v1"} 1.0',
        'linexport_rows_total{model="flats"} 3.0',
        'linexport_model_info{model="flats",version="v2"} 1.0',
        "linexport_requests_in_flight 0.0",
    ):
        assert line in lines
    assert not any("model_info" in line and "v1" in line for line in lines)


def test_a_row_outside_the_training_range_is_refused_where_that_is_asked_for(
    make_client, make_model
):
    client = make_client(make_model(check_range="error"))
    assert client.post(ROWS, {"a": 9, "b": 1}).status == 200
    refused = client.post(ROWS, {"a": 10, "b": 1})
    assert refused.status == 400
    assert "column 'a', row 1: 10 is outside the training range, 0 to 9" in refused.error
    page = client.get("/metrics").body.decode()
    assert "linexport_rows_outside_range_total{" not in page


@pytest.mark.parametrize("name", ["body_bytes", "requests", "client_seconds"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_limit_is_positive(name, value):
    with pytest.raises(ConfigError, match=f"{name} must be a"):
        Limits(**{name: value})


@pytest.mark.parametrize(
    ("certificate", "key", "said"),
    [
        ("no.pem", "no.pem", "no certificate and its key (they are not in PEM)."),
        ("server.pem", "client.key", "its key (the key is another certificate's)."),
        ("nowhere.pem", "server.key", "nowhere.pem: There is no such file."),
        ("server.pem", "nowhere.key", "nowhere.key: There is no such file."),
        (None, "server.key", ": config=ServeConfig(tls_cert='cert.pem', tls_key='key.pem')."),
    ],
)  # fmt: skip
def test_what_is_no_certificate_is_refused_at_once(tmp_path, monkeypatch, certificate, key, said):
    monkeypatch.chdir(shutil.copytree(CERTIFICATES, tmp_path / "files"))
    Path("no.pem").write_text("nothing")
    with pytest.raises(ConfigError) as refused:
        ServeConfig(tls_cert=certificate, tls_key=key)
    assert str(refused.value).endswith(said)


@pytest.mark.parametrize("origin", ["example.org", "https://a.org/", "https://a.org,b.org", ""])
def test_an_origin_that_no_browser_sends_is_refused(origin):
    with pytest.raises(ConfigError, match=r"as https://example\.org, got"):
        ServeConfig(cors_origin=origin)
    ServeConfig(cors_origin="https://example.org,http://localhost:8080,null,*")


def test_a_model_that_is_too_coarse_is_logged_as_it_is_taken_up(make_client, make_model):
    reason = "The model is too coarse, and was accepted so."
    client = make_client(make_model("fine"), replace(make_model("rough"), coarse=reason))
    (event,) = client.lines
    assert (event["event"], event["model"], event["reason"]) == ("coarse", "rough", reason)
