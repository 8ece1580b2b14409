"""When a step is too long, and what is said of it."""

import re
import statistics

import numpy as np
import pytest
from hypothesis import given, strategies as st
from sklearn.datasets import load_diabetes

from linexport.errors import TrainingError
from linexport.rows._synthetic import synthesize
from linexport.sgd._config import SGDConfig
from linexport.sgd._solver import half_stable_step, mean_batch_size
from linexport.training._train import train


def second_moment_growth(features, batch_size, step):
    """Exact growth of E[distance**2], worst direction, for B rows drawn independently.

    The covariance C of the distance becomes E[(I - step H) C (I - step H)], H the mean of B row
    Hessians: a linear map, written out as a matrix here.
    """
    rows = np.hstack([features, np.ones((len(features), 1))])
    hessians = [np.outer(row, row) for row in rows]
    mean = sum(hessians) / len(rows)
    pairs = sum(np.kron(h, h) for h in hessians) / len(rows)
    identity = np.eye(len(mean))
    both = pairs / batch_size + (1 - 1 / batch_size) * np.kron(mean, mean)
    one = np.kron(mean, identity) + np.kron(identity, mean)
    operator = np.eye(len(both)) - step * one + step**2 * both
    return abs(np.linalg.eigvals(operator)).max()


@pytest.mark.parametrize("batch_size", [1, 2, 10, 100])
@pytest.mark.parametrize("seed", range(5))
def test_a_step_below_twice_the_half_stable_one_shrinks_the_mean_square_distance(batch_size, seed):
    random = np.random.default_rng(seed)
    features = random.standard_t(3, size=(30, 3)) @ random.normal(size=(3, 3))
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    largest = np.linalg.eigvalsh(features.T @ features / 30)[-1]
    row = (features**2).sum(axis=1).max() + 1
    step = half_stable_step(batch_size, row=row, largest=largest)
    assert second_moment_growth(features, batch_size, 1.99 * step) < 1
    # The measure does tell: a step that overshoots on the largest row alone grows.
    assert second_moment_growth(features, batch_size, 2 * step * row) > 1


@given(st.integers(1, 500), st.integers(1, 600))
def test_the_mean_batch_size_is_the_harmonic_mean_of_an_epochs_batches(num_rows, batch_size):
    batches = [min(batch_size, num_rows - first) for first in range(0, num_rows, batch_size)]
    # Some ten roundings on either side.
    assert mean_batch_size(num_rows, batch_size) == pytest.approx(
        statistics.harmonic_mean(batches), rel=1e-14
    )


def longley(num_rows=16):
    """Features of six orders of magnitude, as in Longley's data."""
    random = np.random.default_rng(0)
    features = random.normal(
        [100, 4e5, 3e3, 2e3, 1e5, 2e3], [10, 1e5, 1e3, 7e2, 7e3, 5], (num_rows, 6)
    )
    return features, features @ np.ones(6) + random.normal(size=num_rows)


def advised(error):
    return float(
        re.search(r"Lower it, to about .*learning_rate=([0-9.e-]+)\)", str(error.value))[1]
    )


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
    table, settings = load_diabetes(return_X_y=True), {"batch_size": 442, "epochs": 300}
    with pytest.raises(TrainingError, match=r"the loss rose from \d+\.\d+ to \d") as error:
        train(*table, solver=SGDConfig(learning_rate=0.26, **settings))
    assert "or use least squares (solver='lstsq')" in str(error.value)
    result = train(*table, solver=SGDConfig(learning_rate=advised(error), **settings))
    assert result.record.metrics["training"]["y"].r2 > 0.5


def test_training_that_diverges_returns_nothing_even_in_the_last_epoch():
    with pytest.raises(TrainingError, match="overflowed"):
        train(synthesize(), solver=SGDConfig(learning_rate=50.0, epochs=1))
