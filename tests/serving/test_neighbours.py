"""A row's answer, whatever other requests are answered together with it."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from running_server import answers, post, serving

import linexport
from linexport import ExportConfig
from linexport.formats.onnx import OrtEngine, graph as onnx_graph
from linexport.model import LinearModel
from linexport.numerics._bounds import precision_of, rounding_error_bound
from linexport.numerics._forms import affine_of
from linexport.parity._exact import DoubleReference
from linexport.predicting import Predictor
from linexport.serving import ServedModel
from linexport.serving._application import Gatherer


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("num_features", "num_targets"), [(1, 1), (7, 3), (1000, 1)])
def test_a_row_is_predicted_within_the_bound_alone_and_among_others(
    dtype, num_features, num_targets
):
    random = np.random.default_rng(num_features)
    model = LinearModel(
        weight=random.normal(size=(num_targets, num_features)).astype(dtype),
        bias=random.normal(size=num_targets).astype(dtype),
    )
    served = ServedModel(
        name="m",
        version="1",
        predictor=Predictor(
            OrtEngine(onnx_graph.write(model), num_threads=1), model.features, model.targets
        ),
    )
    gatherer = Gatherer(lambda model, features: model.predictor.predict_array(features))
    requests = [random.normal(size=(rows, num_features)).astype(dtype) for rows in (1, 3, 1, 0, 9)]
    for together in ([requests[0]], [requests[2]], requests, requests[::-1], requests * 20):
        predictions = asyncio.run(predict_all(gatherer, served, together))
        for asked, prediction in zip(together, predictions, strict=True):
            assert_within_the_bound(model, asked, prediction)


async def predict_all(gatherer, served, requests):
    loop = asyncio.get_running_loop()
    return await asyncio.gather(*(gatherer.predict(served, each, loop) for each in requests))


def assert_within_the_bound(model, asked, prediction):
    exact = DoubleReference(model).predict(asked)
    bound = rounding_error_bound(
        asked.astype(np.float64), affine_of(model), precision=precision_of(asked.dtype)
    )
    distance = np.abs((prediction - exact.high) - exact.low)
    assert (distance <= bound + exact.error).all()


CONNECTIONS, ROUNDS = 16, 20


def test_over_http_a_row_is_within_the_bound_alone_and_among_hostile_others(tmp_path):
    """Each request that can be answered is, and the others are refused, whatever comes with it."""
    random = np.random.default_rng(1)
    model = LinearModel(
        weight=random.normal(size=(3, 7)).astype("f4"), bias=random.normal(size=3).astype("f4")
    )
    config = ExportConfig(formats=("onnx",), probe_rows=16)
    path = linexport.export(model, tmp_path / "m", config=config).path
    names = [column.name for column in model.features]
    rows = random.normal(size=(CONNECTIONS, ROUNDS, 7)).astype("f4")

    def asking(row, **changed):
        return post(dict(zip(names, row.tolist(), strict=True)) | changed, path="/v2/models/m/rows")

    def among_hostile_ones(connection):
        hostile = [{names[0]: float("nan")}, {names[1]: 10**400}, {"unknown": 1}]
        hostile += [{names[3]: 1e39}, {names[4]: "1"}, {names[5]: float("-inf")}]
        sent = [
            asking(row) + asking(row, **hostile[number % len(hostile)])
            for number, row in enumerate(rows[connection])
        ]
        return ask(b"".join(sent), 2 * ROUNDS)

    def ask(sent, number):
        with server.connect() as client:
            client.sendall(sent)
            received = b""
            while received.count(b"HTTP/1.1 ") < number or not is_whole(received):
                received += client.recv(1 << 16)
        return answers(received)

    with serving(path, "--no-access-log") as server:
        alone = [ask(asking(row), 1) for row in rows.reshape(-1, 7)]
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            among = list(pool.map(among_hostile_ones, range(CONNECTIONS)))
    for got in among:
        assert [status for status, _ in got] == [200, 400] * ROUNDS
    mixed = [document for got in among for status, document in got if status == 200]
    for documents in ([document for ((_, document),) in alone], mixed):
        predicted = [list(document["rows"][0].values()) for document in documents]
        assert_within_the_bound(model, rows.reshape(-1, 7), np.array(predicted, np.float32))


def is_whole(received):
    """Whether the last answer has all of its body."""
    head, end, body = received.rpartition(b"\r\n\r\n")
    if not end:
        return False
    try:
        json.loads(body)
    except ValueError:
        return False
    return head != b""
