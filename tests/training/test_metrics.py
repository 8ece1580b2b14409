from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from linexport.columns import Column, default_columns
from linexport.errors import DataError
from linexport.model import LinearModel
from linexport.rows._dataset import Dataset
from linexport.training._train import evaluate


def dataset(features, targets):
    return Dataset(
        feature_values=features,
        target_values=targets,
        features=default_columns("x", features.shape[1]),
        targets=default_columns("y", targets.shape[1]),
    )


def test_metrics_are_those_of_scikit_learn_for_each_target():
    random = np.random.default_rng(0)
    features, targets = random.normal(size=(100, 3)), random.normal(size=(100, 2)) * [1, 1000] + 7
    weight, bias = random.normal(size=(2, 3)), random.normal(size=2)
    model = LinearModel(weight=weight, bias=bias)
    found = evaluate(model, dataset(features, targets))
    predicted = features @ weight.T + bias
    assert list(found) == ["y1", "y2"]
    for k, name in enumerate(found):
        ours, theirs = targets[:, k], predicted[:, k]
        assert found[name].rows == 100
        # Sums of 100 terms, each of a few roundings: 1e-13 is 900 units in the last place.
        assert found[name].rmse == pytest.approx(root_mean_squared_error(ours, theirs), rel=1e-13)
        assert found[name].mae == pytest.approx(mean_absolute_error(ours, theirs), rel=1e-13)
        assert found[name].r2 == pytest.approx(r2_score(ours, theirs), rel=1e-13)


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
