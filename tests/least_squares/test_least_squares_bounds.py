"""The parts that the error bound stands on, against rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st
from rational import exactly

from linexport.least_squares._normal_equations import _norm_of_magnitudes, inverse_factor
from linexport.least_squares._split import (
    GramSum,
    add_plain_gram,
    add_split_gram,
    product,
    product_error,
)
from linexport.numerics import double_double as dd

seeds = st.integers(0, 2**32 - 1)


def fractions(pair):
    """A double-double matrix in rational numbers."""
    return [
        [exactly(high) + exactly(low) for high, low in zip(*row, strict=True)]
        for row in zip(*pair, strict=True)
    ]


def exact_product(left, right):
    return [
        [
            sum(a * b for a, b in zip(row, column, strict=True))
            for column in zip(*right, strict=True)
        ]
        for row in left
    ]


def draw_matrix(seed, shape, spread=3.0):
    """Numbers of very different size, with a tail as a subtraction leaves it."""
    generator = np.random.default_rng(seed)
    high = generator.normal(size=shape) * np.exp(generator.normal(size=shape) * spread)
    tail = high * generator.uniform(-1, 1, size=shape) * 2.0**-54
    return dd.two_sum(high, tail)


@given(seeds, st.integers(1, 40), st.sampled_from([0, 1, 2, 3]), st.booleans())
def test_gram_matrices_are_within_their_bound(seed, num_rows, num_slices, has_tail):
    values = draw_matrix(seed, (3, num_rows))
    if not (has_tail and num_slices):
        values = dd.exact(values.high)
    total = GramSum(3)
    if num_slices:
        tail = values.low if has_tail else None
        squared = add_split_gram(total, values.high, tail, num_slices)
    else:
        squared = add_plain_gram(total, values.high, terms=16)
    rows = fractions(values)
    true, ours = exact_product(rows, list(zip(*rows, strict=True))), fractions(total.total())
    for i, j in np.ndindex(3, 3):
        size = np.sqrt(float(true[i][i]) * float(true[j][j]))
        allowed = np.sqrt(squared[i] * squared[j]) + 2.01 * total.num_terms * 2.0**-106 * size
        assert abs(ours[i][j] - true[i][j]) <= allowed


def test_three_slices_leave_a_gram_matrix_a_hundred_bits():
    values = draw_matrix(0, (4, 2048), spread=0)
    total = GramSum(4)
    squared = add_split_gram(total, values.high, None, 3)
    assert (squared < 2.0**-100 * total.total().high.diagonal()).all()


@given(seeds, st.integers(1, 5), st.integers(1, 30), st.integers(1, 3))
def test_products_are_within_their_bound(seed, rows, terms, columns):
    left = draw_matrix(seed, (rows, terms))
    right = draw_matrix(seed + 1, (terms, columns))
    ours, true = fractions(product(left, right)), exact_product(fractions(left), fractions(right))
    largest = np.outer(np.abs(left.high).max(axis=1), np.abs(right.high).max(axis=0))
    for i, j in np.ndindex(rows, columns):
        assert abs(ours[i][j] - true[i][j]) <= product_error(terms) * largest[i, j]


@pytest.mark.parametrize("num_terms", [1, 100, 4096])
def test_products_have_a_hundred_bits_and_less_by_the_number_of_terms(num_terms):
    assert product_error(num_terms) < num_terms * 2.0**-98


def gram_of(condition, size, seed=0):
    """A Gram matrix of columns with a condition number, its diagonal at most 1, and the columns."""
    generator = np.random.default_rng(seed)
    left = np.linalg.qr(generator.normal(size=(3 * size, size)))[0]
    right = np.linalg.qr(generator.normal(size=(size, size)))[0]
    columns = left * np.geomspace(1, 1 / condition, size) @ right
    columns = np.rint(columns / np.abs(columns).max() * 2.0**45)  # whole numbers
    total = GramSum(size)
    add_split_gram(total, np.ascontiguousarray(columns.T), None, 3)
    shift = np.int32(-int(np.frexp(total.total().high.max())[1] + 1) // 2 * 2)
    return dd.scale_by_power_of_two(total.total(), shift)


@pytest.mark.parametrize("condition", [1.0, 1e3, 1e6, 1e9, 1e12])
@pytest.mark.parametrize("size", [1, 2, 7])
def test_the_inverse_factor_is_proven_for_any_condition(condition, size):
    gram = gram_of(condition, size)
    factor = inverse_factor(gram, np.zeros(size))
    matrix = [[exactly(value) for value in row] for row in factor.matrix]
    transposed = list(zip(*matrix, strict=True))
    remainder = exact_product(transposed, exact_product(fractions(gram), matrix))
    true = np.array(
        [[float(Fraction(i == j) - remainder[i][j]) for j in range(size)] for i in range(size)]
    )
    assert np.linalg.norm(true, 2) <= factor.distance <= 2.0**-10
    found = 0 if factor.remainder is None else factor.remainder
    assert np.abs(true - found).max() <= max(factor.distance * 1e-3, 2.0**-30)
    assert np.array_equal(factor.matrix, np.triu(factor.matrix))
    assert (factor.matrix.diagonal() > 0).all()


@pytest.mark.parametrize("condition", [1.0, 1e2, 1e4, 1e6])
def test_the_inverse_factor_of_many_columns_is_proven(condition):
    size = 300  # more than a panel
    gram = gram_of(condition, size)
    factor = inverse_factor(gram, np.zeros(size))
    once = product(gram, dd.exact(factor.matrix))
    twice = product(dd.exact(factor.matrix.T), once)
    true = dd.subtract(dd.exact(np.eye(size)), twice).high
    assert np.linalg.norm(true, 2) <= factor.distance
    assert np.array_equal(factor.matrix, np.triu(factor.matrix))
    assert factor.distance <= 2.0**-10


@pytest.mark.parametrize("magnitude", [1.0, 1e-8, 1e8])
def test_the_norm_of_magnitudes_is_bounded_tightly(magnitude):
    generator = np.random.default_rng(0)
    matrix = np.triu(np.abs(generator.normal(size=(40, 40)))) * np.geomspace(1, magnitude, 40)
    gram = np.abs(generator.normal(size=(40, 40)))
    gram = gram + gram.T
    true = np.linalg.norm(matrix.T @ gram @ matrix, 2)
    assert true * (1 - 1e-12) <= _norm_of_magnitudes(gram, matrix) <= 1.1 * true


def test_a_singular_matrix_is_in_doubt_from_the_column_that_makes_it_so():
    columns = np.array([[1.0, 2, 3, 1], [2, 1, 3, 5], [4, 1, 5, 1], [1, 1, 2, 7]]) / 16
    gram = dd.exact(columns.T @ columns)
    factor = inverse_factor(gram, np.full(4, 2.0**-50))
    assert factor.doubtful.tolist() == [False, False, True, False]
    assert factor.distance == np.inf


def test_an_indefinite_matrix_is_not_known_to_be_positive():
    gram = dd.exact(np.array([[1.0, 2.0], [2.0, 1.0]]) / 2)
    assert not inverse_factor(gram, np.zeros(2)).distance < 1


@pytest.mark.parametrize("order", [4, 300])  # 300 is more than a panel
def test_sums_of_symmetric_matrices_are_double_double_sums(order):
    terms = draw_matrix(0, (20, order, 3)).high
    total, expected = GramSum(order), dd.zeros((order, order))
    for term in terms:
        square = term @ term.T
        total.add(lambda rows, columns, square=square: square[rows, columns])
        expected = dd.add_float(expected, square)
    assert total.num_terms == 20
    assert all(
        np.array_equal(np.triu(ours) + np.triu(ours, 1).T, ours)
        and np.array_equal(np.triu(ours), np.triu(theirs))
        for ours, theirs in zip(total.total(), expected, strict=True)
    )
