"""Rows of a table's own columns, for a model that has an encoding."""

import numpy as np
import pytest

from linexport.columns import Column
from linexport.encoding import CategoryColumn, DateColumn, Encoding, NumberColumn
from linexport.predicting import Predictor
from linexport.serving import ServedModel

ROWS = "/v2/models/flats/rows"
ENCODING = Encoding(
    columns=(
        NumberColumn(name="area"),
        CategoryColumn(name="kind", levels=("flat", "house"), reference="flat"),
        NumberColumn(name="age", fill=30.0, indicator=True),
        DateColumn(name="listed", origin="2020-01-01"),
    )
)
ROW = {"area": 50, "kind": "house", "age": None, "listed": "2020-01-03"}


@pytest.fixture
def serve(make_client, make_model):
    """Return a function that serves what an encoding and the weights of its features make."""
    runtime = type(make_model().predictor.runtime)

    def served(encoding, weight):
        predictor = Predictor(
            runtime=runtime([weight], [0], np.float64),
            features=tuple(Column(name=name) for name in encoding.features),
            targets=(Column(name="y"),),
            encoding=encoding,
        )
        return make_client(ServedModel(name="flats", version="v1", predictor=predictor))

    return served


@pytest.fixture
def client(serve):
    """y = area + 100 kind[house] + 2 age + 1000 age[missing] - listed."""
    return serve(ENCODING, [1, 100, 2, 1000, -1])


def test_rows_take_the_tables_columns(client):
    rows = [ROW, {**ROW, "kind": "flat", "age": 1}]
    assert client.post(ROWS, ROW).json["rows"] == [{"y": 50 + 100 + 60 + 1000 - 2}]
    answer = client.post(ROWS, rows).json["rows"]
    assert answer == [{"y": 1208.0}, {"y": 50 + 2 - 2.0}]
    assert client.post(ROWS, []).json["rows"] == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "hause"}, "rows, column 'kind', row 1: 'hause' is no level that the model knows"),
        ({"kind": None}, "column 'kind', row 1: There is no value"),
        ({"area": "50"}, "rows, column 'area', row 1: '50' is text; give the column as numbers"),
        ({"listed": "1/2/2020"}, "column 'listed', row 1: '1/2/2020' is not a date"),
        ({"kind": ["flat"]}, "Row 1, 'kind': [\"flat\"] is neither text nor a number"),
        ({"kind[house]": 1}, "rows, row 1: 'kind[house]' is no feature; a row has 'area', 'kind'"),
    ],
)
def test_what_cannot_be_used_is_told_of_the_column(client, change, said):
    answer = client.post(ROWS, {**ROW, **change})
    assert answer.status == 400
    assert said in answer.json["error"]


def test_the_encoding_is_told(client):
    told = client.get("/v2/models/flats").json
    assert [c["name"] for c in told["parameters"]["encoding"]["columns"]] == list(ROW)
    assert told["inputs"][0]["shape"] == [-1, 5]
    rows = client.get("/openapi.json").json["paths"][ROWS]["post"]["requestBody"]
    content = rows["content"]["application/json"]
    assert list(content["schema"]["oneOf"][0]["properties"]) == list(ROW)
    assert content["example"] == {"area": 0, "kind": "flat", "age": 0, "listed": "2020-01-01"}
    assert client.post(ROWS, {**content["example"], "kind": "house"}).json["rows"] == [{"y": 100}]


@pytest.mark.parametrize("levels", [("0", "1"), ("false", "true")])
@pytest.mark.parametrize("yes", [True, 1, 1.0, "true", "1"])
def test_true_is_1_in_a_category(serve, levels, yes):
    settings = {"reference": levels[0], "unknown": "reference"}
    new = CategoryColumn(name="new", levels=levels, **settings)
    client = serve(Encoding(columns=(new,)), [10])
    assert client.post(ROWS, {"new": yes}).json["rows"] == [{"y": 10.0}]
    assert client.post(ROWS, [{"new": yes}, {"new": type(yes)(0)}]).json["rows"][0] == {"y": 10.0}
