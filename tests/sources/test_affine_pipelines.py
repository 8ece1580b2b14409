"""Random estimators of scikit-learn, nested, selected and summed: taken if affine, else refused.

What is read is compared with the source's own `predict`. Both compute one affine function, the
source in float64 in about the order of `values.steps`. An input is taken as rounded once already,
so that a mean that is subtracted behind a product instead of before it is in the bound; that, and
sums in pairs where the steps have one, are no more than twice as many roundings.
"""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from agreement import fitted
from sklearn import (
    compose,
    cross_decomposition,
    decomposition,
    dummy,
    ensemble,
    feature_selection as fs,
    kernel_ridge,
    linear_model as lm,
    multioutput,
    neighbors,
    preprocessing as pre,
    random_projection as rp,
    svm,
    tree,
)
from sklearn.pipeline import make_pipeline, make_union

import linexport
from linexport.errors import ModelError
from linexport.numerics import FLOAT64, OwnForm, exact_map
from linexport.sources._reading import read_reference

ROWS, WIDTH = 50, 4
DEEPEST = 3

SCALERS = [
    pre.StandardScaler, pre.MinMaxScaler, pre.MaxAbsScaler, pre.RobustScaler,
    lambda: pre.StandardScaler(with_mean=False), lambda: pre.RobustScaler(with_scaling=False),
    lambda: pre.FunctionTransformer(), lambda: fs.VarianceThreshold(),
]  # fmt: skip
PROJECTIONS = [
    lambda: decomposition.PCA(2), lambda: decomposition.PCA(2, whiten=True),
    lambda: decomposition.IncrementalPCA(2), lambda: decomposition.TruncatedSVD(2, random_state=0),
    lambda: decomposition.FastICA(2, random_state=0), lambda: decomposition.FactorAnalysis(2),
    lambda: rp.GaussianRandomProjection(2, random_state=0),
    lambda: rp.SparseRandomProjection(2, dense_output=True, random_state=0),
    lambda: fs.SelectKBest(fs.f_regression, k=2),
    lambda: fs.RFE(lm.Ridge(), n_features_to_select=2),
    lambda: fs.SelectFromModel(lm.Ridge(), max_features=2, threshold=-np.inf),
]  # fmt: skip
"""They make two values."""
REGRESSORS = [
    lm.LinearRegression, lm.Ridge, lm.BayesianRidge, lambda: lm.Lasso(0.01), lm.HuberRegressor,
    lambda: lm.TweedieRegressor(power=0), lambda: kernel_ridge.KernelRidge(1.0),
    lambda: kernel_ridge.KernelRidge(1.0, kernel="poly", degree=1, coef0=0.5),
    lambda: svm.SVR(kernel="linear", max_iter=500),
    lambda: svm.SVR(kernel="poly", degree=1, coef0=0.5, max_iter=500),
    lambda: svm.NuSVR(kernel="linear", max_iter=500), lambda: cross_decomposition.PLSRegression(1),
    lambda: cross_decomposition.CCA(1), lambda: cross_decomposition.PLSCanonical(1),
    lambda: dummy.DummyRegressor(),
    lambda: lm.RANSACRegressor(min_samples=5, max_trials=5, random_state=0),
    lambda: fs.RFE(lm.Ridge(), n_features_to_select=1),
]  # fmt: skip
OTHER_STEPS = {
    "Normalizer": pre.Normalizer,
    "Binarizer": pre.Binarizer,
    "FunctionTransformer": lambda: pre.FunctionTransformer(np.tanh),
    "KBinsDiscretizer": lambda: pre.KBinsDiscretizer(3, encode="onehot-dense", strategy="uniform"),
    "KernelPCA": lambda: decomposition.KernelPCA(2, kernel="rbf"),
    "MaxAbsScaler(clip=True)": lambda: pre.MaxAbsScaler(clip=True),
    "MinMaxScaler(clip=True)": lambda: pre.MinMaxScaler(clip=True),
    "PolynomialFeatures": lambda: pre.PolynomialFeatures(2),
    "PowerTransformer": pre.PowerTransformer,
    "QuantileTransformer": lambda: pre.QuantileTransformer(n_quantiles=9),
    "SplineTransformer": pre.SplineTransformer,
}
OTHER_REGRESSORS = {
    "DecisionTreeRegressor": lambda: tree.DecisionTreeRegressor(max_depth=2),
    "KNeighborsRegressor": lambda: neighbors.KNeighborsRegressor(3),
    "KernelRidge with the kernel 'rbf'": lambda: kernel_ridge.KernelRidge(kernel="rbf"),
    "SVR with the kernel 'poly' of degree 2": lambda: svm.SVR(
        kernel="poly", degree=2, max_iter=500
    ),
    "predicts through sinh": lambda: compose.TransformedTargetRegressor(
        lm.Ridge(), func=np.arcsinh, inverse_func=np.sinh
    ),
}


class Drawn:
    """Estimators of a random shape; `planted` names the one step in them that is not affine."""

    def __init__(self, seed: int, *, plants: bool) -> None:
        """Draw nothing yet."""
        self.random = np.random.default_rng(seed)
        self.plants = plants
        self.planted = ""

    def one_of(self, choices):
        return choices[self.random.integers(len(choices))]

    def plant(self, choices):
        """Return one that is not affine, once."""
        self.plants = False
        self.planted = self.one_of(list(choices))
        return choices[self.planted]()

    def keeps(self):
        """Hold the plant back from one of two branches, and tell whether it was held back."""
        held = self.plants and self.random.random() < 0.5
        self.plants = self.plants and not held
        return held

    def transformer(self, width, depth=0):
        """Return a transformer of so many values, and how many it makes; -1 after a plant."""
        kind = self.random.integers(6) if depth < DEEPEST else 0
        if kind == 1:
            first, width = self.transformer(width, depth + 1)
            second, width = self.transformer(width, depth + 1)
            return make_pipeline(first, second), width
        if kind == 2:
            held = self.keeps()
            first, one = self.transformer(width, depth + 1)
            self.plants = held or self.plants
            second, two = self.transformer(width, depth + 1)
            union = make_union(first, second)
            union.set_params(transformer_weights={union.transformer_list[0][0]: 0.75})
            return union, one + two if min(one, two) > 0 else -1
        if kind == 3 and width > 1:
            return self.columns(width, depth)
        if self.plants and self.random.random() < 0.6:
            return self.plant(OTHER_STEPS), -1
        if kind == 4:
            made = pre.PolynomialFeatures(1, include_bias=bool(self.random.integers(2)))
            return made, width + made.include_bias if width > 0 else -1
        if kind == 5 and width >= 3:
            return self.one_of(PROJECTIONS)(), 2
        return self.one_of(SCALERS)(), width

    def columns(self, width, depth):
        """Return a ColumnTransformer by places, a slice or a mask."""
        last = [width - 1, 0]
        mask = [place % 2 == 0 for place in range(width)]
        chosen, count = self.one_of([(last, 2), (slice(0, 1), 1), (mask, sum(mask))])
        inner, made = self.transformer(count, depth + 1)
        rest = self.one_of(["passthrough", "drop", pre.StandardScaler()])
        kept = 0 if isinstance(rest, str) and rest == "drop" else width - count
        parts = [("part", inner, chosen)]
        whole = compose.ColumnTransformer(parts, remainder=rest, sparse_threshold=0)
        return whole, made + kept if made > 0 else -1

    def regressor(self, width, depth=0):
        kind = self.random.integers(7) if depth < DEEPEST - 1 else 0
        inner = depth + 1
        if kind in (1, 2):
            first, width = self.transformer(width, depth)
            return make_pipeline(first, self.regressor(width, inner))
        if kind == 3:
            held = self.keeps()
            first = self.regressor(width, inner)
            self.plants = held or self.plants
            parts = [("a", first), ("b", self.regressor(width, inner))]
            if self.random.random() < 0.5:
                return ensemble.VotingRegressor([*parts, ("c", "drop")], weights=[1, 2.5, 7])
            return ensemble.StackingRegressor(
                parts, lm.Ridge(), cv=2, passthrough=bool(self.random.integers(2))
            )
        if kind == 4:
            whole = {"n_estimators": 2, "max_samples": 40, "random_state": 0}
            return ensemble.BaggingRegressor(self.regressor(width, inner), **whole)
        if kind == 5 and not self.plants:
            scaler = make_pipeline(pre.StandardScaler(), self.one_of(SCALERS[:4])(), "passthrough")
            within = self.regressor(width, inner)
            return compose.TransformedTargetRegressor(within, transformer=scaler)
        if self.plants:
            return self.plant(OTHER_REGRESSORS)
        return self.one_of(REGRESSORS)()


def data(seed):
    """Return rows that float32 holds, some columns far from 0, and a target."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(ROWS, WIDTH)) * [1, 30, 0.5, 4] + [0, 5, 20, -3]
    rows = rows.astype(np.float32).astype(np.float64)
    return rows, rows @ [2.0, -0.3, 4.0, 1.0] + 50 + random.normal(0, 0.1, ROWS)


def assert_same(estimator, rows):
    """Compare within twice what the steps can round, of inputs that are rounded once."""
    values = read_reference(estimator).values
    form = OwnForm(steps=values.steps, precision=FLOAT64)
    start = form._start(rows, flushes=False)
    *_, last = form._run(replace(start, relative=start.relative + FLOAT64.unit_roundoff))
    exact = exact_map(values, rows.shape[1]).evaluate(rows).high
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.asarray(estimator.predict(rows)).reshape(exact.shape)
    assert (np.abs(expected - exact) <= 2 * last.error).all(), estimator
    assert last.error.max() < 1e-6 * np.abs(exact).max(), estimator  # so that a mistake shows


@pytest.mark.parametrize("seed", range(150))
def test_what_is_affine_is_taken_and_predicts_the_same(seed):
    rows, target = data(seed)
    assert_same(fitted(Drawn(seed, plants=False).regressor(WIDTH), rows, target), rows)


@pytest.mark.parametrize("seed", range(150))
def test_one_step_that_is_not_affine_is_refused_by_its_name(seed):
    rows, target = data(seed)
    drawn = Drawn(seed, plants=True)
    estimator = fitted(drawn.regressor(WIDTH), rows, target)
    with pytest.raises(ModelError) as refused:
        linexport.read_model(estimator)
    assert drawn.planted in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    "estimator",
    [
        multioutput.MultiOutputRegressor(make_pipeline(pre.StandardScaler(), lm.Ridge())),
        multioutput.RegressorChain(lm.Ridge(), order=[1, 0]),
        make_pipeline(decomposition.PCA(3), multioutput.RegressorChain(lm.Ridge())),
        cross_decomposition.CCA(2),
        cross_decomposition.PLSCanonical(2),
        kernel_ridge.KernelRidge(1.0),
        dummy.DummyRegressor(strategy="median"),
        compose.TransformedTargetRegressor(lm.Ridge(), transformer=decomposition.PCA(2)),
        compose.TransformedTargetRegressor(
            lm.Ridge(), transformer=decomposition.PCA(2, whiten=True)
        ),
        compose.TransformedTargetRegressor(
            lm.Ridge(), transformer=decomposition.TruncatedSVD(2, random_state=0)
        ),
        compose.TransformedTargetRegressor(
            lm.Ridge(), transformer=decomposition.FastICA(2, random_state=0)
        ),
        ensemble.BaggingRegressor(lm.Ridge(), n_estimators=3, max_features=2, random_state=0),
    ],
    ids=str,
)
def test_several_targets_too(estimator):
    rows, target = data(0)
    targets = np.column_stack([target, 3 - rows[:, 1] + rows[:, 2] ** 2])
    assert_same(fitted(estimator, rows, targets), rows)
