"""From record batch to record batch; the engines themselves are in tests/examples."""

import pickle

import numpy as np
import pyarrow as pa
import pytest

import linexport
from linexport.errors import ConfigError, DataError, ModelError
from linexport.predicting._arrow import record_batch_predictor

ROWS = pa.record_batch(
    {
        "id": pa.array(["u", None, "w"]).dictionary_encode(),
        "b": pa.array([2, 4, 6], pa.int8()),
        "when": pa.array([0, 1, 2], pa.date32()),
        "a": pa.array([1.0, 3.0, -5.0], pa.float16()),
    }
)
EXPECTED = {"y": [-5.5, -9.5, -33.5], "z": [2.0, 6.0, 0.0]}


@pytest.mark.parametrize("kind", [pa.record_batch, pa.table], ids=["record batch", "table"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kept_columns_are_untouched_and_predictions_follow(make_predictor, dtype, kind):
    rows = kind(dict(zip(ROWS.schema.names, ROWS.columns, strict=True)))
    found = record_batch_predictor(make_predictor(dtype), keep=["when", "id"])(rows)
    assert type(found) is type(rows)
    assert found.schema.names == ["when", "id", "y", "z"]
    assert found.select(["when", "id"]).equals(rows.select(["when", "id"]))
    assert found.schema.field("y").type == pa.from_numpy_dtype(dtype)
    assert found.select(["y", "z"]).to_pydict() == EXPECTED


def test_a_batch_of_no_rows_is_one_of_no_predictions(predictor):
    found = record_batch_predictor(predictor, keep=["id"])(ROWS.slice(0, 0))
    assert found.num_rows == 0
    assert found.schema.names == ["id", "y", "z"]


def test_a_slice_is_predicted_as_the_rows_that_it_shows(predictor):
    found = record_batch_predictor(predictor)(ROWS.slice(1, 2))
    assert found.to_pydict() == {name: values[1:] for name, values in EXPECTED.items()}


def test_a_path_is_no_predictor():
    with pytest.raises(ConfigError, match=r"what linexport\.load\(\.\.\.\) returns, got str"):
        record_batch_predictor("models/textbook")


def test_rows_without_a_value_are_an_error_or_predicted_as_nan(predictor):
    rows = pa.record_batch({"a": [1.0, None], "b": [2, 4]})
    with pytest.raises(DataError, match=r"RecordBatch, column 'a', row 2: There is no value"):
        record_batch_predictor(predictor)(rows)
    found = record_batch_predictor(predictor, missing="nan")(rows)
    assert found.column("y")[0].as_py() == -5.5
    assert np.isnan(found.column("y")[1].as_py())


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"keep": ["y"], "names": ["y", "z"]}, DataError, "keep, column 'y': A column of the"),
        ({"names": ["one"]}, ConfigError, "1 names are given for 2 predictions"),
        ({"interval": 0.95}, ModelError, "There are no prediction intervals"),
        ({"keep": ["a", "a"]}, DataError, "keep, column 'a': It is to be kept twice"),
        ({"missing": "drop"}, ConfigError, "missing must be 'error' or 'nan'"),
    ],
)
def test_what_could_never_be_scored_is_refused_before_a_job_begins(
    predictor, settings, error, said
):
    with pytest.raises(error, match=said):
        record_batch_predictor(predictor, **settings)


def test_columns_that_are_not_there_are_named(predictor):
    with pytest.raises(DataError, match=r"pyarrow.RecordBatch: There is no column 'ID'; did you"):
        record_batch_predictor(predictor, keep=["ID"])(ROWS)
    with pytest.raises(DataError, match="There is no column 'b'"):
        record_batch_predictor(predictor)(ROWS.select(["id", "a"]))


def test_one_column_may_be_kept_by_its_name_alone(predictor):
    found = record_batch_predictor(predictor, keep="when")(ROWS)
    assert found.schema.names == ["when", "y", "z"]


def test_columns_of_one_name_matter_only_where_they_are_wanted(predictor):
    rows = pa.record_batch([*ROWS.columns, ROWS["id"]], names=[*ROWS.schema.names, "id"])
    assert record_batch_predictor(predictor)(rows).to_pydict() == EXPECTED
    with pytest.raises(DataError, match="RecordBatch, column 'id': Two columns have this name"):
        record_batch_predictor(predictor, keep=["id"])(rows)


def test_what_is_no_record_batch_is_refused(predictor):
    with pytest.raises(DataError, match=r"DataFrame is no record batch: give a pyarrow\.Rec"):
        record_batch_predictor(predictor)(ROWS.to_pandas())


def test_it_is_pickled_with_the_model_and_predicts_the_same_bits(tmp_path):
    model = linexport.LinearModel.from_arrays(
        {"weight": np.array([[0.1, -0.7]]), "bias": np.array([0.3])},
        features=["a", "b"],
        targets=["y"],
    )
    linexport.export(model, tmp_path / "bundle")
    score = record_batch_predictor(linexport.load(tmp_path / "bundle"), keep=["id"])
    assert pickle.loads(pickle.dumps(score))(ROWS).equals(score(ROWS))


def test_nothing_else_imports_pyarrow(fresh_python):
    code = "import sys, linexport.pipeline._predict, linexport.predicting._parts; "
    code += "print('pyarrow' in sys.modules)"
    assert fresh_python(code) == "False"
