"""ONNX files that take a table's columns: what each cell becomes, in the graph.

Weights are powers of two, so that a prediction is exact and says which features it is made of.
"""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import linexport
from linexport import formats
from linexport.columns import Column
from linexport.encoding import CategoryColumn, DateColumn, Encoding, NumberColumn
from linexport.errors import ExportError
from linexport.formats import stated
from linexport.formats.onnx import columns as onnx_columns, graph as onnx_graph
from linexport.model import LinearModel
from linexport.tables import table_of

CLOSE = 1e-9
"""Relative: two float64 solvers on some hundred well-conditioned rows, to sqrt of that."""
PAIRS = [("float32", "float32"), ("float32", "float64"), ("float64", "float64")]

ENCODING = Encoding(
    columns=(
        CategoryColumn(name="kind", levels=("flat", "häuser", "villa"), reference="flat"),
        NumberColumn(name="age", fill=8.0, indicator=True),
        NumberColumn(name="area"),
        CategoryColumn(
            name="street", levels=("a", "b"), reference="b", unknown="reference", missing="level"
        ),
        CategoryColumn(name="new", levels=("false", "true"), reference=None, missing="reference"),
        CategoryColumn(name="rooms", levels=("2", "7"), reference="2"),
        NumberColumn(name="fee", fill=0.5),
        DateColumn(name="listed", origin="2020-01-01"),
    )
)
PLAIN = {
    "kind": "flat", "age": 0, "area": 0, "street": "b", "new": "", "rooms": "2", "fee": 0,
    "listed": 0,
}  # fmt: skip
"""Cells that make every feature 0."""


def model_of(encoding: Encoding, dtype: str, accumulate: str, *, mean: bool = False) -> LinearModel:
    """The feature at place p weighs 2**p."""
    count = len(encoding.features)
    arrays = {"weight": 2.0 ** np.arange(count)[None], "bias": np.zeros(1)}
    if mean:
        arrays["mean"] = np.zeros(count)
    arrays = {name: array.astype(accumulate) for name, array in arrays.items()}
    columns = tuple(Column(name=name) for name in encoding.features)
    return LinearModel.from_arrays(arrays, dtype=np.dtype(dtype)).with_columns(
        columns, (Column(name="price"),)
    )


def asked(data: bytes, rows: list[dict[str, Any]], dtype: str) -> list[float]:
    session = onnxruntime.InferenceSession(data)
    feed = {}
    for given in session.get_inputs():
        kind = object if given.type == "tensor(string)" else dtype
        feed[given.name] = np.array([[row[given.name]] for row in rows], kind).reshape(-1, 1)
    (prediction,) = session.run(None, feed)
    assert prediction.dtype == dtype
    assert prediction.shape == (len(rows), 1)
    return prediction[:, 0].tolist()


def answer(
    cells: dict[str, Any], pair: tuple[str, str] = PAIRS[0], encoding: Encoding = ENCODING
) -> float:
    data = onnx_columns.write(model_of(encoding, *pair), encoding)
    return asked(data, [PLAIN | cells], pair[0])[0]


def weight_of(*features: str, encoding: Encoding = ENCODING) -> float:
    return sum(2.0 ** encoding.features.index(name) for name in features)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("mean", [False, True], ids=["folded", "centred"])
def test_every_cell_becomes_what_the_encoding_says(pair, mean):
    cells = {
        ("kind", "flat"): 0,
        ("kind", "häuser"): weight_of("kind[häuser]"),
        ("kind", "villa"): weight_of("kind[villa]"),
        ("age", 3.0): 3 * weight_of("age"),
        ("age", np.nan): 8 * weight_of("age") + weight_of("age[missing]"),
        ("area", -2.0): -2 * weight_of("area"),
        ("street", "a"): weight_of("street[a]"),
        ("street", ""): weight_of("street[missing]"),
        ("street", "N/A"): weight_of("street[missing]"),
        ("street", "c"): 0,
        ("new", "true"): weight_of("new[true]"),
        ("new", "False"): weight_of("new[false]"),
        ("new", "NA"): 0,
        ("rooms", "7"): weight_of("rooms[7]"),
        ("rooms", "7.0"): weight_of("rooms[7]"),
        ("fee", np.nan): 0.5 * weight_of("fee"),
        ("listed", 1.5): 1.5 * weight_of("listed"),
    }
    refused = {
        ("kind", "castle"): np.nan,
        ("kind", ""): np.nan,
        ("kind", "villa "): np.nan,
        ("kind", "ha\u0308user"): np.nan,
        ("area", np.nan): np.nan,
        ("new", "yes"): np.nan,
        ("rooms", "07"): np.nan,
        ("listed", np.nan): np.nan,
    }
    expected = cells | refused
    data = onnx_columns.write(model_of(ENCODING, *pair, mean=mean), ENCODING)
    rows = [PLAIN | {name: cell} for name, cell in expected]
    np.testing.assert_array_equal(asked(data, rows, pair[0]), list(expected.values()))
    # One row at a time, and none: as in a batch.
    for row, value in zip(rows, expected.values(), strict=True):
        np.testing.assert_array_equal(asked(data, [row], pair[0]), [value])
    assert asked(data, [], pair[0]) == []


def test_it_answers_as_the_table_encoded_here():
    """By the encoder that predicting uses, for whatever that takes; the columns all at once."""
    cells = {
        "kind": ["flat", "häuser", "villa", None],
        "age": [1.0, None],
        "area": [2.0, None],
        "street": ["a", "b", None, "elsewhere"],
        "new": ["true", "FALSE", None],
        "rooms": ["2.0", "7"],
        "fee": [None, 3.0],
    }
    rows = [dict(zip(cells, row, strict=True)) for row in itertools.product(*cells.values())]
    table = {name: [row[name] for row in rows] for name in cells}
    listed = ["2020-01-03"] * len(rows)
    (batch,) = table_of(table | {"listed": listed}, "rows").batches(ENCODING)
    model = model_of(ENCODING, "float64", "float64")
    texts = {"kind", "street", "new", "rooms"}
    given = [
        {
            name: ("" if name in texts else np.nan) if value is None else value
            for name, value in (row | {"listed": 2.0}).items()
        }
        for row in rows
    ]
    np.testing.assert_array_equal(
        asked(onnx_columns.write(model, ENCODING), given, "float64"),
        (batch.numbers() * model.weight).sum(axis=1),
    )


@pytest.mark.parametrize("versions", [(9, 4), (13, 7), (21, 10)])
def test_it_can_be_of_other_versions(versions):
    opset, ir = versions
    model = model_of(ENCODING, "float32", "float32")
    data = onnx_columns.write(model, ENCODING, opset_version=opset, ir_version=ir)
    proto = onnx_graph.check(data)
    assert proto.ir_version == ir
    assert {entry.domain: entry.version for entry in proto.opset_import} == {
        "": opset,
        "ai.onnx.ml": 2,
    }
    assert asked(data, [PLAIN | {"kind": "villa"}], "float32") == [weight_of("kind[villa]")]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_what_is_read_back_is_the_model_and_the_encoding(pair):
    model = model_of(ENCODING, *pair, mean=True)
    data = onnx_columns.write(model, ENCODING)
    assert onnx_columns.write(model, ENCODING) == data
    proto = onnx_graph.check(data)
    said = stated(onnx_graph.read_metadata(proto))
    assert said.encoding == ENCODING
    found = onnx_columns.read(proto, said, ENCODING)
    assert found is not None
    assert found.same_function(model)
    assert onnx_columns.read(proto, said, None) is None
    encoder = next(node for node in proto.graph.node if node.op_type == "LabelEncoder")
    for attribute in encoder.attribute:
        if attribute.name == "keys_strings":
            attribute.strings[1], attribute.strings[2] = attribute.strings[2], attribute.strings[1]
    assert onnx_columns.read(proto, said, ENCODING) is None


def test_a_column_may_have_the_name_of_anything_inside():
    names = ["prediction", "prediction_", "weight", "features", "linexport.0.code", "a b", "ö"]
    encoding = onnx_columns.encoding_of(names)
    model = model_of(encoding, "float64", "float64")
    data = onnx_columns.write(model, encoding)
    row = {name: float(place) for place, name in enumerate(names)}
    assert asked(data, [row], "float64") == [sum(2.0**p * p for p in range(len(names)))]
    output = onnxruntime.InferenceSession(data).get_outputs()[0]
    assert output.name == "prediction__"


def test_what_makes_no_feature_is_refused():
    encoding = Encoding(
        columns=(
            NumberColumn(name="area"),
            CategoryColumn(name="kind", levels=("flat",), reference="flat"),
        )
    )
    model = model_of(encoding, "float32", "float32")
    with pytest.raises(ExportError, match="'kind' has one level, and makes no feature: leave it"):
        onnx_columns.write(model, encoding)
    with pytest.raises(ExportError, match="makes other features than the model has"):
        onnx_columns.write(model, ENCODING)


def test_a_file_of_its_name_is_of_its_format():
    assert formats.of_path("some/model-columns.onnx").name == "onnx-columns"
    assert formats.of_path("some/model.onnx").name == "onnx"
    assert formats.of_path("some/other.onnx").name == "onnx"


def test_the_graph_answers_as_scikit_learns_pipeline(tmp_path: Path):
    random = np.random.default_rng(3)
    n = 300
    frame = pd.DataFrame(
        {
            "sex": random.choice(["male", "female"], n),
            "port": random.choice(["S", "C", "Q"], n, p=[0.7, 0.2, 0.1]),
            "age": np.round(random.gamma(6, 5, n), 1),
            "fare": np.round(random.lognormal(3, 1, n), 2),
        }
    )
    frame["score"] = frame.age * 0.3 + (frame.sex == "male") * 4 + random.normal(0, 1, n)
    frame.loc[random.random(n) < 0.2, "age"] = np.nan
    theirs = make_pipeline(
        ColumnTransformer(
            [
                ("sex", OneHotEncoder(drop=["female"]), ["sex"]),
                ("port", OneHotEncoder(drop=["S"], handle_unknown="ignore"), ["port"]),
                ("age", SimpleImputer(strategy="median", add_indicator=True), ["age"]),
                ("fare", "passthrough", ["fare"]),
            ]
        ),
        LinearRegression(),
    )
    theirs.fit(frame.drop(columns="score"), frame["score"])
    rows = linexport.read_data(
        frame,
        targets="score",
        categorical="auto",
        reference={"sex": "female", "port": "S"},
        missing=["age=median"],
        missing_indicator=True,
        unknown="reference",
    )
    config = linexport.ExportConfig(dtype="float64", formats=("onnx-columns",), probe_rows=64)
    done = linexport.export(linexport.train(rows), tmp_path / "bundle", config=config)
    assert done.certificate.verdict == "proven"
    session = onnxruntime.InferenceSession(tmp_path / "bundle" / "model-columns.onnx")
    asked_of = pd.concat(
        [frame, frame.head(5).assign(sex="female", port="Southampton")], ignore_index=True
    ).drop(columns="score")
    feed: dict[str, NDArray[Any]] = {
        name: asked_of[[name]].to_numpy(object if name in ("sex", "port") else np.float64)
        for name in asked_of
    }
    (ours,) = session.run(None, feed)
    with pytest.warns(UserWarning, match="unknown categories"):
        expected = theirs.predict(asked_of)
    np.testing.assert_allclose(ours[:, 0], expected, rtol=CLOSE)


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA], ids=repr)
def test_onnxruntime_takes_what_is_no_text_by_the_word_for_it(nothing):
    """No tensor of strings holds it: it is written out, as a word that means a missing value."""
    assert answer({"street": nothing}) == weight_of("street[missing]")
    assert np.isnan(answer({"kind": nothing}))


def test_the_operators_are_those_that_the_page_names():
    model = model_of(ENCODING, "float32", "float64", mean=True)
    proto = onnx.ModelProto()
    proto.ParseFromString(onnx_columns.write(model, ENCODING))
    assert {node.op_type for node in proto.graph.node} == {
        *("LabelEncoder", "Equal", "Cast", "Not", "Div", "IsNaN", "Where", "Concat", "Sub", "Gemm"),
    }
