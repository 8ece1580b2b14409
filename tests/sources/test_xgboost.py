"""XGBoost's linear booster, and what its trees and LightGBM's are refused with."""

import json

import lightgbm
import numpy as np
import pytest
import xgboost
from agreement import assert_agrees
from sklearn.ensemble import VotingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import linexport
from linexport.errors import ArtifactError, ModelError
from linexport.numerics import FLOAT32


def fitted(rows, target, **settings):
    settings = {"booster": "gblinear", "n_estimators": 20, **settings}
    return xgboost.XGBRegressor(**settings).fit(rows, target)


@pytest.fixture
def scaled(rows):
    return ((rows - rows.mean(axis=0)) / rows.std(axis=0)).astype(np.float32).astype(np.float64)


@pytest.mark.parametrize(
    "objective",
    ["reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:squaredlogerror",
     "reg:quantileerror"],
)  # fmt: skip
def test_a_linear_booster_predicts_the_same(scaled, target, tmp_path, objective):
    settings = {"quantile_alpha": 0.5} if objective == "reg:quantileerror" else {}
    if objective == "reg:pseudohubererror":  # whose steps diverge where its curvature vanishes
        settings = {"huber_slope": 10}
    positive = (target - target.min()) / np.ptp(target) + 1
    model = fitted(scaled, positive, objective=objective, **settings)
    assert_agrees(model, model.predict(scaled), scaled, tmp_path / "bundle", precision=FLOAT32)
    path = tmp_path / "model.json"
    model.save_model(path)
    read = linexport.read_model(path)
    assert read.model.same_numbers(linexport.read_model(model.get_booster()).model)
    assert read.source == "XGBoost gblinear"


def test_several_targets_and_names(scaled, targets, tmp_path):
    with pytest.raises(ModelError, match=r"adds the first to all: fit with base_score=0.0"):
        linexport.read_model(fitted(scaled, targets))
    model = fitted(scaled, targets, base_score=0.5)
    expected = model.predict(scaled)
    model.get_booster().feature_names = ["c", "a", "b"]
    exported = assert_agrees(model, expected, scaled, tmp_path / "bundle", precision=FLOAT32)
    assert exported.model.feature_names == ("c", "a", "b")


def test_what_is_not_affine_is_refused(scaled, target):
    with pytest.raises(ModelError, match="gbtree predicts with trees"):
        linexport.read_model(fitted(scaled, target, booster="gbtree"))
    with pytest.raises(ModelError, match="objective count:poisson does not predict the sum itself"):
        linexport.read_model(fitted(scaled, abs(target), objective="count:poisson"))
    with pytest.raises(ModelError, match="XGBRegressor is not fitted"):
        linexport.read_model(xgboost.XGBRegressor(booster="gblinear"))
    for linear_tree in (False, True):
        model = lightgbm.LGBMRegressor(linear_tree=linear_tree, n_estimators=2, verbose=-1)
        for each in (model.fit(scaled, target), model.booster_):
            with pytest.raises(ModelError, match="predicts with trees, which are not affine"):
                linexport.read_model(each)


class Exponential(xgboost.XGBRegressor):
    def predict(self, X, **settings):  # noqa: N803
        return np.exp(super().predict(X, **settings))


def test_what_may_predict_otherwise_is_refused(scaled, target):
    derived = Exponential(booster="gblinear", n_estimators=2).fit(scaled, target)
    with pytest.raises(ModelError, match=r"Exponential is not a class of XGBoost itself, .* file"):
        linexport.read_model(derived)
    model = fitted(scaled, target)
    for owner in (model.get_booster(), model):
        owner.predict = lambda x: np.zeros(len(x))
        with pytest.raises(ModelError, match=f"{type(owner).__name__}.predict was replaced on"):
            linexport.read_model(owner)


def test_a_linear_booster_behind_steps_and_beside_others(rows, target, tmp_path):
    steps = StandardScaler(), xgboost.XGBRegressor(booster="gblinear", n_estimators=20)
    model = make_pipeline(*steps).fit(rows, target)
    exported = assert_agrees(
        model, model.predict(rows), rows, tmp_path / "bundle", precision=FLOAT32
    )
    assert exported.origin.source == "scikit-learn Pipeline of StandardScaler, XGBRegressor"
    voting = VotingRegressor([("a", LinearRegression()), ("b", model)]).fit(rows, target)
    assert_agrees(voting, voting.predict(rows), rows, tmp_path / "voting", precision=FLOAT32)


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (xgboost.XGBRegressor(n_estimators=2), "gbtree predicts with trees"),
        (lightgbm.LGBMRegressor(n_estimators=2, verbose=-1), "LGBMRegressor predicts with trees"),
        (xgboost.XGBRFRegressor(n_estimators=2), "XGBRFRegressor is none of the regressors"),
    ],
)
def test_trees_behind_steps_are_refused(rows, target, last, said):
    with pytest.raises(ModelError, match=said):
        linexport.read_model(make_pipeline(StandardScaler(), last).fit(rows, target))


def test_a_dump_lacks_the_base_score_and_is_refused(scaled, target, tmp_path):
    model = fitted(scaled, target)
    (text,) = model.get_booster().get_dump(dump_format="json")
    path = tmp_path / "dump.json"
    path.write_text(text)
    for source, error in ((json.loads(text), ModelError), (path, ArtifactError)):
        with pytest.raises(error, match=r"without base_score. Write booster.save_model"):
            linexport.read_model(source)


@pytest.mark.parametrize(
    "change",
    [
        lambda learner: learner.pop("objective"),
        lambda learner: learner["gradient_booster"].pop("model"),
        lambda learner: learner["gradient_booster"]["model"]["weights"].pop(),
        lambda learner: learner["learner_model_param"].update(base_score="[1,2,3]"),
        lambda learner: learner["learner_model_param"].update(num_feature="x"),
        lambda learner: learner.update(feature_names=["a"]),
    ],
)
def test_a_damaged_file_says_so(scaled, target, tmp_path, change):
    document = json.loads(fitted(scaled, target).get_booster().save_raw("json"))
    change(document["learner"])
    path = tmp_path / "model.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ArtifactError, match=r"as XGBoost's save_model writes it|do not fit"):
        linexport.read_model(path)
