"""LinearRegressor in scikit-learn's own checks and tools, against its own LinearRegression."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import linexport
from linexport.errors import ConfigError
from linexport.sklearn import LinearRegressor


@parametrize_with_checks([LinearRegressor(), LinearRegressor(alpha=0.5, fit_intercept=False)])
def test_it_passes_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    table = pd.DataFrame(rng.normal(size=(60, 3)), columns=["area", "age", "floor"])
    table["price"] = table @ [3.0, -0.5, 1.0] + 7 + rng.normal(scale=0.3, size=60)
    return table


FEATURES = ["area", "age", "floor"]
ONNX = linexport.ExportConfig(formats=("onnx",))


@pytest.mark.parametrize("given", [{"alpha": -1}, {"fit_intercept": "no"}, {"rank_deficient": "x"}])
def test_a_setting_that_cannot_be_is_told_by_the_name_it_has_here(table, given):
    with pytest.raises(ConfigError, match=rf"^{next(iter(given))} must be "):
        LinearRegressor(**given).fit(table[FEATURES], table["price"])


@pytest.mark.parametrize("alpha", [0.0, 2.5])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_it_finds_what_ridge_finds(table, alpha, fit_intercept):
    ours = LinearRegressor(alpha=alpha, fit_intercept=fit_intercept)
    theirs = Ridge(alpha=alpha, fit_intercept=fit_intercept, solver="svd")
    for model in (ours, theirs):
        model.fit(table[FEATURES], table["price"])
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-12)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        ours.predict(table[FEATURES]), theirs.predict(table[FEATURES]), rtol=1e-12
    )
    assert list(ours.feature_names_in_) == FEATURES
    assert ours.fit_.model.target_names == ("price",)


def test_dependent_features_get_the_shortest_coefficients(table):
    twice = np.column_stack([table[FEATURES], table["area"] + table["age"]])
    ours, theirs = LinearRegressor().fit(twice, table["price"]), LinearRegression()
    theirs.fit(twice, table["price"])
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-10)
    with pytest.raises(linexport.TrainingError, match="linearly dependent"):
        LinearRegressor(rank_deficient="error").fit(twice, table["price"])


def test_standard_errors_are_those_of_the_textbook_formula(table):
    model = LinearRegressor().fit(table[FEATURES], table["price"])
    design = np.column_stack([np.ones(len(table)), table[FEATURES]])
    residuals = table["price"] - model.predict(table[FEATURES])
    variance = residuals @ residuals / (len(table) - 4)
    expected = np.sqrt(variance * np.diag(np.linalg.inv(design.T @ design)))
    np.testing.assert_allclose([model.intercept_stderr_, *model.stderr_], expected, rtol=1e-9)


def test_several_targets_keep_their_shape(table):
    model = LinearRegressor().fit(table[["area", "age"]], table[["floor", "price"]])
    assert model.coef_.shape == model.stderr_.shape == (2, 2)
    assert model.intercept_.shape == (2,)
    assert model.predict(table[["area", "age"]]).shape == (60, 2)


def test_it_is_chosen_among_settings_and_weights_reach_it(table):
    with sklearn.config_context(enable_metadata_routing=True):
        model = LinearRegressor().set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        weight = np.arange(1.0, 61.0)
        search = GridSearchCV(model, {"alpha": [0.0, 1e3]}, cv=4)
        search.fit(table[FEATURES], table["price"], sample_weight=weight)
    assert search.best_params_ == {"alpha": 0.0}
    expected = LinearRegression().fit(table[FEATURES], table["price"], sample_weight=weight)
    np.testing.assert_allclose(search.best_estimator_.coef_, expected.coef_, rtol=1e-12)


def test_it_works_in_a_pipeline_under_cross_validation(table):
    scores = [
        cross_val_score(
            make_pipeline(StandardScaler(), model), table[FEATURES], table["price"], cv=5
        )
        for model in (LinearRegressor(), LinearRegression())
    ]
    np.testing.assert_allclose(*scores, rtol=1e-12)


def test_it_exports_a_proven_bundle_under_the_tables_names(table, tmp_path):
    model = LinearRegressor().fit(table[FEATURES], table["price"])
    exported = model.export(tmp_path / "bundle", config=linexport.ExportConfig(formats=("onnx",)))
    assert exported.certificate.verdict == "proven"
    predicted = linexport.load(tmp_path / "bundle").predict(table[FEATURES])
    np.testing.assert_allclose(
        predicted[:, 0], model.predict(table[FEATURES]), rtol=1e-5, atol=1e-5
    )


def test_weights_of_another_shape_are_refused(table):
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(rows,\)"):
        LinearRegressor().fit(table[FEATURES], table["price"], sample_weight=np.ones((60, 1)))


def test_rows_in_portions_are_fitted_as_all_at_once(table):
    order = np.random.default_rng(0).permutation(60)
    model, other = LinearRegressor(), LinearRegressor()
    for rows in (slice(0, 2), slice(2, 3), slice(3, 60)):
        model = pickle.loads(pickle.dumps(model))
        model.partial_fit(table[FEATURES][rows], table["price"][rows])
    for rows in np.array_split(order, 7):
        other.partial_fit(table[FEATURES].iloc[rows], table["price"].iloc[rows])
    assert model.coef_.tobytes() == other.coef_.tobytes()
    assert model.stderr_.tobytes() == other.stderr_.tobytes()
    whole = LinearRegressor().fit(table[FEATURES], table["price"])
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-13)
    np.testing.assert_allclose(model.stderr_, whole.stderr_, rtol=1e-10)
    assert model.fit_.record.rows == 60


def test_weights_reach_portions(table):
    weight = np.arange(1.0, 61.0)
    model = LinearRegressor(alpha=0.5)
    for rows in (slice(0, 30), slice(30, 60)):
        model.partial_fit(table[FEATURES][rows], table["price"][rows], weight[rows])
    whole = LinearRegressor(alpha=0.5).fit(table[FEATURES], table["price"], weight)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-13)


def test_rows_of_fit_are_not_lost_in_silence(table):
    model = LinearRegressor().fit(table[FEATURES], table["price"])
    with pytest.warns(UserWarning, match="leaves them out and begins anew"):
        model.partial_fit(table[FEATURES], table["price"])
    assert model.fit_.record.rows == 60


def test_the_estimator_itself_is_a_source_that_keeps_its_statistics(table, tmp_path):
    model = LinearRegressor().fit(table[FEATURES], table["price"])
    exported = linexport.export(model, tmp_path / "b", config=ONNX)
    assert exported.record.statistics == model.fit_.record.statistics
    unnamed = LinearRegressor().fit(table[FEATURES].to_numpy(), table["price"].to_numpy())
    read = linexport.read_model(unnamed, features=FEATURES, targets=["price"])
    assert read.model.feature_names == tuple(FEATURES)


def test_a_pipeline_that_holds_it_exports(table, tmp_path):
    pipeline = make_pipeline(StandardScaler(), LinearRegressor())
    pipeline.fit(table[FEATURES], table["price"])
    exported = linexport.export(pipeline, tmp_path / "b", config=ONNX, ranges=table)
    assert exported.certificate.verdict == "proven"
    predicted = linexport.load(tmp_path / "b").predict(table[FEATURES])[:, 0]
    np.testing.assert_allclose(predicted, pipeline.predict(table[FEATURES]), rtol=1e-5)


def test_a_class_derived_from_it_is_not_taken(table):
    class Doubled(LinearRegressor):
        def predict(self, X):  # noqa: N803
            return 2 * super().predict(X)

    with pytest.raises(linexport.ModelError, match="not a class of scikit-learn itself"):
        linexport.read_model(Doubled().fit(table[FEATURES], table["price"]))
