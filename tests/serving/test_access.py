"""Who may ask, and what a request is called."""

import gzip
import http.client
import json
import re
import shutil
import socket
import subprocess

import numpy as np
import pytest
import tritonclient.http
from asking import Client
from running_server import TEXTBOOK, serving

import linexport
from linexport.errors import ConfigError
from linexport.serving import Limits, ServeConfig
from linexport.serving._access import Access, read_token
from linexport.serving._application import Application

ROWS = "/v2/models/flats/rows"
ROW = {"a": 1, "b": 2}
TOKEN = "0123456789abcdef"
SENT = ("authorization", f"Bearer {TOKEN}")


@pytest.fixture
def guarded(make_client, make_model) -> Client:
    plain = make_client()
    application = Application(
        [make_model()],
        version="1.2",
        limits=Limits(),
        log=plain.application.log,
        metrics=plain.application.metrics,
        access=Access(TOKEN, ["https://example.org"]),
    )
    return Client(application, plain.written)


def test_without_the_token_only_liveness_is_told(guarded):
    alive = {"/livez", "/v2/health/live"}
    for path in {*guarded.application._routes, "/no/such", "/v2/models/other"} - alive:
        for method in ("GET", "POST", "HEAD", "PUT", "OPTIONS"):
            refused = guarded.get(path, method)
            assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert "flats" not in refused.body.decode()
    assert {guarded.get(path).status for path in alive} == {200}
    assert guarded.post(ROWS, ROW).status == 401


@pytest.mark.parametrize(
    "sent",
    [
        [("authorization", TOKEN)],
        [("authorization", f"Bearer {TOKEN[:-1]}")],
        [("authorization", f"Bearer {TOKEN}x")],
        [("authorization", f"Bearer {TOKEN}\u00e4")],
        [SENT, SENT],
    ],
)
def test_another_token_is_none(guarded, sent):
    assert guarded.post(ROWS, ROW, *sent).status == 401


def test_with_the_token_all_is_answered(guarded):
    assert guarded.post(ROWS, ROW, SENT).status == 200
    assert guarded.get("/metrics", headers=[SENT]).status == 200
    assert guarded.post(ROWS, ROW, ("authorization", f"bearer {TOKEN}")).status == 200


def test_a_page_of_an_allowed_origin_may_ask(guarded):
    origin = ("origin", "https://example.org")
    asks = [origin, ("access-control-request-method", "POST")]
    leave = guarded.get(ROWS, "OPTIONS", asks)
    assert (leave.status, leave.headers["access-control-allow-origin"]) == (204, origin[1])
    answer = guarded.post(ROWS, ROW, SENT, origin)
    assert answer.headers["access-control-allow-origin"] == origin[1]
    other = ("origin", "https://example.com")
    assert "access-control-allow-origin" not in guarded.post(ROWS, ROW, SENT, other).headers
    assert guarded.get(ROWS, "OPTIONS", [other, *asks[1:]]).status == 401


def test_a_requests_id_is_in_its_answer_and_in_the_log(make_client):
    client = make_client()
    taken = client.post(ROWS, ROW, ("x-request-id", "abc-1")).headers["x-request-id"]
    made = [client.post(ROWS, {"a": 1}).headers["x-request-id"] for _ in range(2)]
    odd = client.post(ROWS, ROW, ("x-request-id", 'a" b')).headers["x-request-id"]
    assert taken == "abc-1"
    assert len({*made, odd, taken}) == 4
    assert re.fullmatch(r"[0-9a-f]+-\d+", odd)
    lines = client.lines
    assert [line["id"] for line in lines] == [taken, *made, odd]
    assert {line["client"] for line in lines} == {"127.0.0.1:4000"}
    assert "There is no column 'b'" in lines[1]["reason"]
    assert "reason" not in lines[0]


@pytest.mark.parametrize("text", ["", "short", "two words of some length", "ä" * 20])
def test_a_file_without_a_token_is_refused(tmp_path, text):
    path = tmp_path / "token"
    path.write_text(text)
    with pytest.raises(ConfigError, match=str(path)):
        read_token(str(path))
    missing = tmp_path / "missing"
    with pytest.raises(ConfigError, match="cannot be read") as refused:
        read_token(str(missing))
    command = str(refused.value).partition("make one with: ")[2]
    subprocess.run(["/bin/sh", "-c", command], check=True)
    assert len(read_token(str(missing))) == 64


def test_models_are_listed_as_tritons_and_kserves_clients_ask(make_client):
    client = make_client()
    for number in range(3):
        client.post(ROWS, [ROW] * number)
    client.post(ROWS, {"a": 1})
    entry = {"name": "flats", "version": "v1", "state": "READY", "reason": ""}
    assert client.get("/v2/models").json == {"models": [entry]}
    assert client.post("/v2/repository/index", {}).json == [entry]
    assert client.get("/v1/models").json == {"models": ["flats"]}
    assert client.get("/v1/models/flats").json == {"name": "flats", "ready": True}
    configured = client.get("/v2/models/flats/config").json
    assert configured["input"] == [{"name": "features", "data_type": "TYPE_FP32", "dims": [2]}]
    for path in (
        "/v2/models/stats",
        "/v2/models/flats/stats",
        "/v2/models/flats/versions/v1/stats",
    ):
        (found,) = client.get(path).json["model_stats"]
        assert (found["inference_count"], found["execution_count"]) == (3, 3)
        assert found["inference_stats"]["fail"]["count"] == 1
        assert found["inference_stats"]["success"]["ns"] > 0


def test_kserves_first_protocol(make_client):
    client = make_client()
    expected = [list(row.values()) for row in client.post(ROWS, [ROW, ROW]).json["rows"]]
    for instances in ([[1, 2], [1, 2]], [ROW, ROW]):
        answer = client.post("/v1/models/flats:predict", {"instances": instances})
        assert answer.json == {"predictions": expected}
    for wrong, said in (
        ([[1]], "Instance 1 has 1 values; the model takes 2"),
        ([[1, "x"]], 'Instance 1: "x" is not a number'),
        ([[1, 2], ROW], "Row 1 must be an object"),
        ([{"a": 1}], "There is no column 'b'"),
        ([3], "must be an object"),
    ):
        refused = client.post("/v1/models/flats:predict", {"instances": wrong})
        assert refused.status == 400
        assert said in refused.error


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    token = tmp_path_factory.mktemp("token") / "token"
    token.write_text(f"{TOKEN}\n")
    with serving(TEXTBOOK, "--token-file", token) as server:
        yield server


def test_tritons_client_asks_what_it_can(secured):
    address = f"localhost:{secured.port}"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    client = tritonclient.http.InferenceServerClient(address)
    assert client.is_server_live()
    assert not client.is_server_ready()
    assert client.is_server_ready(headers=headers)
    assert client.is_model_ready("textbook", headers=headers)
    assert client.get_server_metadata(headers=headers)["name"] == "linexport"
    assert client.get_model_metadata("textbook", headers=headers)["name"] == "textbook"
    assert client.get_model_config("textbook", headers=headers)["max_batch_size"] > 0
    (entry,) = client.get_model_repository_index(headers=headers)
    assert entry["state"] == "READY"
    rows = np.array([[1, 2], [0, 1]], np.int64)
    features = tritonclient.http.InferInput("features", rows.shape, "INT64")
    features.set_data_from_numpy(rows)
    predicted = [
        client.infer(
            "textbook", [features], headers={**headers}, request_compression_algorithm=algorithm
        ).as_numpy("prediction")
        for algorithm in (None, "gzip", "deflate")
    ]
    assert np.array_equal(predicted[0], predicted[1])
    assert np.array_equal(predicted[0], predicted[2])
    waiting = client.async_infer("textbook", [features], headers=headers)
    assert np.array_equal(waiting.get_result().as_numpy("prediction"), predicted[0])
    answer = client.infer("textbook", [features], headers=headers, timeout=1, priority=1)
    assert np.array_equal(answer.as_numpy("prediction"), predicted[0])
    for which in ({}, {"model_name": "textbook"}):
        statistics = client.get_inference_statistics(**which, headers=headers)
        assert statistics["model_stats"][0]["inference_count"] >= 6
    client.close()


def test_what_tritons_client_asks_of_other_servers_is_refused_in_a_sentence(secured):
    """To load models, to share memory, to trace: of extensions that the server does not name."""
    client = tritonclient.http.InferenceServerClient(f"localhost:{secured.port}")
    asked = [
        ("load_model", "textbook"), ("unload_model", "textbook"), ("get_trace_settings",),
        ("update_log_settings", {}), ("get_system_shared_memory_status",),
        ("get_cuda_shared_memory_status",), ("unregister_system_shared_memory",),
    ]  # fmt: skip
    for method, *arguments in asked:
        with pytest.raises(tritonclient.http.InferenceServerException, match=r"openapi\.json"):
            getattr(client, method)(*arguments, headers={"Authorization": f"Bearer {TOKEN}"})
    client.close()


def test_a_socket_in_no_directory_is_refused_before_it_serves(tmp_path):
    config = ServeConfig(unix_socket=str(tmp_path / "nowhere" / "socket"))
    with pytest.raises(linexport.UnavailableError, match="nowhere is no directory that this user"):
        linexport.serve([TEXTBOOK], config=config)


def test_a_socket_in_the_file_system(tmp_path):
    path = tmp_path / "socket"
    with serving(TEXTBOOK, "--unix-socket", path) as server:
        assert server.started["urls"] == [f"unix:{path}"]
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            response = http.client.HTTPResponse(client)
            response.begin()
            assert json.loads(response.read()) == {"live": True}
        assert server.stop() == 0
    assert not path.exists()
    path.write_text("somebody's file")
    with pytest.raises(linexport.UnavailableError, match="this is no socket"):
        linexport.serve([TEXTBOOK], config=ServeConfig(unix_socket=str(path)))
    assert path.read_text() == "somebody's file"


def test_a_gzipped_body_reaches_a_running_server(secured):
    connection = http.client.HTTPConnection("127.0.0.1", secured.port)
    body = gzip.compress(json.dumps({"x1": 1, "x2": 2}).encode())
    headers = {"Content-Encoding": "gzip", "Authorization": f"Bearer {TOKEN}"}
    connection.request("POST", "/v2/models/textbook/rows", body, headers)
    status = connection.getresponse().status
    connection.close()
    assert status == 200


def test_a_directory_of_bundles_is_served_whole(tmp_path):
    for name in ("one", "two"):
        shutil.copytree(TEXTBOOK, tmp_path / "models" / name)
    (tmp_path / "models" / "notes.txt").write_text("no bundle")
    with serving(tmp_path / "models") as server:
        assert set(server.started["models"]) == {"one", "two"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(linexport.ArtifactError, match="empty"):
        linexport.serve([tmp_path / "empty"], config=ServeConfig(port=0))
