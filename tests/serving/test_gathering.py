"""What comes together is predicted in one call of the engine, each request answered for itself."""

import asyncio
import json

import numpy as np
import pytest

from linexport.serving import _routes

INFER, ROWS = "/v2/models/flats/infer", "/v2/models/flats/rows"


class Counting:
    """A runtime that counts its calls, and fails where it is told to."""

    def __init__(self, runtime):
        self.runtime, self.dtype, self.structure = runtime, runtime.dtype, runtime.structure
        self.calls, self.refused = [], None

    def predict(self, features):
        self.calls.append(len(features))
        if self.refused in features:
            raise MemoryError
        return self.runtime.predict(features)


@pytest.fixture
def asked(make_client, make_model):
    """What asks requests in one turn: returns (status, document) of each."""
    runtime = Counting(make_model().predictor.runtime)
    client = make_client(make_model(wrap=lambda _: runtime))

    def ask(*bodies, path=INFER):
        async def all_at_once():
            datas = [b if isinstance(b, bytes) else json.dumps(b).encode() for b in bodies]
            return await asyncio.gather(*(client.ask("POST", path, [data]) for data in datas))

        return [(answer.status, answer.json) for answer in asyncio.run(all_at_once())]

    ask.runtime, ask.client = runtime, client
    return ask


def infer(*rows):
    tensor = {"name": "features", "shape": [len(rows), 2], "datatype": "FP32", "data": [*rows]}
    return {"inputs": [tensor]}


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
    assert "column 'b', row 1: 1e+39 is beyond" in answers[2][1]["error"]
    assert "beyond the range of float32" in answers[4][1]["error"]
    assert predictions(answers[0]) == predictions(answers[5]) == [[-5.5, 2.0]]


def test_one_at_which_the_engine_fails_is_a_mistake_of_ours_and_fails_no_other(asked):
    asked.runtime.refused = 7.0
    answers = asked(infer([1, 2]), infer([7, 7]), infer([1, 2]))
    assert [status for status, _ in answers] == [200, 500, 200]
    assert [line["event"] for line in asked.client.lines].count("failure") == 1


def test_rows_outside_the_training_range_are_counted_for_all(make_client, make_model):
    client = make_client(make_model(check_range="warn"))

    async def ask():
        bodies = [json.dumps([{"a": a, "b": 1}] * 2).encode() for a in (5, 10, -1)]
        return await asyncio.gather(*(client.ask("POST", ROWS, [body]) for body in bodies))

    assert [answer.status for answer in asyncio.run(ask())] == [200] * 3
    page = client.get("/metrics").body.decode()
    assert 'linexport_rows_outside_range_total{model="flats"} 4.0' in page


@pytest.mark.parametrize("num_features", [1, 10, 1000])
@pytest.mark.parametrize("num_targets", [1, 30, 5000])
def test_what_is_answered_on_the_event_loop_is_bounded(num_features, num_targets):
    row_bytes = 2 * num_features
    rows = _routes.small_bytes(row_bytes, num_features, num_targets) // row_bytes
    assert rows * row_bytes <= _routes.SMALL_BYTES
    assert rows * (1 + num_targets) <= _routes.SMALL_VALUES
    assert rows * num_targets * num_features <= _routes.SMALL_VALUES * _routes.MULTIPLICATIONS


def test_an_empty_body_is_refused(asked):
    assert [status for status, _ in asked(b"")] == [400]
