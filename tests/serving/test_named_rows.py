"""Rows as named values."""

import json

import pytest

ROWS = "/v2/models/flats/rows"


def test_one_row_is_an_object_of_names_and_numbers(client):
    response = client.post(ROWS, {"b": 2, "a": 1})
    assert response.status == 200
    assert response.json == {
        "model_name": "flats",
        "model_version": "v1",
        "rows": [{"y": -5.5, "z": 2.0}],
    }


def test_several_are_a_list(client):
    answer = client.post(ROWS, [{"a": 1, "b": 2}, {"b": 4.0, "a": 3e0}])
    assert answer.json["rows"] == [{"y": -5.5, "z": 2.0}, {"y": -9.5, "z": 6.0}]
    assert client.post(ROWS, []).json["rows"] == []


def test_curl_needs_no_content_type(client):
    form = ("content-type", "application/x-www-form-urlencoded")
    assert client.post(ROWS, b'{"a": 1, "b": 2}', form).status == 200


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{'a': 1}", "not valid JSON"),
        (b"", "not valid JSON"),
        (3, 'Row 1 must be an object of names and numbers, such as {"a": 1.5}, got 3'),
        ([{"a": 1, "b": 2}, [1, 2]], "Row 2 must be an object"),
        ({"a": 1}, "rows, row 1: There is no column 'b'; a row has 'a', 'b'"),
        ([{"a": 1, "b": 2}, {"a": 1, "c": 2}], "row 2: There is no column 'b'"),
        ({"a": 1, "b": 2, "c": 3}, "rows, row 1: 'c' is no feature; a row has 'a', 'b'"),
        ({"a": 1, "b": "2"}, "Row 1, 'b': \"2\" is not a number"),
        (
            {"a": 1, "b": None},
            "column 'b', row 1: There is no value; fill it in, or",
        ),
        ([{"a": 1, "b": 2}, {"a": float("nan"), "b": 2}], "column 'a', row 2: There is no value"),
        ([{"a": 1, "b": 2}, {"a": float("inf"), "b": 2}], "column 'a', row 2: inf is given"),
        (
            [{"a": 1, "b": 10**400}],
            f"Row 1, 'b': {10**39}... is beyond the range of float64",
        ),
        (b"[" * 100_000, "nested too deeply"),
        ({"a": 1, "b" * 60_000: 2, "b": 3}, "' is no feature"),
        ({"a": 1, "b" * 60_000: "2"}, "' is no feature"),
        ({"rows": [{"a": 1, "b": 2}]}, "Row 1: 'rows' is no feature; a row has 'a', 'b', and sev"),
        ({"a": 1, "b": {"c": [1] * 99}}, "'b': {\"c\":[1,1,1"),
        ({"a": 1e39, "b": 2}, "features, column 'a', row 1: 1e+39 is beyond the range of float32"),
        (b'[{"a": 1, "b": 2}, {"a": 1e400, "b": 2}]', "column 'a', row 2: inf is given"),
    ],
)
def test_what_cannot_be_understood_is_refused_in_a_sentence(client, body, said):
    response = client.post(ROWS, body)
    assert response.status == 400
    assert said in response.error
    assert len(response.error) < 300


def test_null_is_a_missing_value_where_allowed(make_client, make_model):
    client = make_client(make_model(missing="nan"))
    for lacking in (None, float("nan")):
        answer = client.post(ROWS, [{"a": 1, "b": lacking}, {"a": 1, "b": 2}])
        assert answer.json["rows"] == [{"y": None, "z": None}, {"y": -5.5, "z": 2.0}]
    infinite = client.post(ROWS, {"a": float("inf"), "b": None})
    assert "column 'a', row 1: inf is given" in infinite.error


def test_of_a_key_that_is_there_twice_the_last_value_counts(client):
    assert client.post(ROWS, b'{"a": 7, "b": 2, "a": 1}').json["rows"] == [{"y": -5.5, "z": 2.0}]


def test_too_many_rows_are_refused(make_client):
    client = make_client(rows=2)
    row = {"a": 1, "b": 2}
    assert client.post(ROWS, [row] * 2).status == 200
    refused = client.post(ROWS, [row] * 3)
    assert refused.status == 413
    assert "3 rows are more than the 2 allowed" in refused.error
    shape = {"name": "features", "shape": [3, 2], "datatype": "FP32", "data": json.loads("[]")}
    assert client.post("/v2/models/flats/infer", {"inputs": [shape]}).status == 413


def test_an_answer_has_no_more_values_than_allowed(make_client):
    client = make_client(values=4)  # two targets
    row = {"a": 1, "b": 2}
    assert client.post(ROWS, [row] * 2).status == 200
    refused = client.post(ROWS, [row] * 3)
    assert refused.status == 413
    assert "3 rows of 2 targets are 6 values" in refused.error


@pytest.mark.parametrize("path", [ROWS, "/v1/models/flats:predict"])
def test_truth_values_are_0_and_1(client, path):
    """As in Python and in tables."""
    asked = [[{"a": True, "b": False}], [{"a": 1, "b": 0}]]
    truth, numbers = (
        client.post(path, {"instances": rows} if "v1" in path else rows).json for rows in asked
    )
    assert truth == numbers
