import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linexport.sgd._schedule import Curvature, Schedule, half_stable_step, mean_batch_size

FLOAT64 = 2.0**-53


def schedule(**settings):
    defaults = {
        "num_rows": 1000,
        "num_targets": 1,
        "curvature": Curvature(smallest=0.01, largest=4.0, row=40.0),
        "unit_roundoff": FLOAT64,
    }
    return Schedule(**(defaults | settings))


def paces(plan, count):
    return list(itertools.islice(plan.paces(), count))


def second_moment_growth(features, batch_size, step):
    """Exact growth of E[distance**2], worst direction, for B rows drawn independently.

    The covariance C of the distance becomes E[(I - step H) C (I - step H)], H the mean of B row
    Hessians: a linear map, written out as a matrix here.
    """
    rows = np.hstack([features, np.ones((len(features), 1))])
    hessians = [np.outer(row, row) for row in rows]
    mean = sum(hessians) / len(rows)
    pairs = sum(np.kron(h, h) for h in hessians) / len(rows)
    identity = np.eye(len(mean))
    both = pairs / batch_size + (1 - 1 / batch_size) * np.kron(mean, mean)
    one = np.kron(mean, identity) + np.kron(identity, mean)
    operator = np.eye(len(both)) - step * one + step**2 * both
    return abs(np.linalg.eigvals(operator)).max()


@pytest.mark.parametrize("batch_size", [1, 2, 10, 100])
@pytest.mark.parametrize("seed", range(5))
def test_a_step_below_twice_the_half_stable_one_shrinks_the_mean_square_distance(batch_size, seed):
    random = np.random.default_rng(seed)
    features = random.standard_t(3, size=(30, 3)) @ random.normal(size=(3, 3))
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    eigenvalues = np.linalg.eigvalsh(features.T @ features / 30)
    curvature = Curvature(
        smallest=eigenvalues[0],
        largest=eigenvalues[-1],
        row=(features**2).sum(axis=1).max() + 1,
    )
    step = half_stable_step(curvature, batch_size)
    assert second_moment_growth(features, batch_size, 1.99 * step) < 1
    # The measure does tell: a step that overshoots on the largest row alone grows.
    assert second_moment_growth(features, batch_size, 2 * step * curvature.row) > 1


@given(st.integers(1, 500), st.integers(1, 600))
def test_the_mean_batch_size_is_the_harmonic_mean_of_an_epochs_batches(num_rows, batch_size):
    batches = [min(batch_size, num_rows - first) for first in range(0, num_rows, batch_size)]
    # Some ten roundings on either side.
    assert mean_batch_size(num_rows, batch_size) == pytest.approx(
        statistics.harmonic_mean(batches), rel=1e-14
    )


def chebyshev(degree, x):
    """T_k outside of [-1, 1] and inside."""
    if abs(x) <= 1:
        return math.cos(degree * math.acos(x))
    return math.copysign(1, x) ** degree * math.cosh(degree * math.acosh(abs(x)))


@given(
    st.floats(1e-3, 1.0),
    st.floats(1.0, 5.0),
    st.integers(1, 3),
    st.integers(1, 40),
    st.floats(0, 1),
)
def test_full_batch_steps_leave_the_chebyshev_polynomial_of_the_error(
    smallest, largest, num_targets, degree, place
):
    """From x = 1 on a quadratic with one eigenvalue, what is left is the polynomial's value."""
    plan = schedule(
        num_targets=num_targets,
        batch_size=1000,
        curvature=Curvature(smallest=smallest, largest=largest, row=10.0),
    )
    eigenvalue = smallest + place * (largest - smallest)
    error, buffer = 1.0, 0.0
    for pace in paces(plan, degree):
        buffer = pace.momentum * buffer + 2 / num_targets * eigenvalue * error
        error -= pace.learning_rate * buffer
    centre, half_width = (largest + smallest) / 2, (largest - smallest) / 2
    if half_width < 1e-9:  # one eigenvalue: a single step solves it
        expected = 0.0
    else:
        expected = chebyshev(degree, (centre - eigenvalue) / half_width) / chebyshev(
            degree, centre / half_width
        )
    # Rounding of 40 steps, each of relative size u, none amplified: the polynomials are within 1.
    assert error == pytest.approx(expected, abs=1e-11)


def test_batches_grow_from_the_critical_size_until_they_hold_all_rows():
    sizes = [pace.batch_size for pace in paces(schedule(), 6)]
    assert sizes == [11, 44, 176, 704, 1000, 1000]  # 40 / 4 + 1, times 4


def test_a_long_table_takes_at_most_a_thousand_steps_in_the_first_epoch():
    assert paces(schedule(num_rows=5_000_000), 1)[0].batch_size == 5000


def test_what_the_user_fixes_is_kept_in_every_epoch():
    plan = schedule(batch_size=32, learning_rate=0.01, momentum=0.5)
    assert set(paces(plan, 50)) == {(32, 0.01, 0.5)}


def test_a_fixed_learning_rate_starts_at_a_batch_size_at_which_it_is_stable():
    for learning_rate in (0.01, 0.1, 0.12):
        first = paces(schedule(learning_rate=learning_rate), 1)[0]
        assert half_stable_step(schedule().curvature, first.batch_size) >= 2 * learning_rate
    assert paces(schedule(learning_rate=0.13), 1)[0].batch_size == 1000  # 2 * 0.13 > 1 / largest


def test_a_fixed_batch_size_gets_a_step_that_decays_as_one_over_the_epoch():
    rates = [pace.learning_rate for pace in paces(schedule(batch_size=10), 2000)]
    assert rates == sorted(rates, reverse=True)
    # Towards 2 / (smallest eigenvalue * steps), times K / 2 for the loss.
    assert rates[1999] * 0.01 * 100 * 1999 == pytest.approx(1, rel=0.2)


def test_a_fixed_momentum_lowers_the_step_of_minibatches_but_not_of_all_rows():
    with_momentum, without = (paces(schedule(momentum=momentum), 6) for momentum in (0.9, 0.0))
    assert with_momentum[0].learning_rate == pytest.approx(0.1 * without[0].learning_rate)
    assert with_momentum[-1].learning_rate == pytest.approx(1.9 * without[-1].learning_rate)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"batch_size": 1000},
        {"batch_size": 1000, "momentum": 0.9},
        {"batch_size": 1000, "momentum": 0.2},
        {"batch_size": 1000, "learning_rate": 0.1},
        {"batch_size": 1000, "learning_rate": 0.02, "momentum": 0.5},
    ],
)
def test_the_expected_epochs_suffice_to_shrink_every_direction(settings):
    plan = schedule(**settings)
    epochs = plan.expected_epochs(1e6)
    growing = sum(pace.batch_size < 1000 for pace in paces(plan, epochs))
    for eigenvalue in (0.01, 0.1, 1.0, 4.0):
        error, buffer = 1.0, 0.0
        for pace in paces(plan, epochs)[growing:]:
            buffer = pace.momentum * buffer + 2 * eigenvalue * error
            error -= pace.learning_rate * buffer
        # Heavy ball loses up to a factor of some epochs to the start; the rest is exact.
        assert abs(error) <= 1e-6 * (epochs if settings.get("momentum") else 1)


def test_nobody_waits_for_what_rounding_hides():
    assert schedule().most_epochs(1e3) < 10_000
    collinear = Curvature(smallest=1e-13, largest=4.0, row=40.0)
    assert schedule(curvature=collinear).most_epochs(1e3) == 10_000
    assert schedule(num_rows=10**6, batch_size=10).most_epochs(1e3) == 10  # a million steps


def test_how_long_noise_takes_to_settle_is_not_told():
    assert schedule(batch_size=10).expected_epochs(1e3) is None
    assert schedule(batch_size=10, learning_rate=0.01).expected_epochs(1e3) is not None
