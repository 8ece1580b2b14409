"""Sums without error: held to rational arithmetic, and to themselves in any order."""

from dataclasses import replace
from fractions import Fraction

import bitrep
import numpy as np
import pytest
from exact_least_squares import InMemory, solve_exactly
from hypothesis import given, settings, strategies as st

from linexport.columns import default_columns
from linexport.least_squares import ExactSums, LeastSquaresConfig, OutOfRangeError, SummedRows
from linexport.least_squares._possible import are_possible
from linexport.least_squares._solver import fit_least_squares
from linexport.least_squares._summing import Summing

SHAPES = {
    "normal": lambda random, n: random.standard_normal((n, 3)),
    "far from 0": lambda random, n: 1e6 + random.standard_normal((n, 2)),
    "tails beyond any grid": lambda random, n: np.exp(15 * random.standard_normal((n, 2))),
    "0 and 1": lambda random, n: random.integers(0, 2, (n, 3)).astype(float),
    "float32": lambda random, n: random.standard_normal((n, 2)).astype(np.float32).astype(float),
    "far apart": lambda random, n: random.standard_normal((n, 2)) * [1e-70, 1e70],
    "now and then tiny": lambda random, n: np.where(
        random.random((n, 2)) < 0.01, 1e-60, random.standard_normal((n, 2))
    ),
}
WEIGHTS = {
    "none": lambda *_: None,
    "frequencies": lambda random, n: random.integers(0, 4, n).astype(float),
    "any": lambda random, n: np.exp(5 * random.standard_normal(n)),
}


def added(columns, weights=None, parts=None):
    """The sums of rows that come in parts, each an array of places."""
    summing = Summing(columns.shape[1])
    for part in [slice(None)] if parts is None else parts:
        summing.add(columns[part], None if weights is None else weights[part])
    return summing.sums()


def exactly(columns, weights):
    rows = [[*map(Fraction, row), Fraction(1)] for row in columns.tolist()]
    counts = [1] * len(rows) if weights is None else [Fraction(w) for w in weights.tolist()]
    places = range(len(rows[0]))
    return [
        [sum(w * row[i] * row[j] for w, row in zip(counts, rows, strict=True)) for j in places]
        for i in places
    ]


def in_fractions(sums):
    unit = Fraction(2) ** sums.exponent
    return [[int(value) * unit for value in row] for row in sums.products]


def assert_equal(a: ExactSums, b: ExactSums):
    assert (a.exponent, a.num_rows, a.log_weights) == (b.exponent, b.num_rows, b.log_weights)
    assert (a.products == b.products).all()


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_sums_are_those_of_rational_arithmetic(shape, weight):
    random = np.random.default_rng(1)
    columns, weights = SHAPES[shape](random, 150), WEIGHTS[weight](random, 150)
    assert in_fractions(added(columns, weights)) == exactly(columns, weights)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            *[
                st.floats(-(2.0**300), 2.0**300).filter(lambda x: x == 0 or abs(x) >= 2.0**-300)
                for _ in range(2)
            ],
            st.sampled_from([0.0, 1.0, 0.1, 2.0**-100, 2.0**100, 3.0]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_no_numbers_within_the_range_cost_a_bit(rows):
    table = np.array(rows)
    columns, weights = table[:, :2], table[:, 2]
    sums = added(columns, weights)
    assert in_fractions(sums) == exactly(columns, weights)
    assert not sums.num_rows or are_possible(sums, np.abs(columns).max(axis=0), {})


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_order_and_parts_leave_no_trace(shape, weight):
    random = np.random.default_rng(2)
    columns, weights = SHAPES[shape](random, 9000), WEIGHTS[weight](random, 9000)
    whole = added(columns, weights)
    order = random.permutation(len(columns))
    assert_equal(added(columns, weights, [order]), whole)
    assert_equal(added(columns, weights, np.array_split(order, 7)), whole)
    assert_equal(added(columns, weights, [np.argsort(np.abs(columns[:, 0]))]), whole)
    first, second = (added(columns, weights, [part]) for part in (order[:99], order[99:]))
    assert_equal((second + first).reduced(), whole)
    assert_equal((whole - second).reduced(), first)


def test_columns_whose_size_changes_get_another_grid():
    random = np.random.default_rng(3)
    columns = random.standard_normal((12_000, 2))
    columns[4000:8000] *= 1e12
    columns[8000:] *= 1e-12
    order = random.permutation(len(columns))
    assert_equal(added(columns), added(columns, None, [order]))
    assert in_fractions(added(columns))[0][1] == sum(
        Fraction(a) * Fraction(b) for a, b in columns.tolist()
    )


@pytest.mark.parametrize(
    ("value", "weight", "column"),
    [(1e91, 1.0, 0), (1e-91, 1.0, 0), (1.0, 1e31, 1), (1.0, 1e-31, 1)],
)
def test_a_number_that_products_would_round_is_refused(value, weight, column):
    with pytest.raises(OutOfRangeError) as caught:
        added(np.array([[1.0], [value]]), np.array([1.0, weight]))
    assert caught.value.column == column
    assert caught.value.value in (value, weight)


def forged(sums, row, column, value):
    products = sums.products.copy()
    products[row, column] = products[column, row] = value
    return replace(sums, products=products)


def test_sums_that_no_rows_have_are_told():
    """Of 3 rows of (1, 2), of which one lacks the 2."""
    values, marks = np.array([[1.0, 2.0, 0.0], [1.0, 2.0, 0.0], [1.0, 0.0, 1.0]]), {1: 2}
    summing = Summing(3, marks=marks)
    summing.add(values, None)
    sums, largest = summing.sums(), np.array([1.0, 2.0, 1.0])
    assert are_possible(sums, largest, marks)
    assert not are_possible(sums, np.array([0.5, 2.0, 1.0]), marks)
    assert not are_possible(sums, np.array([2.0**301, 2.0, 1.0]), marks)
    assert are_possible(forged(sums, 1, 1, 12), largest, {})
    for row, column, value in ((0, 0, 4), (0, 0, -3), (1, 3, 5), (1, 1, 9), (0, 1, 16), (0, 2, -8)):
        assert not are_possible(forged(sums, row, column, value), largest, marks)
    for changed in ({"exponent": 101}, {"exponent": -101}, {"log_weights": 1 << 50}):
        assert not are_possible(replace(sums, **changed), largest, marks)


def test_sums_are_read_as_they_were_written():
    sums = added(np.random.default_rng(4).standard_normal((50, 3)), np.full(50, 0.3))
    data = sums.packed(sums.width)
    assert_equal(
        ExactSums.unpacked(data, order=4, exponent=sums.exponent, num_rows=sums.num_rows), sums
    )


def summed(features, target, weights=None):
    """The rows, with nothing left of them but sums."""
    columns = np.column_stack([features, target])
    rows = InMemory(features, target, weights)
    return SummedRows(
        features=default_columns("x", features.shape[1]),
        targets=default_columns("y", 1),
        sums=added(columns, weights),
        minimum=columns.min(axis=0),
        maximum=columns.max(axis=0),
        unit_roundoff=np.full(columns.shape[1], 2.0**-53),
        weighting=rows.weighting,
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_coefficients_are_the_exact_optimum_rounded_once(intercept, weighted):
    random = np.random.default_rng(5)
    features = 1e4 + random.standard_normal((60, 3)) * [1, 1e-3, 1e3]
    features[:, 2] += features[:, 0]
    target = features @ [1.0, -2.0, 0.5] + random.standard_normal(60)
    weights = random.random(60) if weighted else None
    fit = fit_least_squares(
        summed(features, target, weights), LeastSquaresConfig(intercept=intercept)
    )
    found = fit.record.coefficients["y"]
    best = solve_exactly(features, target, intercept=intercept, weights=weights)
    numbers = [*([found.intercept] if intercept else []), *found.features.values()]
    assert numbers == best.rounded()
    errors = fit.record.statistics.targets["y"]
    known = [errors.features[name].standard_error for name in found.features]
    assert known == pytest.approx(best.standard_errors()[intercept:], rel=1e-9)


def test_bitrep_has_the_same_coefficients_bit_for_bit():
    """Another's exact least squares, in integers from first to last."""
    random = np.random.default_rng(6)
    features = 100 + random.standard_normal((500, 12))
    target = features @ random.standard_normal(12) + random.standard_normal(500)
    witness = bitrep.CovMatrixF64(12)
    for row, value in zip(features.tolist(), target.tolist(), strict=True):
        witness.add(row, value)
    fit = fit_least_squares(summed(features, target), LeastSquaresConfig())
    found = fit.record.coefficients["y"]
    assert [found.intercept, *found.features.values()] == witness.regression_exact()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("size", [0, 1, 2**10])
def test_residuals_too_small_for_rounded_sums_are_told_by_exact_ones(size, intercept, weighted):
    """Down to 1e-31 of the total sum of squares, of which double-double sums keep no digit."""
    random = np.random.default_rng(7)
    features = np.rint(random.normal([1e3, 0, 5], [50, 3, 1], size=(40, 3)) * 64) / 64
    noise = size * np.rint(random.normal(size=40) * 4) * 2.0**-43
    target = features @ [1.0, 2.0, 3.0] + noise
    weights = np.arange(40.0) if weighted else None
    fit = fit_least_squares(
        summed(features, target, weights), LeastSquaresConfig(intercept=intercept)
    )
    best = solve_exactly(features, target, intercept=intercept, weights=weights)
    found = fit.record.statistics.targets["y"]
    expected = float(best.residual_sum_of_squares)
    assert found.residual_sum_of_squares == pytest.approx(expected, rel=1e-9, abs=0)
