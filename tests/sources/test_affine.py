"""Layers composed into one model, against rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linexport.errors import ModelError
from linexport.numerics._affine import input_columns, linear_model
from linexport.numerics._bounds import gamma

WIDTH = 3
# No underflow: products of a dozen of these are far from 2**-1022.
values = st.floats(2.0**-20, 2.0**20) | st.floats(-(2.0**20), -(2.0**-20))
vectors = st.lists(values, min_size=WIDTH, max_size=WIDTH)
steps = st.lists(st.tuples(st.sampled_from(["plus", "times"]), vectors), max_size=5)
weights = st.lists(vectors, min_size=WIDTH, max_size=WIDTH)


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
    scale = [1.0] * WIDTH if model.scale is None else model.scale
    scaled = [
        (Fraction(a) - Fraction(float(m))) * Fraction(float(s))
        for a, m, s in zip(x, mean, scale, strict=True)
    ]
    # The weight and the bias are each rounded once; everything before in double-double, whose
    # errors of some 2**-100 are covered by a third.
    limit = Fraction(gamma(3, unit_roundoff=2.0**-53))
    for row, bias, truth, size in zip(model.weight, model.bias, exact, magnitude, strict=True):
        meant = exact_dot(row, scaled) + Fraction(float(bias))
        assert abs(meant - truth) <= limit * size


def test_a_scaler_and_a_layer_keep_their_bits():
    mean, scale = np.array([1e6, -3.0, 0.1]), np.array([3.0, 0.7, 1e-5])
    weight, bias = np.array([[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]]), np.array([0.0, 0.4])
    model = linear_model(
        input_columns(3).plus(-mean).times(scale).through(weight).plus(bias), num_features=3
    )
    for ours, theirs in zip(
        (model.mean, model.scale, model.weight, model.bias),
        (mean, scale, weight, bias),
        strict=True,
    ):
        assert np.array_equal(ours, theirs)


def test_columns_may_come_in_another_order_or_not_at_all():
    second, first = input_columns(1, start=2), input_columns(1, start=0)
    joined = second.plus(np.array([-5.0])).beside([first])
    model = linear_model(joined.through(np.array([[2.0, 3.0]])), num_features=3)
    assert model.weight.tolist() == [[3.0, 0.0, 2.0]]
    assert model.mean.tolist() == [0.0, 0.0, 5.0]


def test_a_column_that_enters_twice_is_refused():
    twice = input_columns(2).beside([input_columns(1)])
    with pytest.raises(ModelError, match="Feature 1 enters the linear layer twice"):
        linear_model(twice.through(np.ones((1, 3))), num_features=2)


def test_targets_on_differently_scaled_features_are_refused():
    plain, scaled = input_columns(2), input_columns(2).times(np.array([2.0, 3.0]))
    weight = np.ones((1, 2))
    joined = plain.through(weight).beside([plain.through(2 * weight)])
    assert linear_model(joined, 2).weight.tolist() == [[1, 1], [2, 2]]
    with pytest.raises(ModelError, match="differently scaled features"):
        plain.through(weight).beside([scaled.through(weight)])
