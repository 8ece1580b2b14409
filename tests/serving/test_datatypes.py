"""Tensors of any datatype, and one for each column."""

import json

import numpy as np
import pytest
from test_encoded_rows import (
    client as encoded_client,  # noqa: F401 - a fixture
    serve,  # noqa: F401 - which that one takes
)

INFER = "/v2/models/flats/infer"
LENGTH = "Inference-Header-Content-Length"
BINARY = {
    "FP16": "<f2", "FP32": "<f4", "FP64": "<f8", "INT8": "<i1", "INT16": "<i2", "INT32": "<i4",
    "INT64": "<i8", "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "BOOL": "?",
}  # fmt: skip


def tensor(name, datatype, data, shape=None, **parameters):
    made = {
        "name": name,
        "datatype": datatype,
        "shape": [len(data)] if shape is None else shape,
        "data": data,
    }
    return made | ({"parameters": parameters} if parameters else {})


def predictions(response):
    assert response.status == 200, response.error
    return response.json["outputs"][0]["data"]


@pytest.fixture
def client(make_client):
    """y = -2 a - 1.5 b - 0.5, and a second target; of float32."""
    return make_client()


def as_floats(client, rows):
    flat = [float(x) for row in rows for x in row]
    return predictions(
        client.post(INFER, {"inputs": [tensor("features", "FP32", flat, [len(rows), 2])]})
    )


@pytest.mark.parametrize("datatype", BINARY)
def test_every_datatype_is_taken_as_json_and_binary(client, datatype):
    rows = [[True, False], [True, True]] if datatype == "BOOL" else [[1, 2], [3, 4]]
    expected = as_floats(client, rows)
    flat = [x for row in rows for x in row]
    asked = {"inputs": [tensor("features", datatype, flat, [2, 2])]}
    assert predictions(client.post(INFER, asked)) == expected
    data = np.array(rows, BINARY[datatype]).tobytes()
    made = tensor("features", datatype, flat, [2, 2], binary_data_size=len(data))
    del made["data"]
    document = json.dumps({"inputs": [made]}).encode()
    answer = client.post(INFER, document + data, (LENGTH, len(document)))
    assert predictions(answer) == expected


def test_a_tensor_for_each_column_in_any_order(client):
    expected = as_floats(client, [[1, 5], [0, 7]])
    asked = {"inputs": [tensor("b", "INT64", [5, 7]), tensor("a", "BOOL", [True, False], [2, 1])]}
    assert predictions(client.post(INFER, asked)) == expected


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([tensor("features", "INT64", [2**53 + 1, 1], [1, 2])], "does not hold 9007199254740993"),
        ([tensor("features", "INT8", [200, 1], [1, 2])], "value 1: 200 is no INT8"),
        ([tensor("features", "INT32", [1.5, 1], [1, 2])], "value 1: 1.5 is no INT32"),
        ([tensor("features", "UINT8", [-1, 1], [1, 2])], "-1 is no UINT8"),
        ([tensor("features", "BOOL", [1, 0], [1, 2])], "1 is no BOOL"),
        ([tensor("features", "INT8", [True, 0], [1, 2])], "True is no INT8"),
        ([tensor("features", "BYTES", ["1", "2"], [1, 2])], "takes numbers, and was sent text"),
        ([tensor("features", "INT8", [1], [1, 2])], "holds 1 values, but its shape [1, 2] means 2"),
        ([tensor("features", "INT8", [1, 2, 3], [1, 3])], "must be [rows, 2], got [1, 3]"),
        ([tensor("a", "INT8", [1, 2]), tensor("b", "INT8", [1])], "as many rows each"),
        ([tensor("a", "INT8", [1]), tensor("a", "INT8", [1])], "or a tensor for each column"),
        ([tensor("a", "INT8", [1]), tensor("c", "INT8", [1])], "There is no column 'b'"),
        ([tensor("a", "INT8", [1])], "There is no column 'b'"),
        ([tensor("a", "INT8", [1]), tensor("b", "INT8", [1], [])], "as many rows each"),
        ([tensor("a", "FP32", [None]), tensor("b", "INT8", [1])], "'a', row 1: There is no value"),
        ([tensor("features", "INT8", [1, 2], [1, 2]), tensor("a", "INT8", [1])], "no column 'b'"),
        ([tensor("a", "FP32", [10**400]), tensor("b", "INT8", [1])], "'a' holds a whole number"),
        ([tensor("features", "UINT64", [2**64 - 1, 1], [1, 2])], "hold 18446744073709551615"),
    ],
)
def test_what_cannot_be_taken_exactly_is_refused_by_its_place(client, inputs, said):
    response = client.post(INFER, {"inputs": inputs})
    assert response.status == 400
    assert said in response.error
    assert len(response.error) < 400


COLUMNS = [
    tensor("kind", "BYTES", ["house", "flat"]),
    tensor("area", "FP64", [50, 50]),
    tensor("age", "FP32", [None, 1]),
    tensor("listed", "BYTES", ["2020-01-03", "2020-01-03"]),
]


def test_an_encodings_columns_may_be_tensors_of_text(encoded_client):  # noqa: F811
    assert predictions(encoded_client.post(INFER, {"inputs": COLUMNS})) == [1208.0, 50.0]


def test_text_in_binary_data_has_its_length_before_it(encoded_client):  # noqa: F811
    texts = [b"house", b"flat"]
    data = b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    kind = {"name": "kind", "datatype": "BYTES", "shape": [2]}
    kind["parameters"] = {"binary_data_size": len(data)}
    document = json.dumps({"inputs": [kind, *COLUMNS[1:]]}).encode()
    answer = encoded_client.post(INFER, document + data, (LENGTH, len(document)))
    assert predictions(answer) == [1208.0, 50.0]
    cut = json.dumps({"inputs": [kind | {"parameters": {"binary_data_size": 7}}, *COLUMNS[1:]]})
    for body, size, said in (
        (document + data[:-1], len(document), "16 bytes follow the JSON object, and"),
        (document + data + b"x", len(document), "18 bytes follow the JSON object, and"),
        (cut.encode() + data[:7], len(cut), "end within one of them"),
    ):
        refused = encoded_client.post(INFER, body, (LENGTH, size))
        assert refused.status == 400
        assert said in refused.error


def test_features_and_an_unknown_level_are_told_apart(encoded_client):  # noqa: F811
    features = encoded_client.application._models["flats"].predictor.feature_names
    inputs = [tensor(name, "INT8", [1]) for name in features]
    assert predictions(encoded_client.post(INFER, {"inputs": inputs})) == [1102.0]
    unknown = [tensor("kind", "BYTES", ["hause", "flat"]), *COLUMNS[1:]]
    assert "'hause' is no level" in encoded_client.post(INFER, {"inputs": unknown}).error


def test_more_rows_than_allowed_are_refused_before_they_are_read(make_client):
    client = make_client(rows=1)
    refused = client.post(
        INFER, {"inputs": [tensor("a", "INT8", [], [9]), tensor("b", "INT8", [], [9])]}
    )
    assert (refused.status, "9 rows are more than the 1" in refused.error) == (413, True)
