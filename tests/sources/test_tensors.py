"""Tensors of a foreign graph: what they mean, against NumPy, and which operations are refused."""

import numpy as np
import pytest

from linexport.numerics import FLOAT64, OwnForm, exact_map
from linexport.sources._arithmetic import (
    added,
    chosen,
    contracted,
    divided,
    multiplied,
    normalized,
    product,
    subtracted,
    totalled,
)
from linexport.sources._budget import Budget, Refused
from linexport.sources._tensors import BATCH, concatenated, input_tensor

RANDOM = np.random.default_rng(7)
D = 6
ROWS = RANDOM.normal(size=(5, D))
CUBE = ROWS.reshape(5, 2, 3)
W = RANDOM.normal(size=(3, 4))
MEAN, VARIANCE = np.array([1.0, 2.0]), np.array([1.0, 3.0])


@pytest.fixture
def x():
    return input_tensor(D, 0, rows=None, budget=Budget(1000))


@pytest.fixture
def cube(x):
    return x.reshaped([-1, 2, 3])


TAKEN = {
    "as it is": (lambda c: c, CUBE),
    "turned": (lambda c: c.transposed([1, 0, 2]), CUBE.transpose(1, 0, 2)),
    "put into one axis": (lambda c: c.merged(1, 2), ROWS),
    "a batch of one axis": (lambda c: c.reshaped([BATCH, 1, 6]), ROWS[:, None]),
    "chosen": (lambda c: c.taken([2, -3], 2), CUBE[:, :, [2, 0]]),
    "one of an axis": (lambda c: c.transposed([1, 0, 2]).taken(1, 0), CUBE[:, 1]),
    "sliced": (lambda c: c.sliced(slice(None, None, -2), 2), CUBE[:, :, ::-2]),
    "repeated": (
        lambda c: c.unsqueezed([1]).expanded([BATCH, 2, 2, 3]),
        np.broadcast_to(CUBE[:, None], (5, 2, 2, 3)),
    ),
    "behind itself": (lambda c: c.repeated([1, 2, 3]), np.tile(CUBE, (1, 2, 3))),
    "beside itself, scaled": (
        lambda c: concatenated([c, multiplied(c, np.array(2.0)), c], 1),
        np.concatenate([CUBE, CUBE * 2, CUBE], 1),
    ),
    "padded": (
        lambda c: c.padded([(0, 0), (1, 0), (0, 2)], np.array(7.0)),
        np.pad(CUBE, [(0, 0), (1, 0), (0, 2)], constant_values=7.0),
    ),
    "times a matrix": (lambda c: product(c, W), CUBE @ W),
    "a matrix times it": (
        lambda c: product(W.T, c.transposed([0, 2, 1])),
        W.T @ CUBE.transpose(0, 2, 1),
    ),
    "times a line": (lambda c: product(c, W[:, 0]), CUBE @ W[:, 0]),
    "times a stack": (
        lambda c: product(c.unsqueezed([2]), W.reshape(2, 3, 2)),
        CUBE[:, :, None] @ W.reshape(2, 3, 2),
    ),
    "contracted": (
        lambda c: contracted(c, [0, 1, 2], W, [2, 3], [3, 0]),
        np.einsum("nij,jk->kn", CUBE, W),
    ),
    "contracted with what it has not": (
        lambda c: contracted(c, [0, 1, 2], W, [4, 3], [3, 0]),
        np.einsum("nij,lk->kn", CUBE, W),
    ),
    "its mean": (lambda c: totalled(c, [1], keep=False, mean=True), CUBE.mean(1)),
    "less its mean": (
        lambda c: subtracted(c, totalled(c, [-1], keep=True, mean=True)),
        CUBE - CUBE.mean(-1, keepdims=True),
    ),
    "several sums": (
        lambda c: added(product(c, W), np.ones(4), product(c, W[:, :1])),
        CUBE @ W + CUBE @ W[:, :1] + 1,
    ),
    "columns added up": (
        lambda c: divided(added(c.merged(1, 2), c.taken([1, 0], 1).merged(1, 2)), np.array(3.0)),
        (ROWS + CUBE[:, ::-1].reshape(5, 6)) / 3,
    ),
    "subtracted from constants": (lambda c: subtracted(W[:, 0], c), W[:, 0] - CUBE),
    "chosen from constants": (
        lambda c: chosen(np.array([True, False, True]), c, np.full((1, 1, 3), 3.0)),
        np.where([True, False, True], CUBE, 3.0),
    ),
    "normalised": (
        lambda c: normalized(
            c, 1, mean=MEAN, variance=VARIANCE, gain=None, shift=MEAN, epsilon=0.125
        ),
        (CUBE - MEAN[:, None]) / np.sqrt(VARIANCE + 0.125)[:, None] + MEAN[:, None],
    ),
    "a long way round": (
        lambda c: added(*([product(c, np.eye(3))] * 2), c, multiplied(c, np.array(-3.0))),
        np.zeros_like(CUBE),
    ),
}


@pytest.mark.parametrize("case", TAKEN)
def test_what_is_affine_is_taken_and_bounded(cube, case):
    build, expected = TAKEN[case]
    tensor = build(cube)
    assert tensor.shape == tuple(
        BATCH if axis == tensor.batch else size for axis, size in enumerate(expected.shape)
    )
    values = tensor.flat()
    wanted = np.moveaxis(expected, tensor.batch, 0).reshape(len(ROWS), -1)
    exact = exact_map(values, D).evaluate(ROWS).high
    bound = OwnForm(steps=values.steps, precision=FLOAT64).bound(ROWS)
    assert (np.abs(exact - wanted) <= bound).all()
    assert bound.max() < 1e-12


REFUSED = {
    "rows joined": (lambda x: x.reshaped([3, -1]), r"mixes rows: .* \[N, 6\] becomes \[3, -1\]"),
    "rows cut": (lambda x: x.reshaped([-1, 2]), "mixes rows"),
    "rows on rows": (lambda x: added(x, x.transposed([1, 0])), "combines rows"),
    "a sum of rows": (lambda x: totalled(x, [0], keep=True), "adds up rows"),
    "weights of rows": (lambda x: product(x.transposed([1, 0]), np.ones((5, 1))), "adds up rows"),
    "numbers of rows": (lambda x: added(x, np.ones((5, 1))), "from row to row"),
    "a choice of rows": (lambda x: x.sliced(slice(0, 2), 0), "chooses rows"),
    "rows again": (lambda x: x.repeated([2, 1]), "repeats rows"),
    "columns never": (lambda x: x.repeated([1, 0]), "repeats nothing"),
    "a square": (lambda x: multiplied(x, x), "which is not linear"),
    "a quotient": (lambda x: divided(np.array(1.0), x), "divides by what depends on the input"),
    "a division by 0": (lambda x: divided(x, np.zeros(())), "divides by 0"),
    "a column that is not there": (lambda x: x.taken([6], 1), "chooses other than some of 6"),
    "whole constants": (lambda x: added(x, np.array(1)), "whole numbers"),
    "too much": (lambda x: x.unsqueezed([1]).expanded([BATCH, 2**40, 6]), "makes more numbers"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_affine_in_each_row_is_refused(x, case):
    build, reason = REFUSED[case]
    with pytest.raises(Refused, match=reason):
        build(x)


def test_what_is_used_twice_is_bounded_once():
    """Else the bound of fifty doublings would take 2**50 steps."""
    tensor = input_tensor(1, 0, rows=None, budget=Budget(1000))
    for _ in range(50):
        tensor = added(tensor, tensor)
    bound = OwnForm(steps=tensor.values.steps, precision=FLOAT64).bound(np.ones((1, 1)))
    assert exact_map(tensor.flat(), 1).weight.high == 2.0**50
    assert np.isfinite(bound).all()
