"""The largest eigenvalue by Lanczos' method, against LAPACK's."""

import numpy as np
import pytest

from linexport.least_squares._extremes import largest_eigenvalue


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 50, 400])
def test_it_is_the_largest(size):
    columns = np.random.default_rng(size).normal(size=(2 * size, size))
    gram = columns.T @ columns
    assert largest_eigenvalue(lambda v: gram @ v, size) == pytest.approx(
        np.linalg.eigvalsh(gram)[-1], rel=1e-11
    )


@pytest.mark.parametrize(
    "values",
    [[1.0] * 30, [1.0, *[2.0] * 29], [*[1.0] * 28, 2.0, 2.0], [*np.geomspace(1e-12, 1, 29), 1.001]],
    ids=["all the same", "many the largest", "two the largest", "far apart"],
)
def test_it_is_the_largest_of_several_that_are_close(values):
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(30, 30)))[0]
    matrix = turn * values @ turn.T
    assert largest_eigenvalue(lambda v: matrix @ v, 30) == pytest.approx(max(values), rel=1e-12)


def test_it_takes_few_products_of_a_large_matrix():
    columns = np.random.default_rng(2).normal(size=(3000, 600))
    gram, calls = columns.T @ columns, []

    def product(vector):
        calls.append(1)
        return gram @ vector

    largest_eigenvalue(product, 600)
    assert len(calls) < 200
