"""What rounding each number of a graph once explains, against functions of rounded numbers."""

import numpy as np
import pytest

from linexport.numerics import double_double as dd
from linexport.numerics._affine import input_columns
from linexport.numerics._bounds import FLOAT32
from linexport.numerics._composed import batch_normalized, exact_map
from linexport.numerics._explained import explained
from linexport.numerics._joined import beside, constants, summed

D = 6
U = FLOAT32.unit_roundoff


def as_they_are(numbers):
    return numbers


def rounded(numbers):
    return np.asarray(numbers, np.float32).astype(np.float64)


def drawn(seed, *shapes):
    random = np.random.default_rng(seed)
    return [random.normal(size=shape) for shape in shapes]


def layers(seed, held):
    first, bias, second, last = drawn(seed, (8, D), 8, (8, 8), (2, 8))
    deep = input_columns(D).through(held(first)).plus(held(bias))
    return deep.through(held(second)).through(held(last))


def scaled(seed, held):
    mean, scale, weight, bias = drawn(seed, D, D, (2, D), 2)
    centred = input_columns(D).plus(held(mean * 100)).over(held(scale))
    return centred.through(held(weight)).plus(held(bias)).times(held(np.array([0.3, 7.1])))


def normalized(seed, held):
    mean, variance, gain, shift, weight = drawn(seed, D, D, D, D, (2, D))
    normal = batch_normalized(
        input_columns(D), mean=held(mean), variance=held(variance**2), gain=held(gain),
        shift=held(shift), epsilon=float(held(np.float64(1e-5))),
    )  # fmt: skip
    return normal.through(held(weight))


def joined(seed, held):
    first, second, third, numbers = drawn(seed, (2, D), (2, 4), (2, 4), 2)
    columns = input_columns(D)
    some = columns.taken(np.array([0, 3, 3, 5]))
    both = beside([some.through(held(second)), constants(held(numbers), FLOAT32)])
    parts = [columns.through(held(first)), some.through(held(third))]
    return summed([*parts, both.through(held(np.hstack([second[:, :2], third[:, :2]])))])


@pytest.mark.parametrize("build", [layers, scaled, normalized, joined])
def test_numbers_rounded_once_are_explained(build):
    for seed in range(20):
        graph = build(seed, rounded)
        held, source = exact_map(graph, D), exact_map(build(seed, as_they_are), D)
        weights, terms, _ = explained(graph.steps, D, FLOAT32)
        apart = np.abs(dd.subtract(held.weight, source.weight).high)
        (ours, _), (theirs, _) = held.at_zero(), source.at_zero()
        assert (apart <= weights).all()
        assert (np.abs(dd.subtract(ours, theirs).high) <= terms).all()


def test_no_more_is_explained_than_rounding_may_do():
    """All numbers are just above 1, and were rounded down by nearly half an ulp, which is u."""

    def built(number):
        numbers = [np.full(shape, number) for shape in ((8, D), (8, 8), (2, 8))]
        first, second, last = numbers
        return input_columns(D).through(first).through(second).through(last)

    held, source = (exact_map(built(number), D) for number in (1.0, 1 + 0.99 * U))
    weights, *_ = explained(built(1.0).steps, D, FLOAT32)
    apart = np.abs(dd.subtract(held.weight, source.weight).high)
    assert (apart <= weights).all()
    assert (apart >= 0.98 * weights).all()


def test_one_number_alone_may_be_off_by_its_own_rounding():
    (weight,) = drawn(1, (2, D))
    weights, _, size = explained(input_columns(D).through(weight).steps, D, FLOAT32)
    assert np.array_equal(size, np.abs(weight))
    assert (weights <= size * U * (1 + 2.0**-20) + 2.0**-149).all()


def test_what_cancels_is_held_to_the_size_of_what_did():
    """1000 * 3 - 999.999 * 3: the weight is 0.003, and each product may be off by two roundings."""
    graph = input_columns(1).through(np.array([[1000.0], [999.999]])).through(np.array([[3.0, -3]]))
    weights, _, size = explained(graph.steps, 1, FLOAT32)
    assert size[0, 0] == pytest.approx(5999.997, rel=1e-15)
    assert weights[0, 0] == pytest.approx(2 * U * size[0, 0], rel=4 * U)


def test_each_way_has_as_many_roundings_as_numbers():
    """A sum of x and of x times 3 times 5: the first has none, the second two."""
    x = input_columns(1)
    graph = summed([x, x.times(np.array([3.0])).times(np.array([5.0]))])
    weights, terms, size = explained(graph.steps, 1, FLOAT32)
    assert (size[0, 0], terms[0]) == (16.0, 0.0)
    assert weights[0, 0] == pytest.approx(15 * 2 * U, rel=4 * U)
