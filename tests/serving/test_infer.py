"""Open Inference Protocol: inference with JSON and with binary tensors."""

import json
import re

import numpy as np
import pytest

INFER = "/v2/models/flats/infer"
LENGTH = "Inference-Header-Content-Length"


def request(data=(1, 2), shape=(1, 2), datatype="FP32", **more):
    tensor = {"name": "features", "shape": shape, "datatype": datatype, "data": data}
    return {"inputs": [tensor], **more}


def binary_request(array, outputs=None, **parameters):
    """The JSON object of a binary request, and the bytes after it."""
    data = array.tobytes()
    tensor = {
        "name": "features",
        "shape": array.shape,
        "datatype": "FP64" if array.dtype == np.float64 else "FP32",
        "parameters": {"binary_data_size": len(data)},
    }
    document = {"inputs": [tensor], "parameters": parameters}
    if outputs is not None:
        document["outputs"] = outputs
    return json.dumps(document).encode(), data


def ask_binary(client, array, outputs=None, **parameters):
    document, data = binary_request(array, outputs, **parameters)
    return client.post(INFER, document + data, (LENGTH, len(document)))


def test_a_row_is_answered_with_its_prediction(client):
    response = client.post(INFER, request())
    assert response.status == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json == {
        "model_name": "flats",
        "model_version": "v1",
        "outputs": [
            {"name": "prediction", "datatype": "FP32", "shape": [1, 2], "data": [-5.5, 2.0]}
        ],
    }


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]], [[1.0, 2e0], [3, 4]]])
def test_data_may_be_flat_or_nested(client, data):
    (output,) = client.post(INFER, request(data, (2, 2))).json["outputs"]
    assert (output["shape"], output["data"]) == ([2, 2], [-5.5, 2.0, -9.5, 6.0])


def test_no_rows_have_no_predictions(client):
    (output,) = client.post(INFER, request([], (0, 2))).json["outputs"]
    assert (output["shape"], output["data"]) == ([0, 2], [])


def test_the_version_is_an_address_too(client):
    answer = client.post("/v2/models/flats/versions/v1/infer", request())
    assert answer.json["outputs"][0]["data"] == [-5.5, 2.0]


def test_an_id_comes_back_whatever_it_holds(client):
    for name in ("42", 'a "b": c', "ä\u2028"):
        assert client.post(INFER, request(id=name)).json["id"] == name


def test_parameters_that_are_not_known_do_not_matter(client):
    answer = client.post(INFER, request(parameters={"priority": 3, "sequence_end": True}))
    assert answer.status == 200


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float64_is_rounded_to_the_nearest_of_the_model(make_client, make_model, dtype):
    client = make_client(make_model(dtype=dtype))
    value = 1 + 2.0**-24 + 2.0**-40  # in float32 the nearest is 1 + 2**-23
    expected = 2 * float(dtype(value)) + 0.5
    for sent in (
        client.post(INFER, request([value, 0], datatype="FP64")),
        client.post(INFER, request([value, 0])),
        ask_binary(client, np.array([[value, 0]])),
    ):
        assert sent.json["outputs"][0]["data"][0] == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_goes_in_and_comes_out(client, dtype):
    rows = np.arange(6, dtype=dtype).reshape(3, 2)
    response = ask_binary(client, rows, [{"name": "prediction"}], binary_data_output=True)
    assert response.headers["content-type"] == "application/octet-stream"
    length = int(response.headers[LENGTH.lower()])
    (output,) = json.loads(response.body[:length])["outputs"]
    data = response.body[length:]
    assert output == {
        "name": "prediction",
        "datatype": "FP32",
        "shape": [3, 2],
        "parameters": {"binary_data_size": len(data)},
    }
    expected = rows @ np.array([[2, 1], [-4, 1]]) + [0.5, -1]
    assert np.frombuffer(data, "<f4").reshape(3, 2).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("for_all", "for_output", "binary"),
    [(True, False, False), (False, True, True), (True, None, True), (None, None, False)],
)
def test_what_an_output_asks_for_goes_before_what_the_request_does(
    client, for_all, for_output, binary
):
    output = {"name": "prediction"}
    if for_output is not None:
        output["parameters"] = {"binary_data": for_output}
    parameters = {} if for_all is None else {"binary_data_output": for_all}
    response = client.post(INFER, request(outputs=[output], parameters=parameters))
    assert response.status == 200
    assert (LENGTH.lower() in response.headers) is binary


TENSOR = {"name": "features", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"inputs": [], }', "not valid JSON"),
        (b'{"id": "\xff", "inputs": []}', "not valid JSON"),
        (b"[" * 100_000, "Expected `object`, got `array`"),
        (b'{"inputs": [{"data": ' + b"[" * 100_000, "Expected `float | null`, got `array`"),
        (b'{"inputs": [{"name": NaN, "data": ' + b"[" * 100_000, "nested too deeply"),
        (b'\xef\xbb\xbf{"inputs": []}', "begins with a byte order mark; send JSON in UTF-8"),
        ('{"inputs": []}'.encode("utf-16"), "begins with a byte order mark"),
        (b'{"inputs": [{"data": ["\xff:"]}]}', "not as it should be"),
        (json.dumps({"inputs": [TENSOR]}).encode().replace(b"[1, 2]}", b'["\xff:"]}'), "got `str`"),
        ([1], "Expected `object`, got `array`"),
        ({}, "missing required field `inputs`"),
        ({"inputs": [TENSOR], "input": 1}, "unknown field `input`"),
        ({"inputs": [TENSOR | {"dtype": "x"}]}, r"unknown field `dtype` - at `\$.inputs\[0\]`"),
        ({"inputs": []}, "must be 'features', or a tensor for each column; got none"),
        ({"inputs": [TENSOR, TENSOR]}, "got 'features', 'features'"),
        ({"inputs": [TENSOR | {"name": "x", "shape": [2]}]}, "There is no column 'a'; a row has"),
        (
            {"inputs": [TENSOR | {"name": "x"}]},
            r"no input 'x': there is 'features' \[rows, 2\], or a tensor \[rows\] for each column",
        ),
        (
            {"inputs": [TENSOR | {"name": "a"}]},
            r"of 'a' must be \[rows\] or \[rows, 1\], got \[1, 2\]",
        ),
        ({"inputs": [TENSOR | {"datatype": "INT4"}]}, "must be one of FP32, FP64, .*, got 'INT4'"),
        ({"inputs": [TENSOR | {"shape": [2]}]}, r"must be \[rows, 2\], got \[2\]; one row is"),
        ({"inputs": [TENSOR | {"shape": [1, 3]}]}, r"must be \[rows, 2\], got \[1, 3\]"),
        ({"inputs": [TENSOR | {"shape": [-1, 2]}]}, r"got \[-1, 2\]"),
        ({"inputs": [TENSOR | {"shape": [1.5, 2]}]}, "Expected `int`"),
        ({"inputs": [TENSOR | {"shape": [2, 2]}]}, r"holds 2 numbers, but its shape \[2, 2\]"),
        ({"inputs": [TENSOR | {"data": [[1], [2]]}]}, "has rows of 1 numbers, not 2"),
        ({"inputs": [TENSOR | {"data": [[1, 2], [3]]}]}, "or rows of 2 numbers each"),
        ({"inputs": [TENSOR | {"data": [[1, 2], 3]}]}, "numbers alone, or rows"),
        ({"inputs": [TENSOR | {"data": [1, [2]]}]}, "numbers alone, or rows"),
        ({"inputs": [TENSOR | {"data": [1, "2"]}]}, r"got `str` - at `\$.inputs\[0\].data\[1\]`"),
        (
            {"inputs": [TENSOR | {"data": [1, True]}]},
            r"Expected `float \| array \| null`, got `bool`",
        ),
        (
            {"inputs": [TENSOR | {"data": [1, None]}]},
            "'b', row 1: There is no value; .*missing='nan'",
        ),
        ({"inputs": [TENSOR | {"data": [[[1, 2]]]}]}, r"Expected `float \| null`, got `array`"),
        ({"inputs": [TENSOR | {"data": 1}]}, "Expected `array`, got `int`"),
        ({"inputs": [{k: TENSOR[k] for k in ("name", "shape", "datatype")}]}, "neither data nor"),
        ({"inputs": [TENSOR], "outputs": [{"name": "y"}]}, "'prediction' alone, got 'y'"),
        ({"inputs": [TENSOR], "outputs": [{"name": "prediction"}] * 2}, "alone, got"),
        (
            {"inputs": [TENSOR], "parameters": {"binary_data_output": 1}},
            "binary_data_output in parameters must be true or false",
        ),
        ({"inputs": [TENSOR], "parameters": {"a": {}}}, "got `object`"),
        ({"inputs": [TENSOR], "model_name": "other"}, "is 'other', but the address is that of"),
        (
            {"inputs": [TENSOR | {"data": [1, 1e39]}]},
            "column 'b', row 1: 1e.39 is beyond",
        ),
        (
            {"inputs": [TENSOR | {"data": [3e38, 0]}]},
            "row 1: The prediction of 'y' is",
        ),
        (b'{"inputs": [{"name": "features", "data": [1e999]}]}', "missing required field"),
        (
            json.dumps({"inputs": [TENSOR]}).replace("[1, 2]}", "[1, 1e999]}").encode(),
            "'b', row 1: inf is given",
        ),
        (
            {"inputs": [TENSOR | {"data": [1, np.nan]}]},
            "'b', row 1: There is no value; .*missing=",
        ),
        ({"inputs": [TENSOR | {"data": [-np.inf, 1]}]}, "'a', row 1: -inf is given"),
    ],
)
def test_what_cannot_be_understood_is_refused_in_a_sentence(client, body, said):
    response = client.post(INFER, body)
    assert response.status == 400

    assert re.search(said, response.error), response.error


@pytest.mark.parametrize(
    ("cut", "size", "length", "said"),
    [
        (
            -1,
            16,
            None,
            "15 bytes follow the JSON object, and",
        ),
        (-16, 16, None, "0 bytes follow"),
        (None, 12, None, "must be 16 for FP32 of shape [2, 2], got 12"),
        (None, "16", None, "got '16'"),
        (None, True, None, "got True"),
        (None, -16, None, "got -16"),
        (None, 16.0, None, "got 16.0"),
        (None, 16, "0", "is '0', but must be the size"),
        (None, 16, "-5", "is '-5'"),
        (None, 16, "1e3", "is '1e3'"),
        (None, 16, "99999", "is '99999'"),
        (None, 16, "1" * 5000, "1111...', but must be the size"),
        (None, None, None, "16 bytes follow the JSON object, and"),
    ],
)
def test_binary_data_of_the_wrong_size_are_refused(client, cut, size, length, said):
    document, data = binary_request(np.ones((2, 2), np.float32))
    parsed = json.loads(document)
    if size is None:
        del parsed["inputs"][0]["parameters"]["binary_data_size"]
    else:
        parsed["inputs"][0]["parameters"]["binary_data_size"] = size
    document = json.dumps(parsed).encode()
    header = (LENGTH, length or len(document))
    response = client.post(INFER, document + data[:cut], header)
    assert response.status == 400
    assert said in response.error


def test_more_bytes_than_said_are_refused(client):
    document, data = binary_request(np.ones((2, 2), np.float32))
    response = client.post(INFER, document + data + b"x", (LENGTH, len(document)))
    assert "17 bytes follow the JSON object, and" in response.error


def test_data_twice_are_refused(client):
    document, data = binary_request(np.ones((1, 2), np.float32))
    both = json.loads(document)
    both["inputs"][0]["data"] = [1, 2]
    document = json.dumps(both).encode()
    response = client.post(INFER, document + data, (LENGTH, len(document)))
    assert "both data and binary_data_size" in response.error


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_by_its_place(client, value):
    rows = np.ones((3, 2), np.float32)
    rows[2, 1] = value
    response = ask_binary(client, rows)
    assert response.status == 400
    assert response.error.startswith("features, column 'b', row 3: ")
    assert ("missing='nan'" in response.error) == bool(np.isnan(value))


def test_rows_that_lack_a_value_are_predicted_as_nan_where_allowed(make_client, make_model):
    client = make_client(make_model(missing="nan"))
    rows = np.array([[1, 2], [np.nan, 2], [3, 4]], np.float32)
    null, literal = (request([[1, 2], [lacking, 2], [3, 4]], (3, 2)) for lacking in (None, np.nan))
    for response in (
        ask_binary(client, rows),
        client.post(INFER, null),
        client.post(INFER, literal),
    ):
        assert response.json["outputs"][0]["data"] == [-5.5, 2.0, None, None, -9.5, 6.0]
    answer = ask_binary(client, rows, binary_data_output=True)
    data = np.frombuffer(answer.body[int(answer.headers[LENGTH.lower()]) :], "<f4").reshape(3, 2)
    np.testing.assert_array_equal(data, [[-5.5, 2], [np.nan, np.nan], [-9.5, 6]])


def test_infinity_is_never_a_missing_value(make_client, make_model):
    client = make_client(make_model(missing="nan"))
    assert "row 1: inf is given" in ask_binary(client, np.array([[np.inf, np.nan]])).error
    for sent in (np.inf, -np.inf):
        assert f"'a', row 1: {sent} is given" in client.post(INFER, request([sent, np.nan])).error
    overflow = ask_binary(client, np.array([[np.nan, 0], [3e38, 0]], np.float32))
    assert "row 2: The prediction of 'y' is beyond" in overflow.error


def test_a_string_that_says_nan_is_not_one(make_client, make_model):
    client = make_client(make_model(missing="nan"))
    for name in ('NaN "Infinity\\', "NaN:", "\\"):
        answer = client.post(INFER, request([np.nan, 1], id=name))
        assert (answer.status, answer.json["id"]) == (200, name)
    assert client.post(INFER, b'{"id": "NaN').status == 400


@pytest.mark.parametrize("place", ["inputs", "outputs"])
@pytest.mark.parametrize("key", ["classification", "shared_memory_region"])
def test_a_parameter_that_would_change_the_answer_is_not_ignored(client, place, key):
    asked = request(outputs=[{"name": "prediction"}])
    asked[place][0]["parameters"] = {key: 3}
    response = client.post(INFER, asked)
    assert response.status == 400
    assert (
        f"The parameter {key} of '{asked[place][0]['name']}' is of an extension" in response.error
    )


def test_a_length_that_is_said_twice_is_not_taken_for_the_last(client):
    document, data = binary_request(np.ones((1, 2), np.float32))
    response = client.post(INFER, document + data, (LENGTH, 3), (LENGTH, len(document)))
    assert response.status == 400
    assert f"is '3, {len(document)}', but must be" in response.error


def test_what_a_message_repeats_is_shortened(client):
    long = "9" * 60_000
    for asked in (
        request(datatype=long),
        request(model_name=long),
        request(shape=[long[:4000], 2]),
        {"inputs": [TENSOR | {"name": long}]},
        request(outputs=[{"name": long}]),
        {"inputs": [TENSOR], long: 1},
        json.dumps(request()).replace("[1, 2]", f"[{long[:4000]}, 2]", 1).encode(),
    ):
        response = client.post(INFER, asked)
        assert response.status in (400, 413)
        assert len(response.error) < 500, response.error[:500]


def test_an_answer_has_no_more_values_than_allowed(make_client):
    """Which is known, and said, before anything is predicted or even read."""
    client = make_client(values=4)  # two targets
    assert client.post(INFER, request([1, 2] * 2, (2, 2))).status == 200
    refused = client.post(INFER, request([], (3, 2)))
    assert refused.status == 413
    assert (
        "3 rows of 2 targets are 6 values, more than the 4 allowed in one answer" in refused.error
    )
