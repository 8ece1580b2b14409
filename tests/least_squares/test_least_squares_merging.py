"""One factor for any number of rows: merging, passes, and what decides them."""

from fractions import Fraction
from functools import reduce

import numpy as np
import pytest
from exact_least_squares import InMemory, solve_exactly
from hypothesis import given, strategies as st
from threaded_ranks import on_ranks

from linexport.least_squares._factor import Factor, Frame
from linexport.least_squares._passes import CAREFUL, Accumulator, Plan
from linexport.least_squares._solver import LeastSquaresConfig, fit_least_squares, optimum

U = 2.0**-53


def table(num_rows, num_features=3, *, seed=0):
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(num_rows, num_features)) * [1, 100, 0.01] + [0, 1e4, 5]
    target = features @ [1.0, 0.02, 30.0] + generator.normal(size=num_rows)
    return features, target[:, None]


def factor_of(features, target, plan=None, *, weights=None):
    accumulator = Accumulator(features.shape[1], target.shape[1], plan or Plan())
    accumulator.add(features, target, weights)
    return accumulator.factor()


def from_zero(factor):
    """The factor seen from 0, in units of 1, so that factors can be compared."""
    zeros = np.zeros_like(factor.frame.shift)
    return factor.moved(Frame(zeros, zeros.astype(np.int32))).gram


def assert_same_sums(one, other):
    """The Gram matrices differ by no more than the two bounds on their errors."""
    first, second = from_zero(one), from_zero(other)
    allowed = np.outer(first.error, first.error) + np.outer(second.error, second.error)
    high, low = (a - b for a, b in zip(first.matrix, second.matrix, strict=True))
    assert (np.abs(high + low) <= allowed).all()


def assert_same_rows(one, other):
    assert one.num_rows == other.num_rows
    assert np.array_equal(one.minimum, other.minimum)
    assert np.array_equal(one.maximum, other.maximum)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_factors_merge_in_any_partition_and_order_to_within_their_bounds(sizes, random):
    features, target = table(sum(sizes))
    ends = np.cumsum(sizes)
    parts = [
        factor_of(features[end - size : end], target[end - size : end])
        for size, end in zip(sizes, ends, strict=True)
    ]
    whole = factor_of(features, target)
    random.shuffle(parts)
    left_to_right = reduce(Factor.merge, parts)
    right_to_left = reduce(lambda a, b: b.merge(a), reversed(parts))
    for merged in (left_to_right, right_to_left):
        assert_same_rows(merged, whole)
        if whole.num_rows:
            assert_same_sums(merged, whole)


def test_factors_of_plain_and_careful_sums_merge_to_within_their_bounds():
    features, target = table(100_000)
    whole = factor_of(features, target, Plan(num_slices=CAREFUL))
    parts = [
        factor_of(features[:20_000], target[:20_000], Plan(num_slices=CAREFUL)),
        factor_of(features[20_000:], target[20_000:]),
    ]
    merged = parts[1].merge(parts[0])
    assert merged.num_slices == 0
    assert_same_sums(merged, whole)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("num_slices", [0, 1, 2, 3])
def test_sums_are_right_to_within_their_bound(num_slices, weighted):
    """The oracle is a sum in Python's integers: columns and weights are multiples of 2**-40."""
    features, target = (np.rint(array * 2.0**40) / 2.0**40 for array in table(70_000))
    weights = np.ones(len(target))
    if weighted:
        weights = np.random.default_rng(4).integers(1, 2**42, len(target)) / 2.0**40
    columns = np.column_stack([features, target, np.ones(len(target))])
    whole_numbers, whole_weights = (
        (array * 2.0**40).astype(np.int64).astype(object) for array in (columns, weights)
    )
    true = (whole_numbers.T * whole_weights) @ whole_numbers  # in units of 2**-120
    plan = Plan(num_slices=num_slices)
    gram = from_zero(factor_of(features, target, plan, weights=weights if weighted else None))
    for i, j in np.ndindex(true.shape):
        ours = int(gram.matrix.high[i, j] * 2.0**120) + int(gram.matrix.low[i, j] * 2.0**120)
        assert abs(ours - true[i, j]) <= gram.error[i] * gram.error[j] * 2.0**120 + 1


def test_small_data_are_read_once_and_give_every_digit():
    rows = InMemory(*table(2000))
    best = optimum(rows)
    assert rows.passes == 1
    assert best.distance_in_standard_errors[0] < 1e-20


def test_large_noisy_data_are_read_once_as_their_bound_is_negligible():
    features, target = table(100_000)
    rows = InMemory(features, target)
    quick = optimum(rows)
    assert rows.passes == 1
    careful = optimum(InMemory(features, target, sizes=[100_000]))
    assert 1e-15 < quick.distance_in_standard_errors[0] < 2.0**-20
    distance = np.abs(quick.weight - careful.weight) / quick.weight_standard_errors
    assert distance.max() <= quick.distance_in_standard_errors[0]


@pytest.mark.parametrize("noise", [1e-5, 1e-12, 0.0])
def test_large_data_whose_noise_is_small_are_refined_by_their_residuals(noise):
    features, target = table(100_000)
    exact = features @ [1.0, 0.5, 64.0]
    rows = InMemory(features, (exact + noise * target[:, 0]))
    best = optimum(rows)
    assert rows.passes == 2
    assert best.distance_in_standard_errors[0] < 2.0**-20
    assert best.residuals_known.all()


@pytest.mark.parametrize("l2", [0.0, 1e-3])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_refined_coefficients_are_those_of_careful_sums(l2, intercept, weighted):
    features, target = table(40_000)
    targets = np.column_stack([features @ [1.0, 0.5, 64.0] + 1e-7 * target[:, 0], target])
    weights = np.arange(40_000.0) % 5 if weighted else None
    options = {"l2": l2, "intercept": intercept}
    once = InMemory(features, targets, weights)
    once.read_once = True
    careful = optimum(once, **options)
    rows = InMemory(features, targets, weights, sizes=[1, 30_000, 9_999])
    refined = optimum(rows, **options)
    assert rows.passes == 2
    apart = np.abs(refined.weight - careful.weight)
    assert (apart[0] <= 4 * U * np.abs(careful.weight[0])).all()  # what is left of y is small
    within = refined.distance_in_standard_errors[:, None] * refined.weight_standard_errors
    assert (apart <= within + 4 * U * np.abs(careful.weight)).all()
    assert (refined.distance_in_standard_errors < 2.0**-20).all()
    known = careful.residual_sum_of_squares
    assert refined.residual_sum_of_squares == pytest.approx(known, rel=1e-10)


def test_large_data_that_fit_exactly_leave_no_residual():
    features = np.rint(table(40_000)[0] * 64) / 64
    rows = InMemory(features, features @ [1.0, 0.5, 64.0] + 1)
    best = optimum(rows)
    assert rows.passes <= 3
    assert best.residual_sum_of_squares == [0.0]
    assert best.weight[0].tolist() == [1.0, 0.5, 64.0]


def nearly_dependent(num_rows):
    features, target = table(num_rows)
    apart = np.random.default_rng(1).normal(size=num_rows)
    features[:, 1] = features[:, 0] + 2.0**-20 * apart
    return features, target


def test_large_data_that_are_nearly_dependent_are_read_again_more_carefully():
    features, target = nearly_dependent(50_000)
    rows = InMemory(features, target)
    best = optimum(rows)
    assert rows.passes == 2
    assert best.condition_number > 1e6
    assert best.distance_in_standard_errors[0] < 2.0**-20


def test_rows_that_can_be_read_but_once_are_summed_carefully_at_once():
    features, target = nearly_dependent(50_000)
    once, again = InMemory(features, target), InMemory(features, target)
    once.read_once = True
    result = fit_least_squares(once, LeastSquaresConfig())
    best = optimum(again)
    assert (once.passes, again.passes) == (1, 2)
    coefficients = list(result.record.coefficients["y"].features.values())
    assert np.abs(coefficients / best.weight[0] - 1).max() < 1e-9


def test_rows_in_the_order_of_their_values_lose_no_digit():
    """The shift then comes from one end of the data, far from their mean."""
    features, target = table(3000)
    order = features[:, 1].argsort()
    shuffled, ordered = (
        optimum(InMemory(array[0], array[1]))
        for array in ((features, target), (features[order], target[order]))
    )
    assert np.abs(ordered.weight / shuffled.weight - 1).max() <= 2 * U


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 7])
def test_ranks_with_any_share_of_the_rows_give_the_result_of_one_process(num_ranks):
    features, target = table(60_000)
    alone = optimum(InMemory(features, target))
    generator = np.random.default_rng(num_ranks)
    ends = np.sort(generator.integers(0, 60_001, num_ranks - 1))
    shares = np.split(np.arange(60_000), ends)

    def fit(ranks):
        share = shares[ranks.rank]
        rows = InMemory(features[share], target[share])
        return fit_least_squares(rows, LeastSquaresConfig(), ranks=ranks)

    for result in on_ranks(num_ranks, fit):
        apart = np.abs(list(result.record.coefficients["y"].features.values()) - alone.weight[0])
        within = result.record.optimum["y"].standard_errors + alone.distance_in_standard_errors[0]
        rounding = U * np.abs(alone.weight[0])
        assert (apart <= within * alone.weight_standard_errors[0] + rounding).all()


def test_a_rank_without_rows_changes_nothing():
    features, target = table(100)
    factor, empty = factor_of(features, target), factor_of(features[:0], target[:0])
    assert empty.merge(factor) is factor
    assert factor.merge(empty) is factor
    assert empty.merge(empty).num_rows == 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_predictions_are_within_the_distance_bound_of_the_exact_optimum(seed, extra):
    """The bound covers all of the training range: its corners, and level and slopes as rounded."""
    features, target = table(4 + extra, seed=seed)
    result = fit_least_squares(InMemory(features, target), LeastSquaresConfig())
    exact = solve_exactly(features, target)
    bound = result.record.optimum["y"].prediction
    model = result.model
    weight = [Fraction(float(w)) for w in model.weight[0]]
    for corner in np.ndindex(2, 2, 2):
        point = [
            Fraction((column.minimum, column.maximum)[end])
            for column, end in zip(model.features, corner, strict=True)
        ]
        ours = Fraction(float(model.bias[0])) + sum(
            w * (x - Fraction(float(m))) for w, x, m in zip(weight, point, model.mean, strict=True)
        )
        assert abs(ours - exact.predict([Fraction(1), *point])) <= bound
