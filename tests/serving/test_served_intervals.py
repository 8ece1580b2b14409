"""Intervals over HTTP, as the predictor has them."""

import json
from dataclasses import replace

import numpy as np
import pytest

import linexport
from linexport.serving import ServedModel

ROWS = "/v2/models/flats/rows"
INFER = "/v2/models/flats/infer"
LENGTH = "Inference-Header-Content-Length"


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    rng = np.random.default_rng(4)
    features = rng.normal(size=(50, 2))
    target = features @ [2.0, -1.0] + 3 + rng.normal(scale=0.2, size=50)
    bundle = tmp_path_factory.mktemp("bundle") / "flats"
    linexport.export(
        linexport.train(features, target), bundle, config=linexport.ExportConfig(formats=("onnx",))
    )
    return linexport.load(bundle)


@pytest.fixture
def client(make_client, predictor):
    return make_client(ServedModel(name="flats", version="v1", predictor=predictor))


def expected(predictor, rows):
    return np.stack(predictor.predict_interval(np.array(rows), level=0.9))[:, :, 0]


def test_named_rows_have_their_interval_beside_them(client, predictor):
    rows = [[1.0, 2.0], [-3.0, 0.5]]
    asked = [{"x1": a, "x2": b} for a, b in rows]
    answer = client.post(f"{ROWS}?interval=0.9", asked).json["rows"]
    assert [list(row) for row in answer] == [["y", "y_lower", "y_upper"]] * 2
    np.testing.assert_array_equal(
        [list(row.values()) for row in answer], expected(predictor, rows).T
    )
    assert list(client.post(ROWS, asked[0]).json["rows"][0]) == ["y"]
    assert client.post(f"{ROWS}?interval=0.9", []).json["rows"] == []


def test_tensors_of_the_ends_stand_behind_the_predictions(client, predictor):
    rows = [[1.0, 2.0], [-3.0, 0.5]]
    tensor = {"name": "features", "shape": [2, 2], "datatype": "FP64", "data": rows}
    asked = {"inputs": [tensor], "parameters": {"interval": 0.9}}
    outputs = client.post(INFER, asked).json["outputs"]
    assert [each["name"] for each in outputs] == ["prediction", "lower", "upper"]
    np.testing.assert_array_equal([each["data"] for each in outputs], expected(predictor, rows))
    asked["parameters"]["binary_data_output"] = True
    answer = client.post(INFER, asked)
    length = int(answer.headers[LENGTH.lower()])
    sizes = [
        t["parameters"]["binary_data_size"] for t in json.loads(answer.body[:length])["outputs"]
    ]
    assert sum(sizes) == len(answer.body) - length
    found = np.frombuffer(answer.body[length:], "<f4").reshape(3, 2)
    np.testing.assert_array_equal(found, expected(predictor, rows))


@pytest.mark.parametrize("level", ["1.5", "x", "nan", ""])
def test_a_level_that_is_none_is_refused(client, level):
    refused = client.post(f"{ROWS}?interval={level}", {"x1": 1, "x2": 2})
    if level:
        assert refused.status == 400
        assert "0.95" in refused.error
    for wrong in (True, "0.9", 0):
        tensor = {"name": "features", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}
        asked = {"inputs": [tensor], "parameters": {"interval": wrong}}
        assert client.post(INFER, asked).status == 400


def test_a_model_that_does_not_know_its_uncertainty_says_so(make_client, predictor):
    without = ServedModel(name="flats", version="v1", predictor=replace(predictor, spread=None))
    refused = make_client(without).post(f"{ROWS}?interval=0.9", {"x1": 1, "x2": 2})
    assert (refused.status, "does not know its uncertainty" in refused.error) == (400, True)
