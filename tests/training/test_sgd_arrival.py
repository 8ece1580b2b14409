"""That SGD arrives: within a hundredth of a standard error of the least-squares optimum."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, Ridge

from linexport.errors import TrainingError
from linexport.numerics._forms import affine_of
from linexport.rows._synthetic import synthesize
from linexport.sgd._config import SGDConfig
from linexport.training._train import train

NIST = Path(__file__).parent / "nist"
LONGLEY_CERTIFIED = [  # intercept, slopes: estimate and standard deviation, from Longley.dat
    (-3482258.63459582, 890420.383607373),
    (15.0618722713733, 84.9149257747669),
    (-0.358191792925910e-01, 0.334910077722432e-01),
    (-2.02022980381683, 0.488399681651699),
    (-1.03322686717359, 0.214274163161675),
    (-0.511041056535807e-01, 0.226073200069370),
    (1829.15146461355, 455.478499142212),
]


def predict(model, features):
    return affine_of(model).evaluate(features)


def longley():
    lines = (NIST / "Longley.dat").read_text().splitlines()[60:76]
    table = np.array([[float(cell) for cell in line.split()] for line in lines])
    return table[:, 1:], table[:, 0]


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


TABLES = [longley, correlated_table, diabetes, near_a_million, three_targets]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_coefficient_is_within_a_hundredth_of_its_standard_error(table, seed):
    features, target = table()
    result = train(features, target, solver=SGDConfig(seed=seed))
    best = solve(features, target)
    slopes, level = slopes_and_level(result, best["mean"])
    # A millionth of the tolerance is for the rounding of the formulas here.
    assert np.abs((slopes - best["slopes"]) / best["slope_errors"]).max() <= 0.01 + 1e-6
    assert np.abs((level - best["level"]) / best["level_errors"]).max() <= 0.01 + 1e-6
    assert result.warnings == ()
    assert all(part.standard_errors <= 0.01 for part in result.record.optimum.values())


def test_longleys_data_give_the_certified_coefficients_within_a_hundredth_of_their_deviation():
    result = train(*longley())
    found = result.record.coefficients["y"]
    for value, (certified, deviation) in zip(
        [found.intercept, *found.features.values()], LONGLEY_CERTIFIED, strict=True
    ):
        assert abs(value - certified) <= 0.01 * deviation


@pytest.mark.parametrize("table", TABLES)
def test_predictions_differ_from_scikit_learns_by_no_more_than_reported(table):
    features, target = table()
    result = train(features, target)
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


def test_data_that_fit_exactly_arrive_without_a_warning():
    random = np.random.default_rng(5)
    features = random.normal(size=(500, 4)) @ random.normal(size=(4, 4)) + [0, 1e6, -3, 40]
    slopes = np.array([1.0, -2.0, 3.0, 0.25])
    result = train(features, features @ slopes + 7)
    distance = result.record.optimum["y"]
    assert result.warnings == ()
    assert distance.standard_errors is None  # there are none to measure in
    # A prediction is a sum around 2e6, of which float64 keeps 2e6 * u = 2e-10, ten times over.
    assert distance.prediction < 2e-9


@pytest.mark.parametrize("value", [0.0, 3.1])
def test_a_target_that_does_not_vary_is_arrived_at(value):
    features = np.random.default_rng(6).normal(size=(50, 2))
    result = train(features, np.full(50, value))
    assert result.warnings == ()
    assert np.abs(predict(result.model, features) - value).max() < 1e-14
    assert result.record.metrics["training"]["y"].r2 is None


def test_as_many_rows_as_coefficients_are_met_exactly():
    features = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    target = np.array([1.0, 2.0, 4.0])
    result = train(features, target)
    assert result.warnings == ()
    assert result.record.optimum["y"].standard_errors is None
    assert np.abs(predict(result.model, features)[:, 0] - target).max() < 1e-13


def test_features_too_collinear_for_sgd_end_in_a_warning_with_the_distance():
    random = np.random.default_rng(7)
    features = random.normal(size=(60, 3))
    features[:, 2] = features[:, 0] + 1e-6 * features[:, 2]
    target = features @ [1.0, 2.0, 3.0] + random.normal(size=60)
    result = train(features, target)
    (warning,) = result.warnings
    distance = result.record.optimum["y"].standard_errors
    assert distance > 0.01
    assert f"After 10000 epochs SGD is {distance:.2g} standard errors from the optimum" in warning
    assert "nearly linear in others" in warning


def test_batches_that_the_user_fixed_arrive_too():
    result = train(synthesize(), solver=SGDConfig(standardize=True, batch_size=10))
    assert result.record.settings["batch_size"] == 10
    assert "last_batch_size" not in result.record.settings
    assert result.record.optimum["y"].standard_errors <= 0.01
    assert result.warnings == ()


def test_a_batch_size_and_learning_rate_that_are_both_fixed_keep_noise_and_say_so():
    config = SGDConfig(standardize=True, batch_size=10, learning_rate=0.03)
    result = train(synthesize(), solver=config)
    (warning,) = result.warnings
    assert "both fixed" in warning
    assert result.record.settings["learning_rate"] == 0.03
    assert "last_learning_rate" not in result.record.settings


@pytest.mark.parametrize("settings", [{"learning_rate": 0.1}, {"momentum": 0.9}])
def test_a_learning_rate_or_momentum_that_the_user_fixed_is_kept_on_the_way(settings):
    result = train(*diabetes(), solver=SGDConfig(**settings))
    ((name, value),) = settings.items()
    assert result.record.settings[name] == value
    assert f"last_{name}" not in result.record.settings
    assert result.record.optimum["y"].standard_errors <= 0.01


def test_the_number_of_epochs_that_the_user_fixed_is_run():
    for epochs in (1, 90):  # less and more than it takes
        events = []
        result = train(*diabetes(), solver=SGDConfig(epochs=epochs), on_epoch=events.append)
        assert len(events) == result.record.settings["epochs"] == epochs
        assert result.warnings == ()


def test_weight_decay_arrives_at_the_ridge_optimum_and_tells_the_distance_from_least_squares():
    features, targets = three_targets()
    weight_decay = 0.02
    result = train(features, targets, solver=SGDConfig(weight_decay=weight_decay))
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
    assert result.warnings == ()
    assert result.record.optimum["y1"].standard_errors > 0.1


def test_float32_arrives_where_the_data_let_it():
    result = train(*diabetes(), solver=SGDConfig(dtype="float32"))
    assert next(result.module.parameters()).dtype == torch.float32
    assert result.warnings == ()


def test_epochs_are_expected_as_many_as_come_or_more():
    for table in (longley, correlated_table, diabetes):
        events = []
        train(*table(), on_epoch=events.append)
        assert [event.epoch for event in events] == list(range(1, len(events) + 1))
        assert len(events) <= events[0].epochs <= 3 * len(events)
        assert events[-1].seconds_left >= 0


def advised(error):
    return float(re.search(r"Lower --learning-rate to about (\S+),", str(error.value))[1])


@pytest.mark.parametrize(
    "settings",
    [
        {"standardize": False},
        {"standardize": False, "momentum": 0.9},
        {"standardize": False, "weight_decay": 1.0},
    ],
)
def test_raw_table_features_diverge_and_the_advised_learning_rate_does_not(settings):
    table = longley()
    with pytest.raises(TrainingError, match=r"epoch 1, at learning rate 0\.03") as error:
        train(*table, solver=SGDConfig(**settings))
    assert "standardize the features" in str(error.value)
    result = train(*table, solver=SGDConfig(**settings, learning_rate=advised(error)))
    assert np.isfinite(result.model.weight).all()


def test_a_learning_rate_that_grows_slowly_is_stopped_before_it_overflows():
    with pytest.raises(TrainingError, match=r"the loss rose from 1\.\d+ to \d+") as error:
        train(*diabetes(), solver=SGDConfig(learning_rate=0.26, batch_size=442))
    assert "or leave it out" in str(error.value)
    result = train(*diabetes(), solver=SGDConfig(learning_rate=advised(error), batch_size=442))
    assert result.record.optimum["y"].standard_errors <= 0.01


def test_training_that_diverges_returns_nothing_even_in_the_last_epoch():
    with pytest.raises(TrainingError, match="overflowed"):
        train(synthesize(), solver=SGDConfig(learning_rate=50.0, epochs=1))
