from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

import linexport
from linexport.columns import Column
from linexport.errors import ArtifactError, ConfigError, DataError, ModelError
from linexport.predicting._predictor import Predictor

X = np.array([[1, 2], [3, 4], [-5, 6]])
EXPECTED = [[-5.5, 2.0], [-9.5, 6.0], [-33.5, 0.0]]

ARRAYS = {
    **{str(np.dtype(dtype)): X.astype(dtype) for dtype in "bhilqfdge"},
    "big-endian": X.astype(">f4"),
    "Fortran order": np.asfortranarray(X, dtype=np.float32),
    "reversed": X[::-1].astype(np.float32)[::-1],
    "every second row": np.repeat(X, 2, axis=0)[::2].astype(np.float32),
    "read-only": np.frombuffer(X.astype(np.float32).tobytes(), np.float32).reshape(3, 2),
    "list": X.tolist(),
    "tensor": torch.tensor(X, dtype=torch.float32, requires_grad=True),
    "bfloat16 tensor": torch.tensor(X, dtype=torch.bfloat16),
    "float8 tensor": torch.tensor(X, dtype=torch.float8_e4m3fn),
    "tensor with the negative bit": torch.tensor(X * -1j).conj().imag,
    "integer tensor": torch.tensor(X),
    "masked array that masks nothing": np.ma.masked_array(X, mask=False),
}

TABLES = {
    "polars": pl.DataFrame({"b": X[:, 1], "more": ["u", "v", "w"], "a": X[:, 0]}),
    "polars lazy": pl.LazyFrame({"b": X[:, 1], "a": X[:, 0]}),
    "pandas": pd.DataFrame({"b": X[:, 1], "more": [1, "v", None], "a": X[:, 0]}, index=[5, 5, 6]),
    "pyarrow": pa.table({"b": X[:, 1].astype(np.float32), "a": X[:, 0].astype(np.int8)}),
    "mapping": {"b": X[:, 1], "a": torch.tensor(X[:, 0]), "more": [[1], [2, 3], []]},
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_of_any_type_and_layout_are_predicted(make_predictor, kind, dtype):
    prediction = make_predictor(dtype).predict(ARRAYS[kind])
    assert prediction.dtype == dtype
    assert prediction.tolist() == EXPECTED


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", TABLES)
def test_tables_are_read_by_name(make_predictor, kind, dtype):
    prediction = make_predictor(dtype).predict(TABLES[kind])
    assert prediction.dtype == dtype
    assert prediction.tolist() == EXPECTED


def test_booleans_are_numbers(predictor):
    assert predictor.predict(np.array([[True, False]])).tolist() == [[2.5, 0.0]]
    assert predictor.predict({"a": [True], "b": [False]}).tolist() == [[2.5, 0.0]]


def test_a_mapping_of_numbers_is_one_row(predictor):
    assert predictor.predict({"b": 2, "a": 1}).tolist() == [EXPECTED[0]]


@pytest.mark.parametrize("row", [{"b": 2, "a": True}, {"b": np.float32(2), "a": np.int8(1)}])
def test_numbers_of_one_row_may_be_of_any_type(predictor, row):
    assert predictor.predict(row).tolist() == [EXPECTED[0]]


def test_one_row_is_rounded_once(predictor):
    """Through float64 this integer would be rounded down to halfway, and then to even."""
    odd = 2**60 + 2**36 + 1
    predictor.predict({"a": odd, "b": 0})
    assert predictor.runtime.calls[-1][0, 0] == np.float32(2.0**60 + 2.0**37)


def test_one_row_of_numbers_needs_no_polars(fresh_python):
    code = """
import sys
import numpy as np
from linexport.columns import Column
from linexport.model import LinearModel
from linexport.formats.onnx import OrtEngine
from linexport.predicting import Predictor
from linexport.formats.onnx import graph as onnx_graph

model = LinearModel(weight=np.ones((1, 2), np.float32), bias=np.zeros(1, np.float32))
predictor = Predictor(OrtEngine(onnx_graph.write(model)), model.features, model.targets)
print(predictor.predict({"x2": 3, "x1": 4}), {"torch", "polars"} & {*sys.modules})
"""
    assert fresh_python(code) == "[[7.]] set()"


def test_no_rows_give_no_predictions(predictor):
    for none in (np.empty((0, 2)), TABLES["polars"].clear(), {"a": [], "b": []}):
        prediction = predictor.predict(none)
        assert (prediction.shape, prediction.dtype) == ((0, 2), np.float32)


def test_a_table_of_many_batches_is_one_array(predictor):
    a = np.arange(200_000)
    prediction = predictor.predict(pl.DataFrame({"a": a, "b": 0 * a}))
    assert np.array_equal(prediction[:, 0], 2 * a.astype(np.float32) + np.float32(0.5))
    assert len(predictor.runtime.calls) > 1


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(0.1, np.float32(0.1)), (2**24 + 1, 2.0**24), (2**63 - 1, 2.0**63), (1e-50, 0.0)],
)
def test_numbers_between_those_of_the_dtype_are_rounded(predictor, value, rounded):
    for features in (np.array([[value, 0]]), {"a": [value], "b": [0]}):
        predictor.predict(features)
        assert predictor.runtime.calls[-1][0, 0] == rounded


def test_rows_of_an_array_without_a_value_can_be_predicted_as_nan(predictor):
    for array in (np.array([[np.nan, 1], [3, 4]]), torch.tensor([[np.nan, 1], [3, 4]])):
        prediction = predictor.predict(array, missing="nan")
        np.testing.assert_array_equal(prediction, [[np.nan, np.nan], EXPECTED[1]])


def test_predictions_whose_squares_are_beyond_the_dtype_are_finite(make_predictor):
    huge = np.array([[1e38, 0], [-1e38, 0], [0, 1e37]], np.float32)
    assert np.isfinite(make_predictor(np.float32).predict(huge)).all()


MESSAGES = {
    "one row as a vector": (
        np.ones(2),
        "features must have shape (rows, 2), got (2,); a single row is values.reshape(1, -1).",
    ),
    "too few columns": (np.ones((3, 1)), "features must have shape (rows, 2), got (3, 1)."),
    "three dimensions": (
        np.ones((3, 2, 1)),
        "features must have shape (rows, 2), got (3, 2, 1).",
    ),
    "rows side by side": (
        np.ones((2, 5)),
        "features must have shape (rows, 2), got (2, 5); rows stand below one another: values.T.",
    ),
    "neither a row nor rows": (np.ones(7), "features must have shape (rows, 2), got (7,)."),
    "rows by name in a list": (
        [{"a": 1.0, "b": 2.0}],
        "got mappings; of rows by name make a table: pandas.DataFrame(rows).",
    ),
    "None in a list": (
        [[1.0, None]],
        "got object; numpy.asarray(values, dtype=float) makes numbers of them, and NaN of None.",
    ),
    "a number": (1.5, "features must have shape (rows, 2), got ()."),
    "text": (np.array([["a", "b"]]), "features: It must hold real numbers, got <U1."),
    "complex": (np.ones((1, 2)) * 1j, "features: It must hold real numbers, got complex128."),
    "beyond float32": (
        np.array([[1, 2], [3, -1e39]]),
        "features, column 'b', row 2: -1e+39 is beyond the range of float32; correct it, or use a "
        "float64 model.",
    ),
    "beyond float32 in a table": (
        {"a": [1, 2], "b": [1e39, np.nan]},
        "dict, column 'b', row 1: 1e+39 is beyond the range of float32; correct it, or use a "
        "float64 model.",
    ),
    "a column that is not there": (
        {"a": [1], "B ": [2]},
        "dict: There is no column 'b'; did you mean 'B '?",
    ),
    "text in a table": (
        pl.DataFrame({"a": [1, 2], "b": ["3", "4"]}),
        "polars.DataFrame, column 'b', row 1: '3' is text; give the column as numbers.",
    ),
    "a missing value": (
        pd.DataFrame({"a": [1, 2], "b": [3, None]}),
        "pandas.DataFrame, column 'b', row 2: There is no value; fill it in, or predict such rows "
        "as NaN with missing='nan'.",
    ),
    "infinity in a table": (
        {"a": [1, -np.inf], "b": [3, 4]},
        "dict, column 'a', row 2: -inf is given; correct it.",
    ),
    "infinity in an array": (
        torch.tensor([[1, 2], [np.inf, 3]]),
        "features, column 'a', row 2: inf is given; correct it.",
    ),
    "NaN in an array": (
        np.array([[1, np.nan]]),
        "features, column 'b', row 1: There is no value; fill it in, or predict such rows as NaN "
        "with missing='nan'.",
    ),
    "a prediction beyond float32": (
        np.array([[1, 2], [3e38, 0]], np.float32),
        "features, row 2: The prediction of 'y' is beyond the range of float32; correct the "
        "features, or use a float64 model.",
    ),
    "text in a row": ({"a": 1, "b": "2"}, "dict, column 'b', row 1: '2' is text"),
    "a row that lacks a value": ({"a": 1, "b": None}, "dict, column 'b', row 1: There is no value"),
    "a row beyond float32": ({"a": 1, "b": 1e39}, "dict, column 'b', row 1: 1e+39 is beyond"),
    "a row with an unknown name": ({"a": 1, "B": 2}, "There is no column 'b'; did you mean 'B'?"),
    "a series": (pd.Series([1, 2]), "pandas.Series: It is one-dimensional; give a table"),
    "a masked array": (
        np.ma.masked_array([[-999.0, 2.0]], mask=[[True, False]]),
        "features: It has masked values; fill them, as with .filled(np.nan).",
    ),
    "masked rows": (
        [np.ma.masked_array([-999, 2], mask=[True, False])],
        "features: It has masked values; fill them, as with .filled(np.nan).",
    ),
    "a sparse tensor": (
        torch.ones(1, 2).to_sparse(),
        "features: A tensor of torch.float32 (torch.sparse_coo, on cpu) is no array; make it a "
        "dense one of float32 first.",
    ),
    "a row with an integer that is too large": (
        {"a": 10**400, "b": 1},
        "dict, column 'a': An integer is beyond the range of float64; correct it.",
    ),
    "no columns": ({}, "dict: There is no column 'a'; there are no columns."),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_what_cannot_be_predicted_is_refused_in_one_line(predictor, case):
    features, message = MESSAGES[case]
    with pytest.raises(DataError) as caught:
        predictor.predict(features)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "advised"),
    [
        (np.arange(4.0), "with one feature, each number is a row: values.reshape(-1, 1)."),
        (np.arange(4.0)[None], "rows stand below one another: values.T."),
    ],
)
def test_many_values_of_one_feature_are_refused_with_what_predicts_them(tmp_path, values, advised):
    coefficients = {"intercept": 1.0, "coefficients": {"a": 2.0}}
    config = linexport.ExportConfig(formats=("onnx",))
    linexport.export(coefficients, tmp_path / "bundle", config=config)
    predictor = linexport.load(tmp_path / "bundle")
    with pytest.raises(DataError) as caught:
        predictor.predict(values)
    assert str(caught.value).endswith(advised)
    as_advised = values.T if "values.T" in advised else values.reshape(-1, 1)
    assert predictor.predict(as_advised).ravel().tolist() == [1, 3, 5, 7]


def test_rows_of_a_table_without_a_value_can_be_predicted_as_nan(predictor):
    table = pl.DataFrame({"a": [1, None, 3, -5, 0], "b": [2.0, 2.0, 4.0, 6.0, np.nan]})
    prediction = predictor.predict(table, missing="nan")
    nan = [np.nan, np.nan]
    np.testing.assert_array_equal(prediction, [EXPECTED[0], nan, EXPECTED[1], EXPECTED[2], nan])
    with pytest.raises(ConfigError, match="missing must be 'error' or 'nan', got 'drop'"):
        predictor.predict(table, missing="drop")


@pytest.mark.parametrize("features", [np.array([[1, 1e39]]), {"a": [1], "b": [1e39]}])
def test_what_is_too_large_is_not_missing(predictor, features):
    with pytest.raises(DataError, match="1e\\+39 is beyond the range of float32"):
        predictor.predict(features, missing="nan")


def test_rows_of_named_values_become_an_array(predictor):
    rows = [{"b": 2.0, "a": 1.0}, {"a": None, "b": 4.0}]
    array = predictor.from_rows(rows)
    np.testing.assert_array_equal(array, [[1, 2], [np.nan, 4]])
    assert predictor.from_rows([]).shape == (0, 2)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"a": 1.0}, "features, row 2: There is no column 'b'; a row has 'a', 'b'."),
        ({"a": 1.0, "c": 1.0}, "features, row 2: There is no column 'b'; a row has 'a', 'b'."),
        ({"a": 1, "b": 2, "c": 3}, "features, row 2: 'c' is no feature; a row has 'a', 'b'."),
        (
            {"a": 1, "b": 2, "x" * 1000: 3},
            f"features, row 2: '{'x' * 100}...' is no feature; a row has 'a', 'b'.",
        ),
    ],
)
def test_a_row_of_named_values_has_the_features_and_nothing_else(predictor, row, message):
    with pytest.raises(DataError) as caught:
        predictor.from_rows([{"a": 1.0, "b": 2.0}, row])
    assert (str(caught.value), caught.value.row) == (message, 2)


@pytest.mark.parametrize("path", ["rows.csv", Path("rows.csv")])
def test_a_path_is_no_rows_and_what_predicts_files_is_named(predictor, path):
    with pytest.raises(DataError) as caught:
        predictor.predict(path)
    assert str(caught.value) == (
        "features: It is a path, not rows; to predict a file, use "
        "linexport.predict_table('MODEL', 'rows.csv', 'OUTPUT')."
    )


def test_an_array_has_the_name_that_it_is_given(predictor):
    with pytest.raises(DataError) as caught:
        predictor.predict_array(np.array([[1, 2], [3, np.inf]]), source="the request")
    assert (caught.value.source, caught.value.row, caught.value.column) == ("the request", 2, "b")


def test_float64_models_take_what_float32_cannot_hold(make_predictor):
    prediction = make_predictor(np.float64).predict([[1e39, 0.0]])
    assert prediction[0, 1] == 1e39


def test_names_must_fit_the_model(make_predictor):
    runtime = make_predictor().runtime
    with pytest.raises(ModelError, match="1 feature and 2 target names do not fit a weight of"):
        Predictor(runtime, (Column(name="a"),), (Column(name="y"), Column(name="z")))


def test_a_runtime_that_predicts_another_shape_is_not_believed(make_predictor):
    predictor = make_predictor()
    predictor.runtime.predict = lambda features: np.zeros(len(features), np.float32)
    with pytest.raises(
        ArtifactError, match=r"numpy predicts shape \(3,\) for 3 rows and 2 targets"
    ):
        predictor.predict(X)


def test_predicting_for_arrays_loads_neither_torch_nor_polars(fresh_python):
    code = "import sys; import linexport.predicting._predictor; "
    code += "print({'torch', 'polars'} & {*sys.modules})"
    assert fresh_python(code) == "set()"
