"""Steps without autograd, one by one and composed, against the readable loop."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from training.step_rounding import below, error_bound, map_of, maps_of, trajectory

from linexport.numerics._bounds import gamma
from linexport.rows._synthetic import synthesize
from linexport.sgd._closed_form import ClosedForm
from linexport.sgd._composing import Composition
from linexport.sgd._config import SGDConfig
from linexport.sgd._schedule import Pace
from linexport.sgd._shuffling import ShuffledRows, augment
from linexport.sgd._stepping import Autograd
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


KINDS = [pytest.param(torch.as_tensor, id="torch"), pytest.param(torch.Tensor.numpy, id="numpy")]


def closed_form(features, targets, *, kind, weight_decay=0.0, composed=None, seed=3):
    rows = kind(augment(features, targets, dtype=features.dtype, device=CPU))
    module = linear(features.shape[1], targets.shape[1], features.dtype)
    shuffled = ShuffledRows(rows, torch.Generator().manual_seed(seed))
    return module, ClosedForm(module, shuffled, weight_decay=weight_decay, composed=composed)


def readable_loop(features, targets, *, weight_decay=0.0, seed=3):
    module = linear(features.shape[1], targets.shape[1], features.dtype)
    batches = Shuffled(features, targets, torch.Generator().manual_seed(seed))
    return module, batches, Autograd(module, batches, weight_decay=weight_decay)


def parameters(module):
    """(W', b) in float64, shape (D + 1, K)."""
    weight, bias = (parameter.detach().double().numpy() for parameter in module.parameters())
    return np.vstack([weight.T, bias])


def last_gradient(runner):
    weight, bias = (gradient.double().numpy() for gradient in runner.gradients().values())
    return np.vstack([weight.T, bias])


def tolerances(batches, pace, *, weight_decay):
    """What two ways may differ by after an epoch: in the parameters, in the last gradient."""
    features, targets = batches.features, batches.targets
    unit_roundoff = UNIT_ROUNDOFF[features.dtype]
    rows = [
        np.insert(seen.double().numpy(), features.shape[1], 1.0, axis=1) for seen in batches.seen
    ]
    maps = maps_of(rows, targets.shape[1], pace, weight_decay)
    start = parameters(linear(features.shape[1], targets.shape[1], features.dtype))
    if pace.momentum:
        start = np.vstack([start, np.zeros_like(start)])
    at_end, before_last = (
        2 * error_bound(steps, start, batch_size=pace.batch_size, unit_roundoff=unit_roundoff)
        for steps in (maps, maps[:-1])
    )
    pull = map_of(abs(rows[-1]), targets.shape[1], pace._replace(momentum=0.0), 0.0)
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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("composed", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("case", CASES)
def test_steps_equal_those_of_the_readable_loop_within_rounding(
    case, weight_decay, momentum, dtype, composed, kind
):
    num_rows, num_features, num_targets, batch_size = case
    features, targets = table(num_rows, num_features, num_targets, dtype)
    pace = Pace(batch_size, 0.02 * (1 - momentum), momentum)
    theirs, batches, loop = readable_loop(features, targets, weight_decay=weight_decay)
    loop.run(pace)
    ours, runner = closed_form(
        features, targets, kind=kind, weight_decay=weight_decay, composed=composed
    )
    runner.run(pace)
    limit, gradient_limit = tolerances(batches, pace, weight_decay=weight_decay)
    assert np.linalg.norm(parameters(ours) - parameters(theirs), 2) <= limit
    assert np.linalg.norm(last_gradient(runner) - last_gradient(loop), 2) <= gradient_limit


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_training_takes_the_steps_that_a_loop_written_by_hand_takes(momentum):
    data = synthesize(num_rows=103)
    settings = SGDConfig(epochs=4, batch_size=10, learning_rate=0.002, momentum=momentum, seed=3)
    ours = train(data, solver=settings, dtype="float64")

    generator = torch.Generator().manual_seed(3)  # first the weights, then the orders
    module = linear(2, 1, torch.float64, generator)
    features, targets = map(torch.tensor, (data.feature_values, data.target_values))
    batches = Shuffled(features, targets, generator)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.002, momentum=momentum, foreach=False)
    for batch, batch_targets in itertools.chain.from_iterable(batches.epoch(10) for _ in range(4)):
        optimizer.zero_grad()
        nn.MSELoss()(module(batch), batch_targets).backward()
        optimizer.step()

    limit, _ = tolerances(batches, Pace(10, 0.002, momentum), weight_decay=0.0)
    assert np.linalg.norm(parameters(ours.module) - parameters(module), 2) <= limit < 1e-10


@pytest.mark.parametrize("kind", KINDS)
def test_what_rounding_is_allowed_to_do_is_less_than_any_fault_would(kind):
    features, targets = table(1000, 2, 1, torch.float64)
    pace = Pace(10, 0.02, 0.0)
    theirs, batches, loop = readable_loop(features, targets)
    loop.run(pace)
    limit, gradient_limit = tolerances(batches, pace, weight_decay=0.0)
    assert limit < 1e-11
    assert gradient_limit < 1e-10
    for faulty in (pace._replace(learning_rate=0.02 * (1 + 1e-9)), pace._replace(batch_size=11)):
        ours, runner = closed_form(features, targets, kind=kind)
        runner.run(faulty)
        assert np.linalg.norm(parameters(ours) - parameters(theirs), 2) > 10 * limit


small = st.integers(-1, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("composed", [True, False])
@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
@given(data=st.lists(st.tuples(small, small, small), min_size=5, max_size=6))
def test_numbers_that_need_no_rounding_give_the_same_bits_whatever_the_pace(
    data, weight_decay, composed, kind
):
    """Up to nine steps of four bits or so; 2 / (B * K) is 1, or 2 for a last batch of one row."""
    rows = torch.tensor(data, dtype=torch.float64)
    features, targets = rows[:, :2], rows[:, 2:]
    theirs, _, loop = readable_loop(features, targets, weight_decay=weight_decay)
    ours, runner = closed_form(
        features, targets, kind=kind, weight_decay=weight_decay, composed=composed
    )
    for module in (theirs, ours):
        nn.init.ones_(module.weight)
    for learning_rate, momentum in ((0.5, 0.0), (0.25, 0.5), (0.5, 0.5)):
        for each in (loop, runner):
            each.run(Pace(2, learning_rate, momentum))
        assert parameters(ours).tolist() == parameters(theirs).tolist()
        assert last_gradient(runner).tolist() == last_gradient(loop).tolist()


whole = st.integers(-3, 3)


@pytest.mark.parametrize("kind", KINDS)
@given(
    maps=st.lists(st.lists(whole, min_size=6, max_size=6), min_size=0, max_size=8),
    state=st.tuples(whole, whole),
)
def test_composed_maps_do_what_they_do_one_after_the_other(maps, state, kind):
    """Whole numbers below 2**53: 8 maps of norm up to 13."""
    steps = kind(torch.tensor(maps, dtype=torch.float64).reshape(-1, 2, 3))
    start = kind(torch.tensor(state, dtype=torch.float64)[:, None])
    composition = Composition(start, capacity=8, size=2, num_targets=1)
    for _ in range(2):  # what was taken is forgotten
        for part in (steps[first : first + 3] for first in range(0, len(steps), 3)):
            composition.room(len(part))[:] = part
        taken = start + 0
        composition.take(taken)
        expected = start
        for step in steps:
            expected = expected - (step[:, :2] @ expected - step[:, 2:])
        assert taken.tolist() == expected.tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("num_rows", "batch_size"), [(1000, 10), (1003, 10), (7, 3), (2, 1), (100_000, 64), (9, 9)]
)
def test_an_epoch_holds_every_row_once_in_the_order_of_the_permutation(num_rows, batch_size, kind):
    rows = torch.arange(2.0 * num_rows).reshape(num_rows, 2)
    shuffled = ShuffledRows(kind(rows), torch.Generator().manual_seed(3))
    order = torch.Generator().manual_seed(3)
    for _ in range(2):
        stacks = [torch.as_tensor(stack).clone() for stack in shuffled.epoch(batch_size)]
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
            *table(1000, 8, 1, torch.float32), kind=torch.as_tensor, composed=True
        )
        runner.run(Pace(4, 0.01, 0.5))
        return parameters(module).tobytes(), last_gradient(runner).tobytes()

    before = torch.get_num_threads()
    try:
        assert trained(1) == trained(4)
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("composed", [True, False])
def test_steps_that_grow_without_end_leave_no_finite_number(composed, kind):
    module, runner = closed_form(*table(1000, 2, 1, torch.float32), kind=kind, composed=composed)
    runner.run(Pace(10, 50.0, 0.0))
    assert not np.isfinite(parameters(module)).any()


@pytest.mark.parametrize(
    ("num_rows", "num_features", "pace", "expected"),
    [  # with PyTorch, with NumPy
        (1000, 2, Pace(10, 0.03, 0.0), (True, True)),
        (1000, 2, Pace(10, 0.03, 0.9), (True, True)),
        (1000, 30, Pace(30, 0.03, 0.0), (True, False)),  # as much arithmetic as PyTorch's calls
        (20_000, 10, Pace(100, 0.03, 0.0), (True, True)),
        (20_000, 100, Pace(1000, 0.03, 0.0), (False, False)),  # too much arithmetic
        (20_000, 100, Pace(10, 0.03, 0.0), (False, False)),  # likewise, to compose
        (1000, 2, Pace(250, 0.03, 0.0), (False, False)),  # too few steps
        (1000, 2, Pace(1000, 0.03, 0.0), (False, False)),
    ],
)
def test_steps_are_composed_where_that_is_faster(num_rows, num_features, pace, expected):
    features, targets = table(num_rows, num_features, 1, torch.float32)
    for kind, composed in zip((torch.as_tensor, torch.Tensor.numpy), expected, strict=True):
        _, runner = closed_form(features, targets, kind=kind)
        assert (runner._composition_for(pace) is not None) is composed
