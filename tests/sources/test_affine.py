"""Layers composed into one model, against rational arithmetic."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st

from linexport.errors import ModelError
from linexport.numerics._affine import input_columns
from linexport.numerics._bounds import FLOAT64, gamma
from linexport.numerics._composed import exact_map, linear_model, rescaled
from linexport.numerics._joined import beside, constants, summed

WIDTH = 3
# No underflow: products of a dozen of these are far from 2**-1022.
values = st.floats(2.0**-20, 2.0**20) | st.floats(-(2.0**20), -(2.0**-20))
vectors = st.lists(values, min_size=WIDTH, max_size=WIDTH)
steps = st.lists(st.tuples(st.sampled_from(["plus", "times"]), vectors), max_size=5)
weights = st.lists(vectors, min_size=WIDTH, max_size=WIDTH)
places = st.lists(st.integers(0, 3 * WIDTH - 1), min_size=1, max_size=8)


def fractions(vector):
    return [Fraction(float(value)) for value in vector]


def exact_dot(row, vector):
    return sum(a * b for a, b in zip(fractions(row), vector, strict=True))


@given(steps, weights, steps, vectors)
def test_the_model_means_what_its_layers_mean(before, weight, after, x):
    """Each number of the model is rounded to float64 once, and a mean's remainder is kept."""
    composed = input_columns(WIDTH)
    exact, magnitude = fractions(x), [abs(value) for value in fractions(x)]

    def apply(kind, vector):
        nonlocal composed, exact, magnitude
        composed = getattr(composed, kind)(np.array(vector))
        numbers = fractions(vector)
        if kind == "plus":
            exact = [a + b for a, b in zip(exact, numbers, strict=True)]
            magnitude = [a + abs(b) for a, b in zip(magnitude, numbers, strict=True)]
        else:
            exact = [a * b for a, b in zip(exact, numbers, strict=True)]
            magnitude = [a * abs(b) for a, b in zip(magnitude, numbers, strict=True)]

    for step in before:
        apply(*step)
    composed = composed.through(np.array(weight))
    exact = [exact_dot(row, exact) for row in weight]
    magnitude = [exact_dot(np.abs(row), magnitude) for row in weight]
    for step in after:
        apply(*step)
    model = linear_model(composed, WIDTH)
    mean = [0.0] * WIDTH if model.mean is None else model.mean
    centred = [Fraction(a) - Fraction(float(m)) for a, m in zip(x, mean, strict=True)]
    # The weight and the bias are each rounded once; everything before in double-double, whose
    # errors of some 2**-100 are covered by a third.
    limit = Fraction(gamma(3, unit_roundoff=2.0**-53))
    for row, bias, truth, size in zip(model.weight, model.bias, exact, magnitude, strict=True):
        meant = exact_dot(row, centred) + Fraction(float(bias))
        assert abs(meant - truth) <= limit * size


@given(steps, steps, places, vectors)
def test_scaled_columns_are_combined_as_combinations_of_themselves_are(some, more, taken, numbers):
    """Some columns twice, about several means, and constants among them."""
    parts = []
    for part in (some, more):
        made = input_columns(WIDTH)
        for kind, vector in part:
            made = getattr(made, kind)(np.array(vector))
        parts.append(made)
    made = beside([*parts, constants(np.array(numbers), FLOAT64)]).taken(np.array(taken))
    direct, by_themselves = (exact_map(each, WIDTH) for each in (made, made.mixed()))
    for ours, theirs in ((direct.weight, by_themselves.weight), (direct.bias, by_themselves.bias)):
        assert np.array_equal(ours, theirs)
    assert np.array_equal(direct.affine.mean, by_themselves.affine.mean)


def test_memory_is_that_of_the_weights_where_few_columns_make_many_values():
    num_values = 9_000
    repeated = input_columns(2).plus(np.array([1.0, 2.0])).taken(np.arange(num_values) % 2)
    tracemalloc.start()
    model = linear_model(repeated, 2)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.array_equal(model.weight, np.tile(np.eye(2), (num_values // 2, 1)))
    assert most < 64 * model.weight.nbytes < num_values**2  # of bytes; a square takes 8 times that


def test_a_scale_is_multiplied_into_the_weight_and_rounded_once():
    mean, scale = np.array([1e6, -3.0, 0.1]), np.array([3.0, 0.7, 1e-5])
    weight, bias = np.array([[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]]), np.array([0.0, 0.4])
    model = linear_model(
        input_columns(3).plus(-mean).times(scale).through(weight).plus(bias), num_features=3
    )
    assert np.array_equal(model.mean, mean)
    assert np.array_equal(model.bias, bias)
    products = [
        [float(w * s) for w, s in zip(fractions(row), fractions(scale), strict=True)]
        for row in weight
    ]
    assert model.weight.tolist() == products


def test_a_scaler_says_where_its_features_lie():
    """Its mean and deviation stand for a range that is not known."""
    composed = input_columns(2).plus(np.array([-5.0, 0.0])).times(np.array([-0.25, 1.0]))
    again = composed.plus(np.array([1.0, 1.0])).times(np.array([7.0, 7.0]))
    for values in (composed, again):
        model = linear_model(values.through(np.ones((1, 2))), 2)
        assert [column.mean for column in model.features] == [5.0, None]
        assert [column.standard_deviation for column in model.features] == [4.0, None]


@pytest.mark.parametrize("factors", [(1e-200, 1e-200), (1e200, 1e200), (1e-160, 1e-150)])
@pytest.mark.parametrize(
    "layers", ["scalers", "scaler and weight", "weight and target", "weights", "biases", "shifts"]
)
def test_a_weight_that_float64_cannot_hold_is_refused(factors, layers):
    """Neither infinity nor 0, nor a subnormal number that has lost its digits."""
    first, second = (np.array([factor]) for factor in factors)
    values = input_columns(1)
    compose = {
        "scalers": lambda: values.times(first).times(second),
        "scaler and weight": lambda: linear_model(values.times(first).through(second[None]), 1),
        "weight and target": lambda: values.through(first[None]).times(second),
        "weights": lambda: values.through(first[None]).through(second[None]),
        "biases": lambda: values.mixed().plus(first).through(second[None]),
        "shifts": lambda: values.times(np.array([2.0])).plus(first).times(second),
    }
    with pytest.raises(ModelError, match=r"A weight times a scale, .* is beyond float64"):
        compose[layers]()


def test_a_product_below_float64_is_no_error_where_others_hide_it():
    """A wide layer behind another has such products by the thousand, in sums of ordinary size."""
    first = input_columns(2).through(np.array([[1e-200, 1.0], [1.0, 1.0]]))
    model = linear_model(first.through(np.array([[1e-200, 3.0]])), 2)
    assert model.weight.tolist() == [[3.0, 3.0]]


def test_a_subnormal_weight_stays_what_it_is_where_nothing_scales_it():
    values = input_columns(2).plus(np.array([1.0, 1.0])).times(np.array([1.0, 0.0]))
    model = linear_model(values.through(np.array([[5e-324, 1e-300]])), 2)
    assert model.weight.tolist() == [[5e-324, 0.0]]


def test_columns_may_come_in_another_order_or_not_at_all():
    second, first = input_columns(1, start=2), input_columns(1, start=0)
    joined = beside([second.plus(np.array([-5.0])), first])
    model = linear_model(joined.through(np.array([[2.0, 3.0]])), num_features=3)
    assert model.weight.tolist() == [[3.0, 0.0, 2.0]]
    assert model.mean.tolist() == [0.0, 0.0, 5.0]


def test_a_column_that_enters_twice_has_both_weights():
    """Added in double-double: 1 and 2**-60 make what float64 does not hold."""
    twice = beside([input_columns(2), input_columns(1)])
    exact = exact_map(twice.through(np.array([[1.0, 5.0, 2.0**-60]])), num_features=2)
    assert exact.weight.high.tolist() == [[1.0, 5.0]]
    assert exact.weight.low.tolist() == [[2.0**-60, 0.0]]


def test_targets_on_differently_scaled_features_are_of_one_mean():
    plain = input_columns(2).plus(np.array([-4.0, 0.0])).through(np.ones((1, 2)))
    scaled = input_columns(2).plus(np.array([-1.0, 7.0])).times(np.array([2.0, 3.0]))
    model = linear_model(beside([plain, scaled.through(np.ones((1, 2)))]), 2)
    assert model.weight.tolist() == [[1, 1], [2, 3]]
    at_zero = model.bias - model.weight @ model.mean
    assert at_zero.tolist() == [-4, -2 + 21]
    assert model.mean.tolist() == [4, -7]


@given(vectors, vectors, vectors, vectors, vectors)
def test_sums_of_what_was_made_apart_are_exact(scale, mean, other_scale, term, x):
    """Whether of the same columns, of others, or of combinations of them."""
    scale, mean, other_scale, term = map(np.array, (scale, mean, other_scale, term))
    first = input_columns(WIDTH).plus(-mean).times(scale)
    second = input_columns(WIDTH).times(other_scale).plus(term)
    turned = second.taken(np.array([1, 2, 0]))
    fixed = constants(term, FLOAT64)
    a = [(x - m) * s for x, m, s in zip(*map(fractions, (x, mean, scale)), strict=True)]
    b = [x * s + t for x, s, t in zip(*map(fractions, (x, other_scale, term)), strict=True)]
    rest = [b[1], b[2], b[0]]
    size = max(*map(abs, a), *map(abs, b), *np.abs(mean * scale).tolist())
    size = Fraction(size) + Fraction(np.abs(mean).max()) * Fraction(np.abs(other_scale).max())
    for values, truth in (
        (summed([first, second]), [p + q for p, q in zip(a, b, strict=True)]),
        (summed([first, fixed]), [p + Fraction(float(t)) for p, t in zip(a, term, strict=True)]),
        (summed([first, turned]), [p + q for p, q in zip(a, rest, strict=True)]),
        (
            summed([first.mixed(), turned.mixed(), second]),
            [sum(each) for each in zip(a, rest, b, strict=True)],
        ),
    ):
        got = exact_map(values, WIDTH).evaluate(np.array([x]))
        for high, low, wanted in zip(got.high[0], got.low[0], truth, strict=True):
            apart = abs(Fraction(float(high)) + Fraction(float(low)) - wanted)
            assert apart <= size * Fraction(2) ** -90


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_what_is_no_number_is_not_said_to_want_other_units(number):
    values = input_columns(2).times(np.array([2.0, 3.0]))
    wrong = np.array([1.0, number])
    for compose in (
        lambda: values.times(wrong),
        lambda: values.over(wrong),
        lambda: linear_model(values.through(wrong[None]), 2),
        lambda: linear_model(values.through(np.ones((2, 2))).plus(wrong).through(np.eye(2)), 2),
    ):
        with pytest.raises(ModelError, match="A weight, scale or shift of it is NaN or infinite"):
            compose()


def test_a_weight_is_rescaled_with_one_rounding_or_not_at_all():
    weight = np.array([[0.1, 0.7], [1.0, -3.0]])
    factor = np.array([3.0, 1e-7])
    products = [
        [float(w * f) for w, f in zip(fractions(row), fractions(factor), strict=True)]
        for row in weight
    ]
    assert rescaled(weight, factor).tolist() == products
    with pytest.raises(ModelError, match="is beyond float64"):
        rescaled(weight, np.array([1.0, 1e-308]))
