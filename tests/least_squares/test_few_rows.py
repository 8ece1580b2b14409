"""Rows that are fewer than their features: the dual form, against rationals and scikit-learn."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest
from exact_least_squares import InMemory, ridge_uncertainty, solve_exactly, square_root
from hypothesis import given, strategies as st
from sklearn.linear_model import LinearRegression, Ridge

from linexport.errors import TrainingError
from linexport.least_squares import _dual_equations
from linexport.least_squares._normal_equations import inverse_factor
from linexport.least_squares._passes import fit_rows
from linexport.least_squares._solver import LeastSquaresConfig, fit_least_squares, optimum
from linexport.rows import ONE

U = 2.0**-53
NEGLIGIBLE = 2.0**-20


def table(num_rows=60, num_features=300, *, num_targets=1, seed=0, offset=3.0):
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(num_rows, num_features)) + offset
    return features, generator.normal(size=(num_rows, num_targets)) + 5


def agree(values, others, tolerance):
    values, others = np.asarray(values), np.asarray(others)
    return np.abs(values - others).max() <= tolerance * np.abs(others).max()


def coefficients(best):
    return [*best.bias, *best.weight[0]] if best.intercept else [*best.weight[0]]


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 5), st.booleans(), st.sampled_from([1e-6, 0.5, 1e4])
)
def test_coefficients_are_the_exact_optimum_rounded_once(seed, num_rows, intercept, l2):
    features, target = table(num_rows, 12, seed=seed)
    best = optimum(InMemory(features, target), intercept=intercept, l2=l2)
    exact = solve_exactly(features, target, intercept=intercept, l2=l2)
    for found, value in zip(coefficients(best), exact.coefficients, strict=True):
        assert abs(Fraction(float(found)) - value) <= Fraction(2 * U) * abs(value)
    squares = float(exact.residual_sum_of_squares)
    assert best.residual_sum_of_squares[0] == pytest.approx(squares, rel=1e-13)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("kind", ["precision", "frequency"])
def test_weights_are_those_of_the_objective(intercept, kind):
    features, target = table(5, 12)
    weights = np.array([1.0, 3.0, 2.0, 0.0, 1.0])
    rows = InMemory(features, target, weights, kind=kind, sizes=[2, 3])
    best = optimum(rows, intercept=intercept, l2=0.5)
    exact = solve_exactly(features, target, intercept=intercept, l2=0.5, weights=weights)
    assert agree(coefficients(best), exact.rounded(), 2 * U)
    assert best.num_rows == (7 if kind == "frequency" else 4)
    assert rows.passes == 1


@pytest.mark.parametrize("intercept", [True, False])
def test_frequencies_are_rows_that_are_repeated(intercept):
    features, target = table(5, 12)
    counts = np.array([1, 3, 2, 1, 1])
    rows = InMemory(features, target, counts.astype(float), kind="frequency")
    counted = optimum(rows, intercept=intercept, l2=0.5)
    repeated = InMemory(np.repeat(features, counts, axis=0), np.repeat(target, counts, axis=0))
    often = optimum(repeated, intercept=intercept, l2=0.5)
    assert counted.degrees_of_freedom == pytest.approx(often.degrees_of_freedom, rel=1e-12)
    assert agree(counted.weight_standard_errors, often.weight_standard_errors, 1e-12)
    assert agree(counted.weight, often.weight, 2 * U)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("scale", [1.0, 1e9])
def test_standard_errors_are_right_to_a_millionth(intercept, scale):
    features, target = table(5, 12)
    features[:, 0] *= scale
    best = optimum(InMemory(features, target), intercept=intercept, l2=0.5)
    variances, trace = ridge_uncertainty(features, l2=0.5, intercept=intercept)
    exact = solve_exactly(features, target, intercept=intercept, l2=0.5)
    variance = exact.residual_sum_of_squares / (5 - trace)
    errors = [square_root(variance * value) for value in variances]
    found = [*best.weight_standard_errors[0]]
    found = [*best.bias_standard_errors, *found] if intercept else found
    assert best.degrees_of_freedom == pytest.approx(float(5 - trace), rel=1e-9)
    assert np.abs(np.array(found) / errors - 1).max() <= NEGLIGIBLE


def test_they_are_what_the_normal_equations_tell():
    rows, config = InMemory(*table(20, 30)), LeastSquaresConfig(l2=0.3)
    answer = fit_rows(rows, config, ONE).answer
    best = optimum(rows, l2=0.3)
    scale = np.sqrt(answer.uncertainty.variances)
    scale = np.ldexp(scale, -answer.equations.exponent[:30])
    scale *= best.weight_standard_errors[0, 0] / scale[0]
    assert agree(best.weight_standard_errors[0], scale, 1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("num_targets", [1, 3])
def test_the_objective_is_scikit_learns(weighted, intercept, num_targets):
    features, targets = table(num_targets=num_targets)
    features[:, 1], features[:, 2] = features[:, 0], 7.0
    weights = np.linspace(0.1, 3.0, 60) if weighted else None
    best = optimum(InMemory(features, targets, weights), intercept=intercept, l2=0.3)
    peer = Ridge(alpha=0.3, fit_intercept=intercept, solver="cholesky", tol=0)
    peer.fit(features, targets, weights)
    assert agree(best.weight, peer.coef_, 1e-9)
    assert best.weight[0, 0] == best.weight[0, 1]
    assert not intercept or (best.weight[:, 2] == 0).all()


def test_the_order_of_rows_and_batches_does_not_matter():
    features, target = table()
    order = np.random.default_rng(1).permutation(60)
    one = optimum(InMemory(features, target), l2=0.3)
    other = optimum(InMemory(features[order], target[order], sizes=[7, 0, 50, 3]), l2=0.3)
    assert agree(one.weight, other.weight, U)
    assert agree(one.weight_standard_errors, other.weight_standard_errors, 1e-12)


def test_float32_rows_are_those_of_their_float64_numbers():
    features, target = (values.astype(np.float32) for values in table())
    best = optimum(InMemory(features, target), l2=0.3)
    same = optimum(InMemory(features.astype(np.float64), target.astype(np.float64)), l2=0.3)
    assert (best.weight == same.weight).all()


@pytest.mark.parametrize("large", [1e3, 1e9])
def test_the_bound_holds_whatever_the_scales(large):
    features, target = table(5, 12)
    features[:, :2] *= large
    features[:, 2:4] /= large
    best = optimum(InMemory(features, target), l2=0.5)
    exact = solve_exactly(features, target, l2=0.5)
    errors = [
        abs(float(Fraction(float(found)) - value))
        for found, value in zip(best.weight[0], exact.coefficients[1:], strict=True)
    ]
    distance = best.distance_in_standard_errors[0]
    rounding = U * np.abs(best.weight[0])
    assert (errors <= distance * best.weight_standard_errors[0] + rounding).all()
    reach = np.maximum(features.max(axis=0) - best.mean, best.mean - features.min(axis=0))
    assert errors @ reach <= best.distance_bound[0]
    assert distance <= NEGLIGIBLE


@pytest.mark.parametrize("exponent", [-300, 300])
def test_columns_beyond_any_unit_are_fitted(exponent):
    features, target = table(5, 12)
    best = optimum(InMemory(np.ldexp(features, exponent), target), l2=2.0 ** (2 * exponent - 1))
    exact = optimum(InMemory(features, target), l2=0.5)
    assert agree(np.ldexp(best.weight, exponent), exact.weight, 2 * U)


def test_columns_far_from_zero_lose_no_digit():
    features, target = table(offset=0.0)
    features = np.round(features * 2**20) / 2**20
    near = optimum(InMemory(features, target), l2=0.3)
    far = optimum(InMemory(features + 2.0**30, target), l2=0.3)
    assert agree(near.weight, far.weight, 2 * U)


def test_rows_that_are_the_same_are_told_apart_by_the_ridge():
    features, target = table(30)
    rows = InMemory(np.vstack([features, features]), np.vstack([target, -target]))
    best = optimum(rows, l2=0.3)
    assert np.abs(best.weight).max() <= 1e-20
    assert best.degrees_of_freedom == pytest.approx(30, abs=1)
    with pytest.raises(TrainingError, match="too weak for numbers of this size") as raised:
        optimum(rows, l2=1e-40)
    (stronger,) = re.findall(r"l2=([0-9.e-]+)", str(raised.value))
    assert np.abs(optimum(rows, l2=float(stronger)).weight).max() <= 1e-15  # where 0 is right


@pytest.mark.parametrize("intercept", [True, False])
def test_without_a_ridge_the_shortest_weight_is_scikit_learns(intercept):
    features, target = table(num_targets=2)
    best = optimum(InMemory(features, target), intercept=intercept, rank_deficient="minimum-norm")
    peer = LinearRegression(fit_intercept=intercept).fit(features, target)
    assert agree(best.weight, peer.coef_, 1e-12)
    assert best.rank == 60 - intercept
    assert best.degrees_of_freedom == 0
    assert np.isnan(best.weight_standard_errors).all()
    assert np.isnan(best.variance_inflation).all()


def test_the_shortest_weight_costs_one_factor_of_the_rows(monkeypatch):
    sizes = []

    def counting(gram, doubt):
        sizes.append(len(doubt))
        return inverse_factor(gram, doubt)

    monkeypatch.setattr(_dual_equations, "inverse_factor", counting)
    fit = fit_least_squares(InMemory(*table()), LeastSquaresConfig(rank_deficient="minimum-norm"))
    assert sizes == [60]
    (warning,) = fit.warnings
    assert "too few rows: 60" in warning
    assert "the shortest in raw units were chosen" in warning


@pytest.mark.parametrize("read_once", [False, True])
def test_rows_that_are_combinations_of_others_are_left_to_the_normal_equations(read_once):
    features, target = table(6, 20)
    rows = InMemory(np.vstack([features, features]), np.vstack([target, target]), sizes=[5, 7])
    rows.read_once = read_once
    best = optimum(rows, rank_deficient="minimum-norm")
    assert best.rank == 5
    peer = LinearRegression().fit(*rows.arrays)
    assert agree(best.weight, peer.coef_, 1e-9)


@pytest.mark.parametrize("num_rows", [12, 13, 14])
def test_enough_rows_are_summed_as_they_come(num_rows):
    """13 rows are as many as coefficients; either way the optimum is the same."""
    features, target = table(num_rows, 12)
    rows = InMemory(features, target, sizes=[5, 8, num_rows - 13] if num_rows > 12 else [5, 7])
    best = optimum(rows, l2=0.5)
    assert agree(coefficients(best), solve_exactly(features, target, l2=0.5).rounded(), 4 * U)
    assert rows.passes == 1


def test_the_model_holds_the_columns_ranges_means_and_deviations():
    features, target = table(offset=1e6)
    features[:, 0] = 4.0
    fit = fit_least_squares(InMemory(features, target), LeastSquaresConfig(l2=0.3))
    columns = fit.model.features
    assert [column.minimum for column in columns] == features.min(axis=0).tolist()
    assert [column.maximum for column in columns] == features.max(axis=0).tolist()
    means = [math.fsum(values) / 60 for values in features.T.tolist()]
    assert agree([column.mean for column in columns], means, 2 * U)
    deviations = [column.standard_deviation for column in columns]
    assert agree(deviations, features.std(axis=0), 1e-9)
    assert deviations[0] == 0
    statistics = fit.record.statistics
    assert statistics.condition_number is None
    assert 0 < statistics.targets["y"].r2 < 1
    r2 = Ridge(alpha=0.3, solver="svd").fit(features, target).score(features, target)
    assert statistics.targets["y"].r2 == pytest.approx(r2, abs=1e-9)


@pytest.mark.parametrize("num_rows", [1, 5])
def test_rows_that_tell_nothing_give_weights_of_0(num_rows):
    best = optimum(InMemory(np.ones((num_rows, 9)), np.arange(num_rows) + 1.0), l2=0.5)
    assert (best.weight == 0).all()
    assert best.bias == (num_rows + 1) / 2


def test_weights_whose_sums_are_beyond_float64_are_an_error():
    features, target = table(5, 12)
    with pytest.raises(TrainingError, match="weights are too large or too far apart"):
        optimum(InMemory(features, target, np.full(5, 1e308)), l2=0.5)
