"""The oracle is rational arithmetic; the bounds are those that the module states."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st
from rational import exactly

from linexport.numerics import double_double as dd
from linexport.numerics.double_double import DoubleDouble

U = Fraction(1, 2**53)
# Far enough from the ends of the range that no product or quotient over- or underflows.
floats = st.floats(-1e60, 1e60).filter(lambda x: x == 0 or abs(x) > 1e-60)


@st.composite
def double_doubles(draw):
    """A pair as sums leave it: the low part is at most half a unit in the last place."""
    high = draw(floats)
    low = high * 2.0**-103 * draw(st.integers(-(2**50), 2**50))
    return dd.two_sum(np.array([high]), np.array([low]))


def value(pair, index=0):
    return exactly(pair.high.flat[index]) + exactly(pair.low.flat[index])


def assert_within(pair, true, relative):
    assert abs(value(pair) - true) <= relative * abs(true)
    assert abs(pair.low[0]) <= np.spacing(abs(pair.high[0])) / 2


@given(floats, floats)
def test_two_sum_has_no_error(a, b):
    result = dd.two_sum(np.array([a]), np.array([b]))
    assert value(result) == exactly(a) + exactly(b)


@given(floats, floats)
def test_two_product_has_no_error(a, b):
    result = dd.two_product(np.array([a]), np.array([b]))
    assert value(result) == exactly(a) * exactly(b)


@given(double_doubles(), double_doubles())
def test_add_and_subtract_stay_within_their_bound_even_under_cancellation(a, b):
    relative = 3 * U**2 / (1 - 4 * U)
    assert_within(dd.add(a, b), value(a) + value(b), relative)
    assert_within(dd.subtract(a, b), value(a) - value(b), relative)
    nearly = DoubleDouble(a.high, a.low * 0.75)
    assert_within(dd.subtract(a, nearly), value(a) - value(nearly), relative)


@given(double_doubles(), floats)
def test_add_float_stays_within_its_bound(a, b):
    assert_within(dd.add_float(a, np.array([b])), value(a) + exactly(b), 2 * U**2)
    assert_within(dd.add_float(a, -a.high), value(a) - exactly(a.high[0]), 2 * U**2)


@given(double_doubles(), double_doubles())
def test_multiply_stays_within_its_bound(a, b):
    assert_within(dd.multiply(a, b), value(a) * value(b), 7 * U**2)


@given(double_doubles(), double_doubles())
def test_divide_stays_within_its_bound(a, b):
    assume(b.high[0] != 0)
    assert_within(dd.divide(a, b), value(a) / value(b), 17 * U**2 / (1 - 56 * U))


@given(st.floats(2.0**-500, 2.0**500))
def test_square_root_stays_within_its_bound(number):
    found, bound = value(dd.square_root(np.array([number]))), 2 * Fraction(U) ** 2
    # (1 + e)**2 lies between (1 - bound)**2 and (1 + bound)**2.
    assert (1 - bound) ** 2 <= found**2 / Fraction(number) <= (1 + bound) ** 2


@given(double_doubles(), st.integers(-500, 500))
def test_scaling_by_a_power_of_two_has_no_error(a, exponent):
    result = dd.scale_by_power_of_two(a, np.array([exponent], dtype=np.int32))
    assert value(result) == value(a) * Fraction(2) ** exponent


@given(st.lists(double_doubles(), max_size=33))
def test_totals_stay_within_their_bound(terms):
    pairs = [np.array([getattr(term, part)[0] for term in terms]) for part in ("high", "low")]
    result = dd.total(DoubleDouble(*pairs))
    true = [value(term) for term in terms]
    levels = max(len(terms) - 1, 0).bit_length()
    bound = 3 * U**2 * levels * (1 + 4 * U) * sum(map(abs, true))
    assert abs(value(DoubleDouble(*map(np.atleast_1d, result))) - sum(true)) <= bound


@pytest.mark.parametrize("shape", [(3, 0), (3, 1), (3, 5), (2, 3, 4)])
def test_totals_are_over_the_last_axis(shape):
    terms = dd.exact(np.arange(np.prod(shape), dtype=float).reshape(shape))
    assert np.array_equal(dd.total(terms).high, terms.high.sum(axis=-1))


def test_operations_broadcast():
    column, row = dd.exact(np.array([[1.0], [2.0]])), dd.exact(np.array([3.0, 5.0, 7.0]))
    assert dd.multiply(column, row).high.tolist() == [[3, 5, 7], [6, 10, 14]]
    assert dd.add(column, row).high.tolist() == [[4, 6, 8], [5, 7, 9]]
    assert dd.divide(row, column).high.tolist() == [[3, 5, 7], [1.5, 2.5, 3.5]]
