"""Every metric has one definition, that of scikit-learn and statsmodels, whatever the rows."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from linexport.columns import Column, default_columns
from linexport.errors import ConfigError, DataError
from linexport.fit import Weighting
from linexport.least_squares._config import LeastSquaresConfig
from linexport.model import LinearModel
from linexport.numerics._forms import affine_of
from linexport.rows import DataConfig
from linexport.rows._dataset import Dataset
from linexport.rows._table_rows import read_rows, training_rows
from linexport.sgd._config import SGDConfig
from linexport.tables import open_table
from linexport.training._metrics import evaluate
from linexport.training._train import train

DIGITS = 1e-12
"""Sums of 60 terms, each of a few roundings, and 1 - SSE / SST: some thousands of u."""
SOLVERS = {
    "lstsq": LeastSquaresConfig(),
    "without an intercept": LeastSquaresConfig(intercept=False),
    "sgd": SGDConfig(epochs=2),
}


def dataset(features, targets):
    return Dataset(
        feature_values=features,
        target_values=targets,
        features=default_columns("x", features.shape[1]),
        targets=default_columns("y", targets.shape[1]),
    )


def part_of_a_table(seed, kind):
    """Rows far from 0, of which some weights are 0, as a stream."""
    random = np.random.default_rng(seed)
    features = random.normal([5.0, 100.0], [1.0, 3.0], size=(60, 2))
    targets = features @ [[2.0, -1.0], [0.5, 3.0]] + random.normal(size=(60, 2)) * [1, 10] + 7
    weights = random.integers(0, 5, 60) if kind == "frequency" else random.uniform(0.1, 200, 60)
    weights[7] = 0
    values = np.column_stack([features, targets, weights])
    table = open_table(pl.DataFrame(values, schema=["a", "b", "y", "z", "w"]))
    chosen = {} if kind is None else {"weights": "w", "config": DataConfig(weights_kind=kind)}
    return training_rows(table, targets=["y", "z"], features=["a", "b"], **chosen)


def assert_those_of_scikit_learn(found, model, rows, *, centred):
    """Rows of frequency weights are repeated; scikit-learn knows no R2 around 0 by name."""
    features, targets, *others = next(rows.batches())
    weights = others[0] if others else np.ones(len(features))
    if rows.weighting is not None and rows.weighting.kind == "frequency":
        repeats = weights.astype(int)
        features, targets = (np.repeat(part, repeats, axis=0) for part in (features, targets))
        weights = np.ones(len(features))
    predicted = affine_of(model).evaluate(features)
    for k, name in enumerate(model.target_names):
        ours, y, p = found[name], targets[:, k], predicted[:, k]
        squares = mean_squared_error(y, p, sample_weight=weights)
        r2 = 1 - squares / mean_squared_error(y, np.zeros_like(y), sample_weight=weights)
        if centred:
            r2 = r2_score(y, p, sample_weight=weights)
        assert ours.rows == np.count_nonzero(weights)
        assert ours.rmse == pytest.approx(np.sqrt(squares), rel=DIGITS)
        assert ours.r2 == pytest.approx(r2, rel=DIGITS)
        if ours.mae is not None:
            absolute = mean_absolute_error(y, p, sample_weight=weights)
            assert ours.mae == pytest.approx(absolute, rel=DIGITS)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "memory"])
@pytest.mark.parametrize("kind", [None, "precision", "frequency"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_metrics_are_those_of_scikit_learn(solver, kind, stream):
    rows, test = part_of_a_table(0, kind), read_rows(part_of_a_table(1, kind))
    if solver == "sgd" and kind is not None:
        with pytest.raises(ConfigError, match="sgd heeds none"):
            train(rows, solver=SOLVERS[solver])
        return
    given = rows if stream else read_rows(rows)
    fit = train(given, solver=SOLVERS[solver], test=test)
    metrics, optimum = fit.record.metrics, fit.record.optimum
    for name, part in (("training", rows), ("test", test)):
        centred = solver != "without an intercept"
        assert_those_of_scikit_learn(metrics[name], fit.model, part, centred=centred)
    for target, found in metrics["training"].items():
        assert (found.mae is None) == (stream and solver != "sgd")
        assert optimum[target].loss == pytest.approx(found.rmse**2, rel=DIGITS)
        least = optimum[target].loss_at_optimum
        assert least < found.rmse**2 if solver == "sgd" else least == optimum[target].loss


@pytest.mark.parametrize("kind", [None, "precision", "frequency"])
@pytest.mark.parametrize("intercept", [True, False])
def test_loss_and_r2_are_those_of_statsmodels(intercept, kind):
    rows = part_of_a_table(2, kind)
    record = train(rows, solver=LeastSquaresConfig(intercept=intercept)).record
    features, targets, *others = next(rows.batches())
    weights = others[0] if others else np.ones(len(features))
    if kind == "frequency":
        repeats = weights.astype(int)
        features, targets = (np.repeat(part, repeats, axis=0) for part in (features, targets))
        weights = np.ones(len(features))
    kept = weights > 0
    design = sm.add_constant(features) if intercept else features
    for k, name in enumerate(("y", "z")):
        reference = sm.WLS(targets[kept, k], design[kept], weights=weights[kept]).fit()
        found = record.metrics["training"][name]
        assert found.rows == reference.nobs
        assert found.r2 == pytest.approx(reference.rsquared, rel=1e-10)
        assert found.rmse**2 == pytest.approx(reference.ssr / weights.sum(), rel=1e-10)
        assert record.optimum[name].loss_at_optimum == pytest.approx(found.rmse**2, rel=DIGITS)


def test_weights_of_100_are_no_larger_errors():
    frame = pl.DataFrame({"x": [1, 2, 3, 4, 5], "y": [2.0, 4.1, 5.9, 8.2, 9.7]})
    plain = train(frame, "y").record.metrics["training"]["y"]
    for weight in (100.0, 1e-3):
        table = open_table(frame.with_columns(w=pl.lit(weight)))
        rows = training_rows(table, targets="y", weights="w")
        found = train(rows).record.metrics["training"]["y"]
        assert found.rmse == pytest.approx(plain.rmse, rel=DIGITS)
        assert found.r2 == pytest.approx(plain.r2, rel=DIGITS)


def test_a_centred_model_is_evaluated_as_it_predicts():
    features = np.array([[1e6 - 1], [1e6], [1e6 + 1]])
    model = LinearModel(
        weight=np.array([[2.0]]),
        bias=np.array([5.0]),
        mean=np.array([1e6]),
    )
    found = evaluate(model, dataset(features, np.array([[3.0], [5.0], [10.0]])))["y"]
    assert (found.rmse, found.mae) == (np.sqrt(3), 1.0)


def test_r2_of_a_target_far_from_zero_keeps_its_digits():
    random = np.random.default_rng(1)
    targets = 1e9 + random.integers(-8, 8, size=(1000, 1)) / 4
    model = LinearModel(weight=np.zeros((1, 1)), bias=np.array([1e9]))
    found = evaluate(model, dataset(np.ones((1000, 1)), targets))["y"]
    exact = [Fraction(value) for value in targets[:, 0].tolist()]
    mean = sum(exact) / 1000
    explained = sum((value - 10**9) ** 2 for value in exact)
    total = sum((value - mean) ** 2 for value in exact)
    # The mean is known to half an ulp of 1e9, 6e-8, and SST is only moved by its square.
    assert found.r2 == pytest.approx(float(1 - explained / total), abs=1e-13)


@dataclass
class Halves:
    """Rows in two batches."""

    whole: Dataset
    source: str = "halves"

    @property
    def features(self):
        return self.whole.features

    @property
    def targets(self):
        return self.whole.targets

    weighting = None

    def batches(self):
        for part in (slice(0, 40), slice(40, None)):
            yield self.whole.feature_values[part], self.whole.target_values[part]


def test_batches_do_not_change_the_metrics():
    random = np.random.default_rng(2)
    rows = dataset(random.normal(size=(100, 2)), random.normal(size=(100, 1)) + 100)
    model = LinearModel(weight=np.ones((1, 2)), bias=np.array([100.0]))
    whole, halves = (evaluate(model, part)["y"] for part in (rows, Halves(rows)))
    assert (halves.rows, halves.rmse, halves.mae, halves.r2) == (
        100,
        pytest.approx(whole.rmse, rel=1e-14),
        pytest.approx(whole.mae, rel=1e-14),
        pytest.approx(whole.r2, rel=1e-14),
    )


def test_a_target_that_does_not_vary_has_no_r2():
    # 0.1 is no binary fraction: a mean of thousands of them is off by a rounding.
    rows = dataset(np.arange(5000.0)[:, None], np.full((5000, 1), 0.1))
    found = evaluate(LinearModel(weight=np.zeros((1, 1)), bias=np.array([0.1])), rows)["y"]
    assert (found.rmse, found.r2) == (0.0, None)


def test_no_rows_are_an_error():
    rows = Dataset(
        feature_values=np.empty((0, 1)),
        target_values=np.empty((0, 1)),
        features=(Column(name="a"),),
        targets=(Column(name="b"),),
        source="empty.csv",
    )
    with pytest.raises(DataError, match=r"empty\.csv: There are no rows"):
        evaluate(LinearModel(weight=np.zeros((1, 1)), bias=np.zeros(1)), rows)


def test_rows_that_all_weigh_nothing_are_none():
    rows = Dataset(
        feature_values=np.ones((2, 1)),
        target_values=np.ones((2, 1)),
        features=(Column(name="a"),),
        targets=(Column(name="b"),),
        weights=np.zeros(2),
        weighting=Weighting(column="w", kind="precision"),
    )
    with pytest.raises(DataError, match="There are no rows to evaluate on"):
        evaluate(LinearModel(weight=np.zeros((1, 1)), bias=np.zeros(1)), rows)
