"""Fitted scikit-learn regressors, every one that is taken and the kinds that are not."""

import warnings

import numpy as np
import pandas as pd
import pytest
from agreement import assert_agrees, fitted
from sklearn import (
    compose,
    ensemble,
    kernel_ridge,
    linear_model as lm,
    neighbors,
    svm,
)
from sklearn.decomposition import KernelPCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PolynomialFeatures,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils import all_estimators

import linexport
from linexport.errors import ModelError
from linexport.sklearn import LinearRegressor
from linexport.sources._regressors import COMBINING, INNER, REGRESSORS

pytestmark = pytest.mark.filterwarnings(
    "ignore:Class PassiveAggressiveRegressor is deprecated:FutureWarning"
)
MULTI_TASK = {name for name in REGRESSORS if name.startswith("MultiTask")}
OWN = {"NuSVR", "PLSRegression", "SVR"}
"""They predict in a way of their own, with the same attributes."""
SETTINGS = {
    "NuSVR": {"kernel": "linear"},
    "SVR": {"kernel": "linear"},
    "TweedieRegressor": {"power": 0},
    "TheilSenRegressor": {"random_state": 0, "max_subpopulation": 200},
}


def regressor(name):
    known = dict(all_estimators(type_filter="regressor"))
    return known[name](**SETTINGS.get(name, {}))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(REGRESSORS - MULTI_TASK | OWN))
def test_every_regressor_predicts_the_same_behind_a_scaler(rows, target, tmp_path, name, dtype):
    estimator = fitted(make_pipeline(StandardScaler(), regressor(name)), rows, target)
    sizes = None
    if name in ("SVR", "NuSVR"):  # libsvm sums over the support vectors instead
        last = estimator[-1]
        scaled = np.abs(estimator[0].transform(rows))
        sums = np.abs(last.dual_coef_) @ np.abs(last.support_vectors_)
        # So many more roundings than the D + 8 that are allowed for, of larger numbers.
        sizes = (scaled @ sums.T) * len(last.support_vectors_)
    if name == "PLSRegression":  # it subtracts twice; the terms do not cancel in between
        sizes = np.abs(estimator[-1]._x_mean) @ np.abs(estimator[-1].coef_).T
    exported = assert_agrees(
        estimator, estimator.predict(rows), rows, tmp_path / "bundle", dtype=dtype, sizes=sizes
    )
    assert exported.manifest.record.settings["source"] == (
        f"scikit-learn Pipeline of StandardScaler, {name}"
    )


@pytest.mark.parametrize("name", sorted(MULTI_TASK | {
    "LinearRegression", "Ridge", "Lasso", "Lars", "OrthogonalMatchingPursuit", "PLSRegression",
}))  # fmt: skip
def test_several_targets_keep_their_order(rows, targets, tmp_path, name):
    estimator = fitted(make_pipeline(RobustScaler(), regressor(name)), rows, targets)
    sizes = None
    if name == "PLSRegression":
        sizes = np.abs(estimator[-1]._x_mean) @ np.abs(estimator[-1].coef_).T
    exported = assert_agrees(
        estimator, estimator.predict(rows), rows, tmp_path / "bundle", sizes=sizes
    )
    assert exported.model.target_names == ("y1", "y2")


@pytest.mark.parametrize(
    "scaler",
    [
        StandardScaler(),
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        StandardScaler(with_mean=False, with_std=False),
        MinMaxScaler(),
        MinMaxScaler(feature_range=(-3, 5)),
        MaxAbsScaler(),
        RobustScaler(),
        RobustScaler(with_centering=False),
        RobustScaler(with_scaling=False),
        RobustScaler(unit_variance=True),
        FunctionTransformer(),
        "passthrough",
        make_pipeline(StandardScaler(), MinMaxScaler(), RobustScaler()),
    ],
    ids=str,
)
def test_every_scaler_is_understood(rows, target, tmp_path, scaler):
    estimator = fitted(make_pipeline(scaler, lm.LinearRegression()), rows, target)
    # Scalers one after another subtract terms that cancel: at most these, in target units.
    sizes = None
    if hasattr(scaler, "steps"):
        raw = linexport.read_model(estimator).model
        sizes = 10 * np.abs(raw.weight).sum()
    assert_agrees(estimator, estimator.predict(rows), rows, tmp_path / "bundle", sizes=sizes)


def test_the_mean_is_the_scalers_and_the_scale_is_in_the_weight(rows, target):
    estimator = make_pipeline(StandardScaler(), lm.Ridge()).fit(rows, target)
    model = linexport.read_model(estimator).model
    scaler, ridge = estimator[0], estimator[1]
    assert np.array_equal(model.weight[0], ridge.coef_ * (1 / scaler.scale_))
    assert np.array_equal(model.bias, [ridge.intercept_])
    assert np.array_equal(model.mean, scaler.mean_)
    assert [column.mean for column in model.features] == scaler.mean_.tolist()
    deviations = [column.standard_deviation for column in model.features]
    assert deviations == pytest.approx(scaler.scale_.tolist(), rel=1e-15)


def test_a_min_max_scaler_becomes_one_that_subtracts_first_and_gives_the_range(rows, target):
    """x * scale_ + min_ would lose the digits of a feature near 1000 that varies by 0.5."""
    estimator = make_pipeline(MinMaxScaler(), lm.Ridge()).fit(rows, target)
    model = linexport.read_model(estimator).model
    spacing = np.spacing(np.abs(estimator[0].min_)) / estimator[0].scale_
    assert (np.abs(model.mean - rows.min(axis=0)) <= spacing).all()
    low, high = rows.min(axis=0).tolist(), rows.max(axis=0).tolist()
    assert [column.minimum for column in model.features] == low
    assert [column.maximum for column in model.features] == high


@pytest.mark.parametrize(
    "estimator",
    [
        lm.RANSACRegressor(random_state=0),
        lm.RANSACRegressor(lm.Ridge(), min_samples=10, random_state=0),
        GridSearchCV(make_pipeline(StandardScaler(), lm.Ridge()), {"ridge__alpha": [0.1, 1]}),
        make_pipeline(StandardScaler(), GridSearchCV(lm.Ridge(), {"alpha": [0.1, 1]})),
        MultiOutputRegressor(lm.HuberRegressor(max_iter=1000)),
        make_pipeline(StandardScaler(), MultiOutputRegressor(svm.LinearSVR())),
        compose.TransformedTargetRegressor(lm.LinearRegression()),
        compose.TransformedTargetRegressor(lm.LinearRegression(), transformer=StandardScaler()),
        compose.TransformedTargetRegressor(lm.LinearRegression(), transformer=MinMaxScaler()),
    ],
    ids=str,
)
def test_what_holds_a_regressor_is_taken_for_it(rows, target, targets, tmp_path, estimator):
    several = "MultiOutput" in str(estimator)
    fitted(estimator, rows, targets if several else target)
    # Restoring a target that was scaled: its mean and range came off before.
    sizes = 4 * np.abs(target).max() if "Transformed" in str(estimator) else None
    assert_agrees(estimator, estimator.predict(rows), rows, tmp_path / "bundle", sizes=sizes)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("name", ["LinearRegression", "Ridge", "SGDRegressor", "LinearSVR"])
def test_without_an_intercept_the_bias_is_exactly_zero(rows, target, tmp_path, name, intercept):
    estimator = make_pipeline(
        StandardScaler(with_mean=False), regressor(name).set_params(fit_intercept=intercept)
    )
    fitted(estimator, rows, target)
    model = linexport.read_model(estimator).model
    assert (model.bias == 0).all() != intercept


def test_names_come_from_the_frame_that_it_was_fitted_to(rows, target):
    frame = pd.DataFrame(rows, columns=["c", "a", "b"])
    estimator = make_pipeline(StandardScaler(), lm.Ridge()).fit(frame, target)
    assert linexport.read_model(estimator).model.feature_names == ("c", "a", "b")
    with pytest.raises(ModelError, match="names its features 'c', 'a', 'b', not 'a', 'b', 'c'"):
        linexport.read_model(estimator, features=["a", "b", "c"])


def test_sparse_coefficients_are_coefficients(rows, target):
    estimator = make_pipeline(StandardScaler(), lm.SGDRegressor(random_state=0)).fit(rows, target)
    dense = linexport.read_model(estimator).model
    estimator[-1].sparsify()
    assert linexport.read_model(estimator).model.same_numbers(dense)


class DerivedRidge(lm.Ridge):
    """Looks like a ridge regression, predicts something else."""

    def predict(self, X):  # noqa: N803
        return np.exp(super().predict(X))


def labels(target):
    return (target > np.median(target)).astype(int)


REFUSED = {
    "a classifier": (lambda x, y: lm.LogisticRegression().fit(x, labels(y)), "is a classifier"),
    "a ridge classifier": (lambda x, y: lm.RidgeClassifier().fit(x, labels(y)), "is a classifier"),
    "a linear classifier": (lambda x, y: svm.LinearSVC().fit(x, labels(y)), "is a classifier"),
    "a log link": (lambda x, y: lm.PoissonRegressor().fit(x, abs(y)), r"predicts exp\(x @ coef_"),
    "a gamma link": (lambda x, y: lm.GammaRegressor().fit(x, abs(y) + 1), r"predicts exp\("),
    "a Tweedie log link": (
        lambda x, y: lm.TweedieRegressor(power=1.5).fit(x, abs(y)), r"predicts exp\(",
    ),
    "a stated log link": (
        lambda x, y: lm.TweedieRegressor(power=0, link="log").fit(x, abs(y)), r"predicts exp\(",
    ),
    "a radial kernel": (lambda x, y: svm.SVR().fit(x, y), "kernel 'rbf' is not affine"),
    "another kernel": (
        lambda x, y: kernel_ridge.KernelRidge(kernel="poly", degree=2).fit(x, y),
        "KernelRidge with the kernel 'poly' of degree 2 is not affine",
    ),
    "a forest": (
        lambda x, y: ensemble.RandomForestRegressor(2).fit(x, y),
        "RandomForestRegressor is none of the regressors",
    ),
    "neighbours": (
        lambda x, y: neighbors.KNeighborsRegressor().fit(x, y), "KNeighborsRegressor is none of",
    ),
    "no regressor": (lambda x, _: StandardScaler().fit(x), "StandardScaler is not a regressor"),
    "text": (
        lambda _, y: make_pipeline(CountVectorizer(), lm.Ridge()).fit(["one", "two"] * 30, y),
        "CountVectorizer is none of",
    ),
    "no last step": (
        lambda x, _: make_pipeline(StandardScaler(), "passthrough").fit(x),
        "ends without a regressor",
    ),
    "a derived class": (
        lambda x, y: DerivedRidge().fit(x, y), "DerivedRidge is not a class of scikit-learn itself",
    ),
    "a clipping scaler": (
        lambda x, y: make_pipeline(MinMaxScaler(clip=True), lm.Ridge()).fit(x, y),
        r"MinMaxScaler\(clip=True\) is not linear",
    ),
    "another clipping scaler": (
        lambda x, y: make_pipeline(MaxAbsScaler(clip=True), lm.Ridge()).fit(x, y),
        r"MaxAbsScaler\(clip=True\) is not linear",
    ),
    "polynomials": (
        lambda x, y: make_pipeline(PolynomialFeatures(2), lm.Ridge()).fit(x, y),
        "PolynomialFeatures is not affine, as it multiplies features",
    ),
    "rows normalised": (
        lambda x, y: make_pipeline(Normalizer(), lm.Ridge()).fit(x, y), "Normalizer is not",
    ),
    "components of a kernel": (
        lambda x, y: make_pipeline(KernelPCA(2, kernel="rbf"), lm.Ridge()).fit(x, y),
        "KernelPCA is none of",
    ),
    "quantiles": (
        lambda x, y: make_pipeline(QuantileTransformer(n_quantiles=9), lm.Ridge()).fit(x, y),
        "QuantileTransformer is not affine, as it ranks",
    ),
    "a function of the features": (
        lambda x, y: make_pipeline(FunctionTransformer(np.cbrt), lm.Ridge()).fit(x, y),
        "FunctionTransformer is not affine, as it applies cbrt",
    ),
    "a class of the user's, named like one of scikit-learn's": (
        lambda x, y: make_pipeline(
            type("FunctionTransformer", (StandardScaler,), {"__module__": "mine", "func": None})(),
            lm.Ridge(),
        ).fit(x, y),
        "FunctionTransformer is not a class of scikit-learn itself",
    ),
    "a function of the target": (
        lambda x, y: compose.TransformedTargetRegressor(
            lm.Ridge(), func=np.cbrt, inverse_func=np.exp, check_inverse=False
        ).fit(x, y),
        "predicts through exp, which is not known to be affine",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_linear_is_refused_with_the_reason(rows, target, case):
    make, said = REFUSED[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        estimator = make((rows - rows.mean(axis=0)) / rows.std(axis=0), target)
    with pytest.raises(ModelError, match=said):
        linexport.read_model(estimator)


@pytest.mark.parametrize(
    "estimator",
    [
        lm.Ridge(),
        make_pipeline(StandardScaler(), lm.Ridge()),
        GridSearchCV(lm.Ridge(), {"alpha": [1]}),
        lm.RANSACRegressor(),
        compose.TransformedTargetRegressor(lm.Ridge()),
        MultiOutputRegressor(lm.Ridge()),
    ],
    ids=str,
)
def test_what_is_not_fitted_says_so(estimator):
    with pytest.raises(ModelError, match=r"is not fitted .*: call fit first"):
        linexport.read_model(estimator)


def test_the_tables_name_classes_of_scikit_learn():
    """And every linear regressor of the release that is tested with is taken or refused by name."""
    known = dict(all_estimators(type_filter="regressor"))
    assert known.keys() >= REGRESSORS
    linear = {
        name for name, kind in known.items() if kind.__module__.startswith("sklearn.linear_model.")
    }
    taken = {*REGRESSORS, *INNER, *COMBINING}
    assert linear - taken == {"GammaRegressor", "PoissonRegressor"}


def replacing(owner, method):
    """Replace a method of an object by one that predicts something else."""
    own = getattr(owner, method)
    setattr(owner, method, lambda x: np.exp(own(x)))


@pytest.mark.parametrize(
    ("place", "method", "said"),
    [
        (lambda pipe: pipe, "predict", "Pipeline.predict was replaced on this object"),
        (lambda pipe: pipe[-1], "predict", "Ridge.predict was replaced on this object"),
        (lambda pipe: pipe[0], "transform", r"take that off with `del model\.transform`"),
    ],
    ids=["Pipeline", "last", "first"],
)
def test_a_method_that_was_replaced_is_refused(rows, target, place, method, said):
    model = make_pipeline(StandardScaler(), lm.Ridge()).fit(rows, target)
    replacing(place(model), method)
    with pytest.raises(ModelError, match=said):
        linexport.read_model(model)
    delattr(place(model), method)
    assert linexport.read_model(model).source == "scikit-learn Pipeline of StandardScaler, Ridge"


def test_a_method_that_was_replaced_within_a_search_or_on_ours_is_refused(rows, target):
    search = GridSearchCV(lm.Ridge(), {"alpha": [0.1, 1.0]}).fit(rows, target)
    replacing(search.best_estimator_, "predict")
    own = LinearRegressor().fit(rows, target)
    replacing(own, "predict")
    for model in (search, own):
        with pytest.raises(ModelError, match="predict was replaced on this object"):
            linexport.read_model(model)


def test_how_a_model_scores_itself_does_not_matter(rows, target):
    model = lm.Ridge().fit(rows, target)
    model.score = lambda *_: 1.0
    assert linexport.read_model(model).source == "scikit-learn Ridge"


def test_scikit_learn_is_not_imported_for_it(fresh_python):
    code = (
        "import sys, types, numpy, linexport\n"
        "class Ridge:\n"
        "    def predict(self, x): raise AssertionError('it is not asked')\n"
        "Ridge.__module__ = 'sklearn.linear_model._ridge'\n"
        "ridge = Ridge()\n"
        "ridge.coef_, ridge.intercept_, ridge.n_features_in_ = numpy.ones(2), 1.0, 2\n"
        "print(linexport.read_model(ridge).source)\n"
        "print([name for name in ('sklearn', 'torch', 'onnx', 'polars') if name in sys.modules])\n"
    )
    assert fresh_python(code).splitlines() == ["scikit-learn Ridge", "[]"]
