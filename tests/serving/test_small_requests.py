"""Small requests: gathered into one call of the engine, each answered for itself."""

import json

import numpy as np
import pytest
from running_server import read_all, serving
from test_server_process import TEXTBOOK

from linexport.serving._gathering import MOST_BYTES, Gatherer, Small

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
    from dataclasses import replace

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
            gatherer.add(Small(route, path, {}, data, 0.0, sending(number)), turn)
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
    body = json.dumps([{"a": 1, "b": 2}] * 500).encode()
    assert MOST_BYTES / 4 < len(body) < MOST_BYTES / 3
    answers = asked(*[body] * 5, path=ROWS)
    assert asked.before_the_turn == 4
    assert asked.runtime.calls == [2000, 500]
    assert [status for status, _ in answers] == [200] * 5


@pytest.fixture(scope="module")
def server():
    with serving(TEXTBOOK, "--client-timeout", 1, "--idle-timeout", 1) as started:
        yield started


HOST = b"host: x\r\n"


def post(row, *lines, path="/v2/models/textbook/rows", version="1.1"):
    body = json.dumps(row).encode()
    head = f"POST {path} HTTP/{version}\r\ncontent-length: {len(body)}\r\n".encode()
    return head + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def answers(received):
    """Split what a connection received: (status, document) of each answer."""
    found = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        (length,) = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
        assert any(line.startswith(b"date:") for line in lines)
        found.append((int(lines[0].split()[1]), json.loads(rest[:length])))
        received = rest[length:]
    return found


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
