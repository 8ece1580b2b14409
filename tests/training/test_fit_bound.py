"""The error budget's `fit`: a bound on the distance from the exact optimum, for every solver."""

from fractions import Fraction

import numpy as np
import pytest
from exact_least_squares import InMemory, solve_exactly

from linexport.least_squares._config import LeastSquaresConfig
from linexport.sgd._config import SGDConfig
from linexport.training._train import train

NUM_SEEDS = 10


def unix_seconds(random, rows):
    seconds = 1.7e9 + random.integers(0, 10**7, rows)
    return seconds[:, None], 3 * seconds + random.choice([0, 1e-3, 1, 1e5]) * random.normal(
        size=rows
    )


def unix_seconds_and_another(random, rows):
    seconds = 1.7e9 + random.integers(0, 10**7, rows)
    features = np.column_stack([seconds, random.normal(size=rows)])
    return features, 1e-6 * (seconds - 1.7e9) + random.normal(size=rows) / 100


def collinear(random, rows):
    first = random.normal(size=rows)
    features = np.column_stack([first, first + 1e-6 * random.normal(size=rows)])
    return features, random.normal(size=rows)


def far_from_zero(random, rows):
    features = random.normal(loc=[1e8, -1e3, 1e12], size=(rows, 3))
    return features, random.normal(size=rows) + 1e10


def units_far_apart(random, rows):
    features = random.normal(size=(rows, 3)) * [1e-20, 1, 1e20]
    return features, features @ [1e20, 1, 1e-20]


def whole_numbers(random, rows):
    features = random.integers(0, 9, size=(rows, 2)).astype(float)
    return features, features @ [2.0, 3.0] + 1


TABLES = [
    unix_seconds,
    unix_seconds_and_another,
    collinear,
    far_from_zero,
    units_far_apart,
    whole_numbers,
]


def largest_distance(model, features, target, **settings) -> Fraction:
    """From the exact optimum, over the box of the rows' ranges, in rational numbers."""
    exact = solve_exactly(features, target, **settings).coefficients
    level, *slopes = exact if settings.get("intercept", True) else [Fraction(0), *exact]
    weight, bias = exactly(model.weight[0]), Fraction(model.bias[0].item())
    mean = [Fraction(0)] * len(weight) if model.mean is None else exactly(model.mean)
    bias -= sum(w * m for w, m in zip(weight, mean, strict=True))
    differences = [w - slope for w, slope in zip(weight, slopes, strict=True)]
    ends = zip(exactly(features.min(axis=0)), exactly(features.max(axis=0)), strict=True)
    at_middle, half = bias - level, Fraction(0)
    for difference, (low, high) in zip(differences, ends, strict=True):
        at_middle += difference * (low + high) / 2
        half += abs(difference) * (high - low) / 2
    return abs(at_middle) + half


def exactly(values):
    return [Fraction(value) for value in values.tolist()]


def fits(table, precision):
    """Few epochs and many: far from the optimum, and as near as the precision comes."""
    for seed in range(NUM_SEEDS):
        random = np.random.default_rng(seed)
        features, target = table(random, int(random.integers(8, 20)))
        for epochs, batch_size in [(1, 4), (30, 4), (300, 20)]:
            solver = SGDConfig(epochs=epochs, batch_size=batch_size, seed=seed, precision=precision)
            yield train(features, target, solver=solver), features, target


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("table", TABLES)
def test_a_fit_by_sgd_is_never_farther_from_the_exact_optimum_than_said(table, precision):
    for fit, features, target in fits(table, precision):
        reported = Fraction(fit.record.optimum["y"].prediction)
        distance = largest_distance(fit.model, features, target)
        assert distance <= reported
        # And hardly more: what least squares leaves is a few roundings of weights and level, 2**-53
        # of each, and the distance itself is taken in double-double.
        size = np.abs(features).max(axis=0) @ np.abs(fit.model.weight[0]) + np.abs(target).max()
        assert reported <= distance * (1 + Fraction(2.0**-48)) + Fraction(2.0**-50 * size)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("table", TABLES)
def test_a_fit_by_least_squares_is_never_farther_either(table, intercept):
    solver = LeastSquaresConfig(intercept=intercept)
    for seed in range(NUM_SEEDS):
        random = np.random.default_rng(seed)
        features, target = table(random, int(random.integers(8, 20)))
        some, many = random.uniform(0.1, 3, len(target)), random.integers(1, 10**6, len(target))
        for weights in (None, some, many.astype(float)):
            rows = InMemory(features, target, weights)
            fit = train(rows, solver=solver)
            reported = fit.record.optimum["y"].prediction
            settings = {"weights": weights, "intercept": intercept}
            distance = largest_distance(fit.model, features, target, **settings)
            assert distance <= Fraction(reported)
