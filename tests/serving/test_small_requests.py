"""Small requests: gathered into one call of the engine, each answered for itself."""

import asyncio
import json
import shutil
import socket
from dataclasses import replace

import numpy as np
import pytest
from running_server import HOST, TEXTBOOK, answers, post, read_all, serving
from uvicorn.server import ServerState

from linexport.columns import Column
from linexport.serving import server as server_module
from linexport.serving._budget import (
    MOST_BYTES,
    MOST_REQUESTS,
    MOST_VALUES,
    MULTIPLICATIONS,
    most_bytes,
)
from linexport.serving._gathering import Gatherer, Small

INFER, ROWS = "/v2/models/flats/infer", "/v2/models/flats/rows"


class Counting:
    """A runtime that counts its calls, and fails where it is told to."""

    def __init__(self, runtime):
        self.runtime, self.dtype, self.calls, self.refused = runtime, runtime.dtype, [], None

    def predict(self, features):
        self.calls.append(len(features))
        if self.refused in features:
            raise MemoryError
        return self.runtime.predict(features)


class Turn:
    """An event loop of which the test makes the turns."""

    def __init__(self):
        self.callbacks = []

    def call_soon(self, callback):
        self.callbacks.append(callback)

    def run(self):
        callbacks, self.callbacks = self.callbacks, []
        for callback in callbacks:
            callback()


@pytest.fixture
def asked(make_client, make_model):
    """What asks requests in one turn: returns (status, document) of each, by its number."""
    runtime = Counting(make_model().runtime)
    client = make_client(replace(make_model(), runtime=runtime))
    application = client.application

    def ask(*bodies, path=INFER, gone=()):
        answers, turn = {}, Turn()
        gatherer = Gatherer(application.failed, application.note)

        def sending(number):
            def send(answer):
                answers[number] = (answer.status, json.loads(answer.body))
                return number not in gone

            return send

        route = application.predicting(path.encode())
        for number, body in enumerate(bodies):
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            gatherer.add(Small(route, route.inference, path, {}, data, 0.0, sending(number)), turn)
        ask.before_the_turn = len(answers)
        turn.run()
        return [answers[number] for number in range(len(bodies))]

    ask.runtime, ask.client = runtime, client
    return ask


def infer(*rows):
    return {
        "inputs": [
            {"name": "features", "shape": [len(rows), 2], "datatype": "FP32", "data": [*rows]}
        ]
    }


def predictions(answer):
    status, document = answer
    assert status == 200
    (output,) = document["outputs"]
    return np.reshape(output["data"], output["shape"]).tolist()


def test_what_comes_in_one_turn_is_predicted_in_one_call(asked):
    answers = asked(infer([1, 2]), infer(), infer([0, 0], [3, 1]), infer([5, 5]))
    assert asked.runtime.calls == [4]
    assert [predictions(answer) for answer in answers] == [
        [[-5.5, 2.0]],
        [],
        [[0.5, -1.0], [2.5, 3.0]],
        [[-9.5, 9.0]],
    ]


def test_one_alone_is_predicted_alone(asked):
    (answer,) = asked(infer([1, 2]))
    assert asked.runtime.calls == [1]
    assert predictions(answer) == [[-5.5, 2.0]]


def test_one_that_is_refused_refuses_no_other(asked):
    answers = asked(
        infer([1, 2]),
        b"{",
        infer([1, 1e39]),
        infer([1, 2, 3]),
        infer([float(np.finfo(np.float32).max)] * 2),
        infer([1, 2]),
    )
    assert [status for status, _ in answers] == [200, 400, 400, 400, 400, 200]
    assert "not valid JSON" in answers[1][1]["error"]
    assert "'b', row 1: it is infinite" in answers[2][1]["error"]
    assert "beyond the range of float32" in answers[4][1]["error"]
    assert predictions(answers[0]) == predictions(answers[5]) == [[-5.5, 2.0]]


def test_one_at_which_the_engine_fails_is_a_mistake_of_ours_and_fails_no_other(asked):
    asked.runtime.refused = 7.0
    answers = asked(infer([1, 2]), infer([7, 7]), infer([1, 2]))
    assert [status for status, _ in answers] == [200, 500, 200]
    assert [line["event"] for line in asked.client.lines].count("failure") == 1


def test_each_is_logged_and_one_whose_client_has_left_as_such(asked):
    asked(infer([1, 2]), infer([1, 2]), infer([1, 2], [3, 4]), gone=[1])
    lines = [(line["status"], line["rows"]) for line in asked.client.lines]
    assert lines == [(200, 1), (499, 0), (200, 2)]


def test_no_more_is_gathered_than_is_answered_in_a_moment(asked):
    most = asked.client.application.predicting(ROWS.encode()).inference.most_bytes
    body = json.dumps([{"a": 1, "b": 2}] * (most // 60)).encode()
    assert most / 4 < len(body) < most / 3
    answers = asked(*[body] * 5, path=ROWS)
    assert asked.before_the_turn == 3
    assert asked.runtime.calls == [3 * (most // 60), 2 * (most // 60)]
    assert [status for status, _ in answers] == [200] * 5


def test_no_more_requests_are_gathered_than_are_answered_in_a_moment(asked):
    answers = asked(*[{"a": 1, "b": 2}] * (2 * MOST_REQUESTS + 1), path=ROWS)
    assert asked.runtime.calls == [MOST_REQUESTS, MOST_REQUESTS, 1]
    assert all(document["rows"] == [{"y": -5.5, "z": 2.0}] for _, document in answers)


def dense(num_rows, num_features, path):
    """Write rows in as few bytes as possible."""
    if path.endswith("rows"):
        row = ",".join(f'"{"ab"[number]}":1' for number in range(num_features))
        return b"[%b]" % ",".join([f"{{{row}}}"] * num_rows).encode()
    document = infer(*[[1] * num_features] * num_rows)
    document["inputs"][0]["data"] = [1] * (num_rows * num_features)
    return json.dumps(document, separators=(",", ":")).encode()


@pytest.mark.parametrize("path", [INFER, ROWS])
def test_a_request_is_delayed_by_a_bounded_number_of_values(asked, path):
    """As many as are stated, whatever sizes come together, and however densely they are written."""
    most = asked.client.application.predicting(path.encode()).inference.most_bytes
    random = np.random.default_rng(3)
    bodies = [dense(int(rows), 2, path) for rows in random.integers(1, 800, 60)]
    bodies = [body for body in bodies if len(body) <= most]
    assert len(bodies) > 20
    asked(*bodies, path=path)
    rows = np.array(asked.runtime.calls)
    assert rows.sum() > 3 * rows.max()
    assert (rows + 2 * rows <= MOST_VALUES).all()
    assert (rows + 2 * rows).max() > MOST_VALUES / 2, "the bound is not far from what is allowed"


@pytest.mark.parametrize("num_features", [1, 10, 1000])
@pytest.mark.parametrize("num_targets", [1, 30, 5000])
def test_what_is_gathered_for_one_model_is_bounded_in_bytes_values_and_multiplications(
    num_features, num_targets
):
    row_bytes = 2 * num_features
    rows = most_bytes(row_bytes, num_features, num_targets) // row_bytes
    assert rows * row_bytes <= MOST_BYTES
    assert rows * (1 + num_targets) <= MOST_VALUES
    assert rows * num_targets * num_features <= MOST_VALUES * MULTIPLICATIONS


def test_an_empty_body_is_refused_also_by_a_model_of_which_a_row_is_too_much(
    make_client, make_model
):
    targets = tuple(Column(name=f"y{number}") for number in range(5000))
    client = make_client(replace(make_model(), targets=targets))
    route, sent = client.application.predicting(ROWS.encode()), []
    gatherer = Gatherer(client.application.failed, client.application.note)
    gatherer.add(Small(route, route.inference, ROWS, {}, b"", 0.0, sent.append), turn := Turn())
    turn.run()
    assert [answer.status for answer in sent] == [400]


@pytest.mark.parametrize(("num_targets", "short"), [(1, True), (100, False)])
def test_a_request_whose_answer_may_be_long_is_left_to_the_threads(
    make_model, make_client, num_targets, short
):
    """A body of which others, that ask for less, are answered in the event loop."""
    targets = tuple(Column(name=f"y{number}") for number in range(num_targets))
    application = make_client(replace(make_model(), targets=targets)).application
    head = f"POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: 2000\r\n\r\n".encode()

    async def is_gathered():
        """Send a body that is no JSON, and see who is to answer it."""
        gathered = []
        application.gatherer.add = lambda request, _: gathered.append(request)
        loop, (ours, theirs) = asyncio.get_running_loop(), socket.socketpair()
        config = server_module._config(application)
        config.load()
        ours.setblocking(False)
        with ours, theirs:
            transport, connection = await loop.connect_accepted_socket(
                lambda: config.http_protocol_class(config, ServerState(), {}, loop), theirs
            )
            connection.data_received(head + b" " * 2000)
            if not gathered:
                assert (await loop.sock_recv(ours, 12)) == b"HTTP/1.1 400"
            transport.abort()
        return bool(gathered)

    assert asyncio.run(is_gathered()) is short


@pytest.fixture(scope="module")
def server():
    with serving(TEXTBOOK, "--client-timeout", 1, "--idle-timeout", 1) as started:
        yield started


def test_answers_come_in_the_order_of_the_requests_whichever_way_they_go(server):
    get = b"GET /v2/health/live HTTP/1.1\r\n" + HOST + b"\r\n"
    large = post([{"x1": 1, "x2": 2}] * 3000)
    small, other = post({"x1": 1, "x2": 2}), post({"x1": 0})
    sent = [small, other, get, small, large, small, small, get]
    with server.connect() as client:
        client.sendall(b"".join(sent) + post({"x1": 0, "x2": 0}, b"connection: close"))
        got = answers(read_all(client))
    assert [status for status, _ in got] == [200, 400, 200, 200, 200, 200, 200, 200, 200]
    assert [len(document.get("rows", ())) for _, document in got] == [1, 0, 0, 1, 3000, 1, 1, 0, 1]
    assert got[2][1] == {"live": True}
    assert got[0] == got[3]


def test_the_common_way_says_the_same(server):
    row = {"x1": 1, "x2": 2}
    body = json.dumps(row).encode()
    chunked = b"POST /v2/models/textbook/rows HTTP/1.1\r\ntransfer-encoding: chunked\r\n"
    requests = [
        post(row, b"connection: close"),
        post(row, version="1.0"),
        post(row, b"connection: close", path="/v2/models/textbook/rows?a=b"),
        chunked + HOST + b"connection: close\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
    ]
    found = set()
    for request in requests:
        with server.connect() as client:
            client.sendall(request)
            found.update(
                (status, json.dumps(document)) for status, document in answers(read_all(client))
            )
    with server.connect() as client:
        client.sendall(post(row))
        found.update(
            (status, json.dumps(document)) for status, document in answers(read_all(client))
        )
    assert len(found) == 1


def test_an_address_means_the_same_whichever_way_it_is_answered(tmp_path):
    bundles = [shutil.copytree(TEXTBOOK, tmp_path / name) for name in ("x%41", "xA")]
    meant = {"x%41/rows": "xA", "xA/rows": "xA", "x%2541/rows": "x%41", "x%2541/rows?a": "x%41"}
    with serving(*bundles) as server:
        for address, name in meant.items():
            path = f"/v2/models/{address}"
            row = {"x1": 1, "x2": 2}
            with server.connect() as client:
                client.sendall(post(row, path=path) + post(row, b"connection: close", path=path))
                got = answers(read_all(client))
            assert [document["model_name"] for _, document in got] == [name] * 2


def test_a_client_that_waits_to_be_asked_for_the_body_is(server):
    request = post({"x1": 1, "x2": 2}, b"expect: 100-continue")
    head, body = request.split(b"\r\n\r\n")
    with server.connect() as client:
        client.sendall(head + b"\r\n\r\n")
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert client.recv(12) == b"HTTP/1.1 200"


def test_a_body_may_come_in_parts(server):
    request = post({"x1": 1, "x2": 2})
    with server.connect() as client:
        for byte in request:
            client.sendall(bytes([byte]))
        ((status, _),) = answers(client.recv(4096))
    assert status == 200


def test_a_client_that_leaves_is_noted_and_its_place_is_free_again(server):
    with server.connect() as client:
        client.sendall(post({"x1": 1, "x2": 2})[:-3])
        while server.ask("/metrics-of-nothing")[0] != 404:
            pass
    while server.event("request")["status"] != 499:
        pass
    with server.connect() as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n")
        assert b"linexport_requests_in_flight 0.0" in read_all(client)


def test_a_connection_without_requests_is_closed(server):
    with server.connect() as client:
        client.sendall(post({"x1": 1, "x2": 2}))
        ((status, _),) = answers(read_all(client))
    assert status == 200
