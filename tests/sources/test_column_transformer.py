"""Pipelines that begin with a ColumnTransformer predict as they do from the table's own columns."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from agreement import magnitude
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)

import linexport
from linexport import ExportConfig
from linexport.errors import DataError, ModelError
from linexport.numerics._bounds import FLOAT64, gamma

ROWS = 60


@pytest.fixture
def frame():
    rng = np.random.default_rng(5)
    return pd.DataFrame({
        "area": rng.integers(20, 200, ROWS).astype(float),
        "age": np.where(np.arange(ROWS) % 7 == 3, np.nan, rng.integers(0, 90, ROWS)),
        "kind": np.array(["flat", "house", "loft"])[np.arange(ROWS) % 3],
        "heating": (["gas", "oil", "gas", None, "oil", "gas"] * ROWS)[:ROWS],
        "zone": np.arange(ROWS) % 4,
        "new": np.arange(ROWS) % 3 == 0,
        "note": "x",
    })  # fmt: skip


def fitted(transformer, frame, regressor=None, noise=None):
    kinds = frame["kind"].map({"flat": 1.0, "house": 5.0, "loft": -2.0})
    noise = frame["zone"] ** 2 if noise is None else noise
    target = 3 * frame["area"] + kinds + 0.7 * frame["age"].fillna(50) + noise
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make_pipeline(transformer, regressor or Ridge(0.5)).fit(frame, target)


def one_hot(columns=("kind",), **settings):
    return ("levels", OneHotEncoder(**settings), list(columns))


def constant(fill):
    return SimpleImputer(strategy="constant", fill_value=fill)


AREA = ("area", "passthrough", ["area"])
AGE = ("age", SimpleImputer(), ["age"])
FILLED = SimpleImputer(strategy="most_frequent")
HEATING = ["heating"]
NUMBERS = ["area", "age"]
TAKEN = {
    "first": [one_hot(drop="first"), AREA, AGE],
    "if binary": [one_hot(["kind", "new"], drop="if_binary"), AREA],
    "chosen": [one_hot(["kind", "zone"], drop=np.array(["house", 2], object)), AREA],
    "all levels": [AREA, one_hot(["kind", "zone", "new"])],
    "unknown are zeros": [AREA, one_hot(handle_unknown="ignore", sparse_output=False)],
    "unknown is the first": [one_hot(drop="first", handle_unknown="ignore"), AREA],
    "scaled": [
        ("n", make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()),
         NUMBERS),
        one_hot(),
    ],
    "constant": [
        ("n", make_pipeline(SimpleImputer(strategy="constant", fill_value=-1), MinMaxScaler()),
         NUMBERS),
        ("robust", RobustScaler(), ["zone"]),
    ],
    "most frequent number": [("n", SimpleImputer(strategy="most_frequent"), NUMBERS)],
    "missing is a level": [AREA, one_hot(HEATING)],
    "filled level": [AREA, ("h", make_pipeline(FILLED, OneHotEncoder()), HEATING), one_hot()],
    "filled with the reference": [
        AREA, ("h", make_pipeline(FILLED, OneHotEncoder(drop=["gas"])), HEATING)
    ],
    "filled with the other": [
        AREA, ("h", make_pipeline(FILLED, OneHotEncoder(drop=["oil"])), HEATING)
    ],
    "filled, unknown are zeros": [
        AREA, ("h", make_pipeline(FILLED, OneHotEncoder(handle_unknown="ignore")), HEATING)
    ],
    "scaled levels": [AREA, ("k", make_pipeline(OneHotEncoder(sparse_output=False),
                                               StandardScaler()), ["kind"])],
    "by position": [("n", "passthrough", [0]), ("k", OneHotEncoder(), slice(2, 3))],
    "filled, encoded and scaled": [
        ("h", make_pipeline(constant("gas"), OneHotEncoder(sparse_output=False), MinMaxScaler()),
         HEATING), AREA
    ],
    "taken twice": [AREA, ("again", StandardScaler(), ["area"]), one_hot(), ("k", OneHotEncoder(
        handle_unknown="error"), ["kind"])],
    "components": [("pca", PCA(1), ["area", "zone"]), one_hot()],
    "left out": [AREA, ("gone", "drop", ["kind", "note"])],
}  # fmt: skip


def assert_same(pipeline, rows, path):
    config = ExportConfig(formats=("onnx",), dtype="float64", probe_rows=8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", linexport.errors.AssumedRangeWarning)
        exported = linexport.export(pipeline, path, config=config)
    assert exported.certificate.verdict == "proven"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of scikit-learn, of levels it does not know
        expected = pipeline.predict(rows)
    predicted = linexport.load(path).predict(rows).ravel()
    model = exported.origin.model
    features = np.full((1, model.num_features), 200.0)  # the largest cell
    # Both round in float64, as often as there are features, and as the scalers do.
    bound = (
        2
        * magnitude(model, features).max()
        * gamma(2 * model.num_features + 8, unit_roundoff=FLOAT64.unit_roundoff)
    )
    assert np.abs(predicted - expected).max() <= bound
    assert bound < 1e-3 * np.ptp(expected)  # so that a wrong level is seen
    return exported


@pytest.mark.parametrize("name", TAKEN)
def test_a_bundle_predicts_from_the_table_as_the_pipeline(frame, tmp_path, name):
    pipeline = fitted(ColumnTransformer(TAKEN[name]), frame)
    exported = assert_same(pipeline, frame, tmp_path / "bundle")
    assert exported.manifest.encoding == linexport.read_model(pipeline).encoding


@pytest.mark.parametrize("name", ["unknown are zeros", "unknown is the first"])
def test_unknown_and_missing_levels_are_what_scikit_learn_ignores(frame, tmp_path, name):
    pipeline = fitted(ColumnTransformer(TAKEN[name]), frame)
    rows = frame.assign(kind=["castle", None, "(unknown)", *frame["kind"][3:]])
    assert_same(pipeline, rows, tmp_path / "bundle")


def test_an_unknown_level_is_refused_where_scikit_learn_refuses_it(frame, tmp_path):
    pipeline = fitted(ColumnTransformer(TAKEN["all levels"]), frame)
    assert_same(pipeline, frame, tmp_path / "bundle")
    rows = frame.assign(kind="castle")
    with pytest.raises(ValueError, match="unknown categories"):
        pipeline.predict(rows)
    with pytest.raises(DataError, match="castle"):
        linexport.load(tmp_path / "bundle").predict(rows)


@pytest.mark.parametrize("unknown", ["ignore", "error"])
@pytest.mark.parametrize(("fitted_as", "given_as"), [(int, bool), (bool, int), (bool, float)])
def test_true_and_false_are_1_and_0_as_to_scikit_learn(
    frame, tmp_path, fitted_as, given_as, unknown
):
    levels = [AREA, one_hot(["new"], drop="first", handle_unknown=unknown)]
    frame = frame.assign(new=frame["new"].astype(fitted_as))
    pipeline = fitted(ColumnTransformer(levels), frame, noise=5 * frame["new"])
    rows = frame.assign(new=frame["new"].astype(given_as))
    assert_same(pipeline, rows, tmp_path / "bundle")


@pytest.mark.parametrize(
    "steps", [[], [SimpleImputer(strategy="median")], [constant(500.0)]], ids=str
)
def test_what_a_scaler_says_of_a_column_is_kept_beside_an_encoding(frame, steps):
    scaled = [("a", make_pipeline(*steps, MinMaxScaler()), ["area"]), one_hot()]
    found = linexport.read_model(fitted(ColumnTransformer(scaled), frame)).model.features
    highest = 500.0 if steps and steps[0].fill_value else frame["area"].max()
    assert (found[0].name, found[0].minimum, found[0].maximum) == (
        "area", frame["area"].min(), highest,
    )  # fmt: skip
    assert {(each.minimum, each.maximum) for each in found[1:]} == {(0.0, 1.0)}
    scaled = [one_hot(), ("a", make_pipeline(*steps, StandardScaler()), ["area"])]
    *levels, area = linexport.read_model(fitted(ColumnTransformer(scaled), frame)).model.features
    assert {(each.minimum, each.mean) for each in levels} == {(0.0, None)}
    assert area.mean == frame["area"].mean()
    assert area.standard_deviation == pytest.approx(frame["area"].std(ddof=0), rel=1e-15)


def test_remainder_weights_and_a_scaler_behind_it_all(frame, tmp_path):
    transformer = ColumnTransformer(
        [one_hot(drop="first"), ("gone", "drop", ["note", "heating"]), AGE],
        remainder=StandardScaler(),
        transformer_weights={"levels": 3.0},
        sparse_threshold=0,
    )
    pipeline = fitted(transformer, frame, make_pipeline(StandardScaler(), LinearRegression()))
    exported = assert_same(pipeline, frame, tmp_path / "bundle")
    assert exported.model.feature_names == (
        "kind[house]", "kind[loft]", "age", "area", "zone", "new"
    )  # fmt: skip


REFUSED = {
    "infrequent": ([one_hot(["zone"], max_categories=2)], "infrequent levels"),
    "infrequent if exist": (
        [one_hot(handle_unknown="infrequent_if_exist")], "handle_unknown='infrequent_if_exist'"
    ),
    "twice": ([AREA, ("again", SimpleImputer(), ["area"])], "'area' is taken twice"),
    "other": ([("s", SplineTransformer(), ["area"])], "SplineTransformer is not affine"),
    "filled late": (
        [("n", make_pipeline(StandardScaler(), SimpleImputer()), ["age"])], "as the first step"
    ),
    "another missing value": ([("n", SimpleImputer(missing_values=3), ["zone"])], "not missing"),
    "fraction": ([("z", make_pipeline(MinMaxScaler(), OneHotEncoder()), ["zone"])], "first step"),
    "dropped missing": ([one_hot(HEATING, drop=np.array([np.nan], object))], "drop another level"),
    "two names": (
        [("h", make_pipeline(constant("missing"), OneHotEncoder()), HEATING)], "a level 'missing'"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_mean_the_same_is_refused(frame, name):
    parts, said = REFUSED[name]
    pipeline = fitted(ColumnTransformer(parts), frame)
    with pytest.raises(ModelError, match=said):
        linexport.read_model(pipeline)


def test_fractions_are_no_levels(frame):
    frame["zone"] = frame["zone"] + 0.5
    with pytest.raises(ModelError, match="make it text"):
        linexport.read_model(fitted(ColumnTransformer([one_hot(["zone"])]), frame))


@pytest.mark.parametrize(
    ("level", "said"),
    [
        (2**53, "9007199254740992 of 'zone' is beyond 10^15"),
        (" b", "' b' of 'zone' is another cell to an encoding"),
        ("", "'' of 'zone' is another cell"),
        ("e\u0301", "of 'zone' is another cell"),
    ],
    ids=["large", "space", "empty", "decomposed"],
)
def test_levels_that_are_other_cells_are_told_why(frame, level, said):
    other = "b" if isinstance(level, str) else 0
    frame["zone"] = pd.Series([level, other] * (ROWS // 2), dtype=None)
    with pytest.raises(ModelError, match=re.escape(said)):
        linexport.read_model(fitted(ColumnTransformer([one_hot(["zone"])]), frame, noise=0.0))


def test_what_is_frozen_is_what_is_within(frame, tmp_path):
    parts = ColumnTransformer([AREA, one_hot()]).fit(frame)
    pipeline = fitted(make_pipeline(FrozenEstimator(parts), StandardScaler()), frame)
    assert_same(FrozenEstimator(pipeline), frame, tmp_path / "bundle")


def test_an_encoding_without_names_is_refused(frame):
    rows = frame[["area", "zone"]].to_numpy()
    transformer = ColumnTransformer([("n", SimpleImputer(), [0])])
    pipeline = make_pipeline(transformer, Ridge()).fit(rows, rows[:, 0])
    with pytest.raises(ModelError, match="no names"):
        linexport.read_model(pipeline)
