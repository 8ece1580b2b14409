"""Steps without autograd, one by one and composed, against the readable loop."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from sgd.step_rounding import below, error_bound, map_of, maps_of, trajectory
from torch import nn

from linexport.numerics._bounds import gamma
from linexport.rows._synthetic import synthesize
from linexport.sgd._closed_form import ClosedForm, ShuffledRows, augment, composed
from linexport.sgd._config import SGDConfig
from linexport.sgd._stepping import Autograd, Pace
from linexport.training._train import train

UNIT_ROUNDOFF = {torch.float32: 2.0**-24, torch.float64: 2.0**-53}
CPU = torch.device("cpu")


class Shuffled:
    """The batches that anyone would draw, by an index for each."""

    def __init__(self, features, targets, generator):
        self.features, self.targets, self.generator = features, targets, generator
        self.seen = []

    def epoch(self, batch_size):
        for rows in torch.randperm(len(self.features), generator=self.generator).split(batch_size):
            self.seen.append(torch.cat([self.features[rows], self.targets[rows]], dim=1))
            yield self.features[rows], self.targets[rows]


def table(num_rows, num_features, num_targets, dtype):
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(num_rows, num_features, generator=generator, dtype=torch.float64)
    slopes = torch.randn(num_features, num_targets, generator=generator, dtype=torch.float64)
    noise = torch.randn(num_rows, num_targets, generator=generator, dtype=torch.float64)
    return features.to(dtype), (features @ slopes + 4.2 + 0.1 * noise).to(dtype)


def linear(num_features, num_targets, dtype, generator=None):
    module = nn.utils.skip_init(nn.Linear, num_features, num_targets, dtype=dtype)
    generator = generator or torch.Generator().manual_seed(2)
    nn.init.normal_(module.weight, std=0.01, generator=generator)
    nn.init.zeros_(module.bias)
    return module


def closed_form(features, targets, pace, *, composes=None, seed=3):
    rows = augment(features, targets, dtype=features.dtype, device=CPU)
    module = linear(features.shape[1], targets.shape[1], features.dtype)
    shuffled = ShuffledRows(rows, torch.Generator().manual_seed(seed))
    return module, ClosedForm(module, shuffled, pace, composes=composes)


def readable_loop(features, targets, pace, *, seed=3):
    module = linear(features.shape[1], targets.shape[1], features.dtype)
    batches = Shuffled(features, targets, torch.Generator().manual_seed(seed))
    return module, batches, Autograd(module, batches, pace)


def parameters(module):
    """(W', b) in float64, shape (D + 1, K)."""
    weight, bias = (parameter.detach().double().numpy() for parameter in module.parameters())
    return np.vstack([weight.T, bias])


def last_gradient(runner):
    weight, bias = (gradient.double().numpy() for gradient in runner.gradients().values())
    return np.vstack([weight.T, bias])


def tolerances(batches, pace):
    """What two ways may differ by after an epoch: in the parameters, in the last gradient."""
    features, targets = batches.features, batches.targets
    unit_roundoff = UNIT_ROUNDOFF[features.dtype]
    rows = [
        np.insert(seen.double().numpy(), features.shape[1], 1.0, axis=1) for seen in batches.seen
    ]
    maps = maps_of(rows, targets.shape[1], pace)
    start = parameters(linear(features.shape[1], targets.shape[1], features.dtype))
    if pace.momentum:
        start = np.vstack([start, np.zeros_like(start)])
    at_end, before_last = (
        2 * error_bound(steps, start, batch_size=pace.batch_size, unit_roundoff=unit_roundoff)
        for steps in (maps, maps[:-1])
    )
    plain = pace._replace(momentum=0.0, weight_decay=0.0)
    pull = map_of(abs(rows[-1]), targets.shape[1], plain)
    last = trajectory(maps, start)[-2][: len(pull)]
    terms = 2 * gamma(pace.batch_size + len(pull) + 3, unit_roundoff=unit_roundoff)
    gradient = np.linalg.norm(pull, 2) / pace.learning_rate
    return at_end, gradient * (before_last + terms * np.linalg.norm(below(last), 2))


CASES = [  # rows, features, targets, batch size: short last batches, single rows, one batch
    (1000, 2, 1, 10),
    (1003, 2, 1, 10),
    (517, 3, 2, 8),
    (200, 1, 1, 1),
    (900, 10, 1, 30),
    (50, 3, 1, 50),
    (50, 3, 1, 70),
]


@pytest.mark.parametrize("composes", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("case", CASES)
def test_steps_equal_those_of_the_readable_loop_within_rounding(
    case, weight_decay, momentum, dtype, composes
):
    num_rows, num_features, num_targets, batch_size = case
    features, targets = table(num_rows, num_features, num_targets, dtype)
    pace = Pace(batch_size, 0.02 * (1 - momentum), momentum, weight_decay)
    theirs, batches, loop = readable_loop(features, targets, pace)
    loop.run()
    ours, runner = closed_form(features, targets, pace, composes=composes)
    runner.run()
    limit, gradient_limit = tolerances(batches, pace)
    assert np.linalg.norm(parameters(ours) - parameters(theirs), 2) <= limit
    assert np.linalg.norm(last_gradient(runner) - last_gradient(loop), 2) <= gradient_limit


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_training_takes_the_steps_that_a_loop_written_by_hand_takes(momentum):
    data = synthesize(num_rows=103)
    settings = SGDConfig(
        epochs=4, learning_rate=0.002, momentum=momentum, seed=3, precision="float64"
    )
    ours = train(data, solver=settings)

    generator = torch.Generator().manual_seed(3)  # first the weights, then the orders
    module = linear(2, 1, torch.float64, generator)
    features, targets = map(torch.tensor, (data.feature_values, data.target_values))
    batches = Shuffled(features, targets, generator)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.002, momentum=momentum, foreach=False)
    for batch, batch_targets in itertools.chain.from_iterable(batches.epoch(10) for _ in range(4)):
        optimizer.zero_grad()
        nn.MSELoss()(module(batch), batch_targets).backward()
        optimizer.step()

    limit, _ = tolerances(batches, Pace(10, 0.002, momentum))
    found = np.vstack([ours.model.weight.T, ours.model.bias])
    assert np.linalg.norm(found - parameters(module), 2) <= limit < 1e-10


def test_what_rounding_is_allowed_to_do_is_less_than_any_fault_would():
    features, targets = table(1000, 2, 1, torch.float64)
    pace = Pace(10, 0.02)
    theirs, batches, loop = readable_loop(features, targets, pace)
    loop.run()
    limit, gradient_limit = tolerances(batches, pace)
    assert limit < 1e-11
    assert gradient_limit < 1e-10
    for faulty in (pace._replace(learning_rate=0.02 * (1 + 1e-9)), pace._replace(batch_size=11)):
        ours, runner = closed_form(features, targets, faulty)
        runner.run()
        assert np.linalg.norm(parameters(ours) - parameters(theirs), 2) > 10 * limit


small = st.integers(-1, 1)


@pytest.mark.parametrize("composes", [True, False])
@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
@pytest.mark.parametrize(("learning_rate", "momentum"), [(0.5, 0.0), (0.25, 0.5), (0.5, 0.5)])
@given(data=st.lists(st.tuples(small, small, small), min_size=5, max_size=6))
def test_numbers_that_need_no_rounding_give_the_same_bits(
    data, learning_rate, momentum, weight_decay, composes
):
    """Up to nine steps of four bits or so; 2 / (B * K) is 1, or 2 for a last batch of one row."""
    rows = torch.tensor(data, dtype=torch.float64)
    features, targets = rows[:, :2], rows[:, 2:]
    pace = Pace(2, learning_rate, momentum, weight_decay)
    theirs, _, loop = readable_loop(features, targets, pace)
    ours, runner = closed_form(features, targets, pace, composes=composes)
    for module in (theirs, ours):
        nn.init.ones_(module.weight)
    for _ in range(3):
        loop.run()
        runner.run()
        assert parameters(ours).tolist() == parameters(theirs).tolist()
        assert last_gradient(runner).tolist() == last_gradient(loop).tolist()


whole = st.integers(-3, 3)


@given(
    maps=st.lists(st.lists(whole, min_size=6, max_size=6), min_size=1, max_size=8),
    state=st.tuples(whole, whole),
)
def test_composed_maps_do_what_they_do_one_after_the_other(maps, state):
    """Whole numbers below 2**53: 8 maps of norm up to 13."""
    steps = torch.tensor(maps, dtype=torch.float64).reshape(-1, 2, 3)
    start = torch.tensor(state, dtype=torch.float64)[:, None]
    one = composed(steps)
    expected = start
    for step in steps:
        expected = expected - (step[:, :2] @ expected - step[:, 2:])
    assert (start - (one[:, :2] @ start - one[:, 2:])).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("num_rows", "batch_size"), [(1000, 10), (1003, 10), (7, 3), (2, 1), (100_000, 64), (9, 9)]
)
def test_an_epoch_holds_every_row_once_in_the_order_of_the_permutation(num_rows, batch_size):
    rows = torch.arange(2.0 * num_rows).reshape(num_rows, 2)
    shuffled = ShuffledRows(rows, torch.Generator().manual_seed(3))
    order = torch.Generator().manual_seed(3)
    for _ in range(2):
        stacks = [stack.clone() for stack in shuffled.epoch(batch_size)]
        seen = torch.cat([stack.flatten(0, 1) for stack in stacks])
        if batch_size < num_rows:
            assert torch.equal(seen, rows[torch.randperm(num_rows, generator=order)])
        else:
            assert torch.equal(seen, rows)
        assert {stack.shape[1] for stack in stacks[:-1]} <= {batch_size}
        assert stacks[-1].shape[:2] == (1, num_rows % batch_size or batch_size)


def test_small_tables_give_the_same_bits_whatever_the_number_of_threads():
    def trained(num_threads):
        torch.set_num_threads(num_threads)
        module, runner = closed_form(
            *table(1000, 8, 1, torch.float32), Pace(4, 0.01, 0.5), composes=True
        )
        runner.run()
        return parameters(module).tobytes(), last_gradient(runner).tobytes()

    before = torch.get_num_threads()
    try:
        assert trained(1) == trained(4)
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("composes", [True, False])
def test_steps_that_grow_without_end_leave_no_finite_number(composes):
    module, runner = closed_form(
        *table(1000, 2, 1, torch.float32), Pace(10, 50.0), composes=composes
    )
    runner.run()
    assert not np.isfinite(parameters(module)).any()


@pytest.mark.parametrize(
    ("num_rows", "num_features", "pace", "expected"),
    [
        (1000, 2, Pace(10, 0.03), True),
        (1000, 2, Pace(10, 0.03, 0.9), True),
        (1000, 30, Pace(30, 0.03), True),
        (20_000, 10, Pace(100, 0.03), True),
        (20_000, 100, Pace(1000, 0.03), False),  # too much arithmetic
        (20_000, 100, Pace(10, 0.03), False),  # likewise, to compose
        (1000, 2, Pace(250, 0.03), False),  # too few steps
        (1000, 2, Pace(1000, 0.03), False),
    ],
)
def test_steps_are_composed_where_that_is_faster(num_rows, num_features, pace, expected):
    _, runner = closed_form(*table(num_rows, num_features, 1, torch.float32), pace)
    assert runner.composes is expected
