"""Pipelines that encode text, as skl2onnx writes them, are read as the pipelines themselves."""

import warnings

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from agreement import magnitude
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import (
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso, LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    RobustScaler,
    StandardScaler,
)

import linexport
from linexport import ExportConfig
from linexport.encoding import CategoryColumn, NumberColumn
from linexport.errors import ArtifactError, DataError, ModelError
from linexport.numerics._bounds import FLOAT32, gamma

ROWS = 60


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    return pd.DataFrame({
        "area": rng.integers(20, 200, ROWS).astype(float),
        "age": np.where(np.arange(ROWS) % 7 == 3, np.nan, rng.integers(0, 90, ROWS)),
        "kind": np.array(["flat", "house", "loft"])[np.arange(ROWS) % 3],
        "heating": (["gas", "oil", "gas", np.nan, "oil", "gas"] * ROWS)[:ROWS],
        "new": np.array(["no", "yes"])[np.arange(ROWS) % 2],
        "zone": np.arange(ROWS) % 4,
    })  # fmt: skip


def fitted(parts, frame, regressor=None):
    kinds = frame["kind"].map({"flat": 1.0, "house": 5.0, "loft": -2.0})
    target = 3 * frame["area"] + kinds + 0.7 * frame["age"].fillna(50) + frame["zone"] ** 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make_pipeline(ColumnTransformer(parts), regressor or Ridge(0.5)).fit(frame, target)


def inputs(frame, numbers):
    kinds = {"f": numbers, "i": Int64TensorType}
    return [
        (name, kinds.get(column.dtype.kind, StringTensorType)([None, 1]))
        for name, column in frame.items()
    ]


def one_hot(columns=("kind",), **settings):
    return ("levels", OneHotEncoder(**settings), list(columns))


def filled(columns=("age",), *steps, **settings):
    return ("filled", make_pipeline(SimpleImputer(**settings), *steps), list(columns))


AREA = ("area", "passthrough", ["area"])
SCALED = ("area", StandardScaler(), ["area"])
SEVERAL = ["kind", "new", "zone"]
PIPELINES = {
    "all levels": [one_hot(), AREA],
    "all levels, behind a number": [AREA, one_hot(SEVERAL)],
    "unknown are zeros": [one_hot(handle_unknown="ignore"), AREA],
    "first": [one_hot(SEVERAL, drop="first"), SCALED],
    "first, unknown are zeros": [one_hot(SEVERAL, drop="first", handle_unknown="ignore"), AREA],
    "if binary": [one_hot(SEVERAL, drop="if_binary"), AREA],
    "if binary, unknown are zeros": [
        AREA, one_hot(SEVERAL, drop="if_binary", handle_unknown="ignore")
    ],
    "chosen": [one_hot(["kind", "zone"], drop=np.array(["house", 2], object)), AREA],
    "whole numbers": [one_hot(["zone"]), SCALED],
    "missing is a level": [AREA, one_hot(["heating"])],
    "two encoders": [one_hot(["new"], drop="first"), ("z", OneHotEncoder(), ["zone"]), AREA],
    "whole levels": [one_hot(SEVERAL, dtype=np.int64), AREA],
}  # fmt: skip
ROUNDED = {
    "scalers of each kind": [
        ("n", RobustScaler(), ["area"]), ("z", MinMaxScaler(), ["zone"]), one_hot(["new"])
    ],
    "mean": [filled(["area", "age"]), one_hot(handle_unknown="ignore")],
    "median": [one_hot(drop="first"), filled(strategy="median"), AREA],
    "most frequent": [filled(strategy="most_frequent"), one_hot(["zone"]), SCALED],
    "constant": [filled(["age"], MinMaxScaler(), strategy="constant", fill_value=-1), one_hot()],
    "mean, scaled": [filled(["area", "age"], StandardScaler()), one_hot()],
    "mean, scaled twice": [one_hot(), filled(["age", "area"], StandardScaler(), MaxAbsScaler())],
}  # fmt: skip
"""Filled and whole numbers, which skl2onnx writes in float32 whatever the input."""
TWICE = {"a column twice": [AREA, ("again", MinMaxScaler(), ["area"]), one_hot()]}
"""Which the file of a pipeline can be read with, where the pipeline would ask for two names."""
REGRESSORS = [Ridge(0.5), LinearRegression(), Lasso(0.1)]


def scaling(model):
    """Return what scalers say of each feature, NaN where they say nothing."""
    return np.array([(each.mean, each.standard_deviation) for each in model.features], np.float64)


def assert_same_model(read, own):
    """Each number of a file in float32 is rounded, and so is one that scalers are put into."""
    assert read.encoding.features == own.encoding.features
    for column, same in zip(read.encoding.columns, own.encoding.columns, strict=True):
        if isinstance(column, NumberColumn) and column.fill is not None:
            assert isinstance(same, NumberColumn)
            assert column == NumberColumn(name=same.name, fill=float(np.float32(same.fill)))
        else:
            assert column == same
    assert read.model.feature_names == own.model.feature_names
    rounded = gamma(8, unit_roundoff=FLOAT32.unit_roundoff)
    np.testing.assert_allclose(scaling(read.model), scaling(own.model), rtol=rounded, atol=0)
    np.testing.assert_allclose(read.model.weight, own.model.weight, rtol=rounded, atol=0)
    size = magnitude(own.model, np.full((1, own.model.num_features), 100.0)).max()
    np.testing.assert_allclose(read.model.bias, own.model.bias, rtol=0, atol=rounded * size)


@pytest.mark.parametrize("numbers", [FloatTensorType, DoubleTensorType])
@pytest.mark.parametrize("name", PIPELINES | ROUNDED)
def test_model_and_encoding_are_those_of_the_pipeline(frame, name, numbers):
    pipeline = fitted((PIPELINES | ROUNDED)[name], frame)
    proto = to_onnx(pipeline, initial_types=inputs(frame, numbers))
    read, own = linexport.read_model(proto), linexport.read_model(pipeline)
    assert_same_model(read, own)
    if numbers is DoubleTensorType and name in PIPELINES:  # nothing is rounded
        assert read.encoding == own.encoding
        np.testing.assert_array_equal(read.model.weight, own.model.weight)
        np.testing.assert_array_equal(read.model.bias, own.model.bias)


def predicted_by(proto, rows):
    """What onnxruntime predicts; it is given no cell that is missing, but for numbers."""
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(string)": object}
    feeds = {
        value.name: rows[[value.name]].to_numpy().astype(kinds[value.type])
        for value in session.get_inputs()
    }
    return session.run(None, feeds)[0].ravel()


@pytest.mark.parametrize("regressor", REGRESSORS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("name", PIPELINES | ROUNDED | TWICE)
def test_a_bundle_predicts_from_the_table_as_the_file(frame, tmp_path, name, regressor):
    pipeline = fitted((PIPELINES | ROUNDED | TWICE)[name], frame, regressor)
    proto = to_onnx(pipeline, initial_types=inputs(frame, FloatTensorType))
    rows = frame
    if "zeros" in name or name == "mean":
        rows = frame.assign(kind=["castle", "a flat", *frame["kind"][2:]])
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    config = ExportConfig(formats=("onnx",), dtype="float64", probe_rows=8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", linexport.errors.AssumedRangeWarning)
        exported = linexport.export(path, tmp_path / "bundle", config=config)
    assert exported.certificate.verdict == "proven"
    expected = predicted_by(proto, rows)
    predicted = linexport.load(tmp_path / "bundle").predict(rows).ravel()
    model = exported.origin.model
    features = np.full((1, model.num_features), 200.0)  # the largest cell
    # The file rounds in float32, as often as there are features, and as the scalers do.
    bound = magnitude(model, features).max() * gamma(
        2 * model.num_features + 8, unit_roundoff=FLOAT32.unit_roundoff
    )
    assert np.abs(predicted - expected).max() <= bound
    assert bound < 1e-3 * np.ptp(expected)  # so that a wrong level is seen


def test_what_the_file_refuses_is_refused(frame, tmp_path):
    proto = to_onnx(
        fitted(PIPELINES["all levels"], frame), initial_types=inputs(frame, FloatTensorType)
    )
    rows = frame.assign(kind="castle")
    with pytest.raises(Exception, match="Unknown Category"):
        predicted_by(proto, rows)
    config = ExportConfig(formats=("onnx",), probe_rows=8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", linexport.errors.AssumedRangeWarning)
        linexport.export(proto, tmp_path / "bundle", config=config)
    with pytest.raises(DataError, match="castle"):
        linexport.load(tmp_path / "bundle").predict(rows)


@pytest.mark.parametrize("missing", ["nan", "None"])
def test_a_level_that_says_missing_is_that_of_missing_cells(missing):
    """skl2onnx writes NaN and None as words, as onnxruntime does with the cells it is given."""
    encoding = linexport.read_model(encoder(["a", "b", missing])).encoding
    column = CategoryColumn(name="kind", levels=("a", "b"), reference=None, missing="level")
    assert encoding.columns == (column,)
    assert encoding.features == ("kind[a]", "kind[b]", "kind[missing]")


def encoder(levels, *, keep=None, weights=None, zeros=0, kind=TensorProto.STRING, tail=()):
    """One column, behind a OneHotEncoder; keep chooses among its levels."""
    numbers = {"cats_strings" if isinstance(levels[0], str) else "cats_int64s": levels}
    nodes = [
        helper.make_node(
            "OneHotEncoder", ["kind"], ["hot"], domain="ai.onnx.ml", zeros=zeros, **numbers
        )
    ]
    keep = list(range(len(levels))) if keep is None else keep
    nodes.append(helper.make_node("Gather", ["hot", "keep"], ["kept"], axis=-1))
    nodes.append(helper.make_node("Flatten", ["kept"], ["flat"]))
    nodes.append(helper.make_node("MatMul", ["flat", "weight"], ["y"]))
    weight = np.arange(1.0, len(keep) + 1) if weights is None else np.array(weights)
    return helper.make_model(
        helper.make_graph(
            [*nodes, *tail],
            "encoder",
            [helper.make_tensor_value_info("kind", kind, ["N", 1])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1])],
            [
                numpy_helper.from_array(np.array(keep, np.int64), "keep"),
                numpy_helper.from_array(weight.astype(np.float32)[:, None], "weight"),
            ],
        ),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)],
        ir_version=8,
    )


def test_levels_in_another_order_keep_their_weights():
    read = linexport.read_model(encoder(["a", "b", "c"], keep=[2, 0], weights=[5.0, 7.0]))
    assert read.encoding.columns[0].reference == "b"
    assert read.model.feature_names == ("kind[a]", "kind[c]")
    np.testing.assert_array_equal(read.model.weight, [[7.0, 5.0]])


REFUSED = {
    "several left out": (encoder(["a", "b", "c"], keep=[1]), "leaves out 2 levels of 'kind'"),
    "missing left out": (encoder(["a", "nan"], keep=[0]), "drop another level"),
    "two words": (encoder(["a", "None", "nan"]), "two levels for what is missing"),
    "fractions": (encoder([1, 2], kind=TensorProto.FLOAT), "levels of another type"),
    "twice": (encoder(["a", "a"]), "each of them once"),
    "spaces": (encoder(["a", " b"]), "is another cell to an encoding"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_encoders_that_mean_other_things_are_refused(name):
    proto, said = REFUSED[name]
    with pytest.raises(ModelError, match=said):
        linexport.read_model(proto)


PARTS = {
    "infrequent": ([one_hot(["kind", "zone"], max_categories=2), AREA], "Split"),
    "indicator": ([one_hot(), filled(add_indicator=True)], "coefficient per target and feature"),
    "filled and not": ([filled(["area"]), AREA, one_hot()], "'area' twice"),
    "cut": ([one_hot(["area"]), AREA], "fractions are cut off"),
}


@pytest.mark.parametrize("name", PARTS)
def test_pipelines_of_which_a_file_says_other_things_are_refused(frame, name):
    parts, said = PARTS[name]
    proto = to_onnx(fitted(parts, frame), initial_types=inputs(frame, FloatTensorType))
    with pytest.raises(ModelError, match=said):
        linexport.read_model(proto)


def test_text_that_another_operator_takes_is_refused():
    nodes = [
        helper.make_node(
            "LabelEncoder", ["kind"], ["code"], domain="ai.onnx.ml",
            keys_strings=["a", "b"], values_floats=[1.0, 2.0],
        ),
        helper.make_node("MatMul", ["code", "weight"], ["y"]),
    ]  # fmt: skip
    proto = encoder(["a"])
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    with pytest.raises(ModelError, match="only a OneHotEncoder does here"):
        linexport.read_model(proto)


def test_a_replaced_number_is_not_a_missing_one(frame):
    pipeline = fitted([filled(), one_hot()], frame)
    proto = to_onnx(pipeline, initial_types=inputs(frame, FloatTensorType))
    imputer = next(node for node in proto.graph.node if node.op_type == "Imputer")
    told = next(part for part in imputer.attribute if part.name == "replaced_value_float")
    told.f = 7.0
    with pytest.raises(ModelError, match="replaces 7, which is a number"):
        linexport.read_model(proto)
    told.f = np.inf
    with pytest.raises(ArtifactError, match="is not finite"):
        linexport.read_model(proto)


def test_such_a_file_is_not_run(frame, tmp_path):
    pipeline = fitted(PIPELINES["all levels"], frame)
    onnx.save(
        to_onnx(pipeline, initial_types=inputs(frame, FloatTensorType)), tmp_path / "model.onnx"
    )
    certificate = linexport.verify(tmp_path / "model.onnx", reference=pipeline)
    assert certificate.verdict == "not checked"
    assert "linexport export FILE -o BUNDLE" in str(certificate.not_checked)
