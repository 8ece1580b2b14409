"""The bound of a graph's own form, against exact arithmetic; the oracle is rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

from linexport.numerics._affine import input_columns
from linexport.numerics._bounds import FLOAT32, FLOAT64
from linexport.numerics._composed import batch_normalized, exact_map
from linexport.numerics._own_form import OwnForm

D = 5
RANDOM = np.random.default_rng(11)


def single(size):
    return RANDOM.normal(size=size).astype(np.float32).astype(np.float64)


WEIGHT, BIAS, SCALE, SHIFT = single((2, D)), single(2), single(D), single(D)
MEAN, VARIANCE = single(D) * 100, np.abs(single(D)) + 0.5


def scaler(x):
    return (x - MEAN.astype(x.dtype)) * SCALE.astype(x.dtype)


def min_max(x):
    return x * SCALE.astype(x.dtype) + SHIFT.astype(x.dtype)


def normalized(x, *, folded):
    mean, variance, gain, shift = (a.astype(x.dtype) for a in (MEAN, VARIANCE, SCALE, SHIFT))
    scale = 1 / np.sqrt(variance + x.dtype.type(1e-5)) * gain
    return x * scale + (shift - mean * scale) if folded else (x - mean) * scale + shift


def linear(x):
    return x @ WEIGHT.T.astype(x.dtype) + BIAS.astype(x.dtype)


def through(values):
    return values.through(WEIGHT).plus(BIAS)


def batch_norm(values):
    epsilon = float(np.float32(1e-5))
    return batch_normalized(
        values, mean=MEAN, variance=VARIANCE, gain=SCALE, shift=SHIFT, epsilon=epsilon
    )


CHAINS = {
    "Sub, Mul, Gemm": (lambda v: through(v.plus(-MEAN).times(SCALE)), lambda x: linear(scaler(x))),
    "Mul, Add, Gemm": (lambda v: through(v.times(SCALE).plus(SHIFT)), lambda x: linear(min_max(x))),
    "BatchNormalization, Gemm": (
        lambda v: through(batch_norm(v)),
        lambda x: linear(normalized(x, folded=False)),
    ),
    "the same, its scale first": (
        lambda v: through(batch_norm(v)),
        lambda x: linear(normalized(x, folded=True)),
    ),
    "Cast, Gemm in double, Cast": (
        lambda v: through(v.cast(FLOAT64)).cast(FLOAT32),
        lambda x: linear(x.astype(np.float64)).astype(np.float32),
    ),
}


@pytest.mark.parametrize("chain", CHAINS)
def test_the_bound_holds_and_is_not_idle(chain):
    build, compute = CHAINS[chain]
    values = build(input_columns(D))
    exact = exact_map(values, D)
    rows = (RANDOM.normal(size=(400, D)) * 30 + MEAN).astype(np.float32)
    bound = OwnForm(steps=values.steps, precision=FLOAT32).bound(rows.astype(np.float64))
    fractions = [
        abs(Fraction(float(got)) - truth) / Fraction(float(limit))
        for row, answers, limits in zip(rows, compute(rows), bound, strict=True)
        for got, truth, limit in zip(answers, rational(exact, row), limits, strict=True)
    ]
    assert max(fractions) <= 1
    assert max(fractions) > Fraction(1, 50)


def rational(exact, row):
    """The exact map, evaluated without any rounding."""
    mean = np.zeros(D) if exact.mean is None else exact.mean
    for high, low, bias, rest in zip(*exact.weight, *exact.bias, strict=True):
        terms = (
            (Fraction(float(x)) - Fraction(float(m))) * (Fraction(float(h)) + Fraction(float(t)))
            for x, m, h, t in zip(row, mean, high, low, strict=True)
        )
        yield sum(terms) + Fraction(float(bias)) + Fraction(float(rest))


def test_the_exact_map_keeps_what_float64_does_not():
    values = through(input_columns(D).plus(-MEAN).over(VARIANCE))
    exact = exact_map(values, D)
    for k in range(2):
        for j in range(D):
            truth = Fraction(float(WEIGHT[k, j])) / Fraction(float(VARIANCE[j]))
            held = Fraction(float(exact.weight.high[k, j]))
            held += Fraction(float(exact.weight.low[k, j]))
            assert abs(held - truth) <= abs(truth) * Fraction(2) ** -98
    assert not exact.is_float64


def test_one_feature_alone_has_few_roundings():
    """So a weight that is off by some ulps shows, however many features there are."""
    wide = input_columns(1000).times(np.full(1000, 1.1)).through(np.ones((1, 1000)))
    row = np.zeros((1, 1000))
    row[0, 3] = 1.0
    bound = OwnForm(steps=wide.steps, precision=FLOAT32).bound(row)
    assert bound[0, 0] <= 1.1 * 2.01 * 2.0**-24


def test_what_may_overflow_has_no_bound():
    values = through(input_columns(D).times(np.full(D, 2.0**100)))
    rows = np.full((1, D), 2.0**30)
    assert np.isinf(OwnForm(steps=values.steps, precision=FLOAT32).bound(rows)).all()
    assert np.isfinite(OwnForm(steps=values.steps, precision=FLOAT64).bound(rows)).all()
