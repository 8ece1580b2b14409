"""How far a fit is said to be from the least-squares optimum, against scikit-learn."""

import itertools

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, Ridge

from linexport.numerics._forms import affine_of
from linexport.sgd._config import SGDConfig
from linexport.training._train import train


def predict(model, features):
    return affine_of(model).evaluate(features)


def correlated_table(num_rows=20_000, num_features=8):
    random = np.random.default_rng(1)
    mixing = random.normal(size=(num_features, num_features))
    units = 10.0 ** random.uniform(-3, 3, num_features)
    features = (random.normal(size=(num_rows, num_features)) @ mixing) * units
    features += 5 * units * random.normal(size=num_features)
    slopes = random.normal(size=num_features) / units
    return features, features @ slopes + random.normal(size=num_rows)


def diabetes():
    return load_diabetes(return_X_y=True)


def near_a_million():
    random = np.random.default_rng(2)
    features = random.normal(loc=[0, 1e6, 0], size=(1000, 3))
    return features, features @ [1.0, 2.0, 3.0] + random.normal(size=1000)


def three_targets():
    features, target = diabetes()
    random = np.random.default_rng(3)
    slopes = random.normal(size=(10, 2)) * [1e-3, 1e6]
    noise = random.normal(size=(442, 2)) * [1e-4, 1e5]
    return features, np.column_stack([target, features @ slopes + noise])


def solve(features, targets):
    """Least squares and standard errors by the textbook's formulas, on centred features."""
    targets = targets.reshape(len(targets), -1)
    num_rows, num_features = features.shape
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    scaled = (features - mean) / deviation
    orthogonal, triangular = np.linalg.qr(scaled)
    inverse = np.linalg.inv(triangular)
    slopes = inverse @ (orthogonal.T @ (targets - targets.mean(axis=0)))
    residuals = targets - targets.mean(axis=0) - scaled @ slopes
    variance = (residuals**2).sum(axis=0) / (num_rows - num_features - 1)
    unit_errors = np.sqrt((inverse**2).sum(axis=1))
    return {
        "slopes": (slopes / deviation[:, None]).T,
        "slope_errors": (unit_errors[:, None] * np.sqrt(variance) / deviation[:, None]).T,
        "level": targets.mean(axis=0),
        "level_errors": np.sqrt(variance / num_rows),
        "mean": mean,
    }


def slopes_and_level(result, mean):
    slopes = np.array(
        [list(part.features.values()) for part in result.record.coefficients.values()]
    )
    level = predict(result.model, mean[None])[0]
    return slopes, level


TABLES = [correlated_table, diabetes, near_a_million, three_targets]


@pytest.mark.parametrize("table", TABLES)
def test_predictions_differ_from_scikit_learns_by_no_more_than_reported(table):
    features, target = table()
    result = train(features, target, solver="sgd")
    theirs = LinearRegression().fit(features, target).predict(features).reshape(len(features), -1)
    reported = np.array([part.prediction for part in result.record.optimum.values()])
    difference = np.abs(predict(result.model, features) - theirs)
    assert (difference <= reported).all()
    assert (difference.max(axis=0) > reported / 100).all()  # and it is not said for safety's sake


def test_the_reported_distances_are_those_of_the_optimum():
    random = np.random.default_rng(4)
    features = random.normal(size=(200, 3)) @ random.normal(size=(3, 3)) + 10
    target = features @ [1.0, -2.0, 0.5] + random.normal(size=200)
    result = train(features, target, solver=SGDConfig(epochs=1))
    reported = result.record.optimum["y"]
    best = solve(features, target)
    slopes, level = slopes_and_level(result, best["mean"])
    theirs = LinearRegression().fit(features, target)
    corners = np.array(
        list(itertools.product(*zip(features.min(axis=0), features.max(axis=0), strict=True)))
    )
    at_corners = predict(result.model, corners)[:, 0] - theirs.predict(corners)
    errors = np.concatenate(
        [
            ((slopes - best["slopes"]) / best["slope_errors"]).ravel(),
            (level - best["level"]) / best["level_errors"],
        ]
    )
    assert reported.prediction == pytest.approx(np.abs(at_corners).max(), rel=1e-10)
    assert reported.standard_errors >= np.abs(errors).max() * (1 - 1e-10)
    assert reported.standard_errors <= np.abs(errors).max() * 20  # the intercept's is of that size
    assert reported.loss == pytest.approx(
        ((predict(result.model, features)[:, 0] - target) ** 2).mean(), rel=1e-12
    )
    residuals = theirs.predict(features) - target
    assert reported.loss_at_optimum == pytest.approx((residuals**2).mean(), rel=1e-12)


def test_data_that_fit_exactly_have_no_standard_errors_to_measure_in():
    random = np.random.default_rng(5)
    features = random.normal([0, 1e6, -3, 40], size=(500, 4))
    slopes = np.array([1.0, -2.0, 3.0, 0.25])
    result = train(features, features @ slopes + 7, solver=SGDConfig(epochs=50))
    distance = result.record.optimum["y"]
    assert result.warnings == ()
    assert distance.standard_errors is None
    # A prediction is a sum around 2e6, of which float64 keeps 2e6 * u = 2e-10, ten times over.
    assert distance.prediction < 2e-9


@pytest.mark.parametrize("value", [0.0, 3.1])
def test_a_target_that_does_not_vary_is_no_trouble(value):
    features = np.random.default_rng(6).normal(size=(50, 2))
    result = train(features, np.full(50, value), solver=SGDConfig(epochs=200))
    assert result.warnings == ()
    assert np.abs(predict(result.model, features) - value).max() < 1e-14
    assert result.record.metrics["training"]["y"].r2 is None


def test_as_many_rows_as_coefficients_are_met_exactly():
    features = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    target = np.array([1.0, 2.0, 4.0])
    result = train(features, target, solver=SGDConfig(epochs=1000, learning_rate=0.3))
    assert result.warnings == ()
    assert result.record.optimum["y"].standard_errors is None
    assert np.abs(predict(result.model, features)[:, 0] - target).max() < 1e-13


def test_weight_decay_is_a_ridge_and_the_distance_told_is_that_from_least_squares():
    features, targets = three_targets()
    weight_decay = 0.02
    all_rows = SGDConfig(batch_size=442, epochs=3000, learning_rate=0.3, weight_decay=weight_decay)
    result = train(features, targets, solver=all_rows)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    scaled, scaled_targets = (
        (values - values.mean(axis=0)) / values.std(axis=0) for values in (features, targets)
    )
    # mean over N rows and K targets + weight_decay / 2 * |w|**2, times N * K / 2
    ridge = Ridge(alpha=442 * 3 * weight_decay / 2).fit(scaled, scaled_targets)
    expected = ridge.coef_ * targets.std(axis=0)[:, None] / deviation
    best = solve(features, targets)
    slopes, level = slopes_and_level(result, mean)
    assert np.abs((slopes - expected) / best["slope_errors"]).max() <= 0.01 + 1e-6
    assert np.abs((level - best["level"]) / best["level_errors"]).max() <= 0.01 + 1e-6
    assert result.record.optimum["y1"].standard_errors > 0.1
