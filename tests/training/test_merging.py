"""Fits of rows that several ranks hold are those of one process with all rows."""

from dataclasses import replace

import numpy as np
import pytest
from threaded_ranks import on_ranks

from linexport.errors import TrainingError
from linexport.fit import Weighting
from linexport.least_squares._solver import LeastSquaresConfig
from linexport.numerics._bounds import gamma
from linexport.rows._dataset import _take, share_dataset
from linexport.rows._inputs import as_dataset
from linexport.sgd._config import SGDConfig
from linexport.training._train import train

ROUNDOFF = 2.0**-53
every_size = pytest.mark.parametrize("num_ranks", [2, 3, 7])


def table(num_rows=200, *, num_targets=2, spread=1.0):
    """Correlated features, sorted by one of them: the shares are as unlike as they can be."""
    generator = np.random.default_rng(5)
    features = generator.normal(size=(num_rows, 3)) @ generator.normal(size=(3, 3)) * spread + 10
    features = features[features[:, 0].argsort()]
    targets = features @ generator.normal(size=(3, num_targets)) + generator.normal(
        size=(num_rows, num_targets)
    )
    return as_dataset(features, targets)


def uneven(dataset, rank, num_ranks):
    """Rank 0 gets nothing, rank 1 five rows, the last one most."""
    bounds = [0, 0, *(5 * number for number in range(1, num_ranks - 1)), dataset.num_rows]
    rows = slice(bounds[rank], bounds[rank + 1])
    return _take(dataset, rows)


def weighted(dataset, kind):
    if kind is None:
        return dataset
    weights = np.random.default_rng(6).integers(0, 4, dataset.num_rows).astype(float)
    return replace(dataset, weights=weights, weighting=Weighting(column="w", kind=kind))


def fit_on_ranks(dataset, solver, num_ranks, share=share_dataset, **options):
    return on_ranks(
        num_ranks,
        lambda ranks: train(
            share(dataset, ranks.rank, num_ranks), solver=solver, ranks=ranks, **options
        ),
    )


def bits(model):
    return {name: array.tobytes() for name, array in model.arrays().items()}


@every_size
@pytest.mark.parametrize("share", [share_dataset, uneven])
@pytest.mark.parametrize("settings", [{}, {"l2": 2.5}, {"intercept": False}], ids=str)
@pytest.mark.parametrize("kind", [None, "precision", "frequency"])
def test_least_squares_on_ranks_is_the_optimum_of_all_rows_to_the_last_bit(
    num_ranks, share, settings, kind
):
    """Sums are in double-double: the order of the rows is lost when the result is rounded."""
    dataset, config = weighted(table(), kind), LeastSquaresConfig(**settings)
    alone = train(dataset, solver=config)
    for result in fit_on_ranks(dataset, config, num_ranks, share):
        assert result.record.coefficients == alone.record.coefficients
        assert result.record.rows == alone.record.rows
        for ours, theirs in zip(result.model.features, alone.model.features, strict=True):
            assert (ours.minimum, ours.maximum) == (theirs.minimum, theirs.maximum)
        for target in ("y1", "y2"):
            ours, theirs = (fit.record.metrics["training"][target] for fit in (result, alone))
            # Each is a sum of 200 terms, rounded a few times besides.
            rounding = gamma(220, unit_roundoff=ROUNDOFF)
            assert abs(ours.mae - theirs.mae) <= 2 * rounding * theirs.mae
            assert abs(ours.rmse - theirs.rmse) <= 2 * rounding * theirs.rmse
            assert abs(ours.r2 - theirs.r2) <= 4 * rounding * (1 - theirs.r2) + 2 * ROUNDOFF
            assert ours.rows == theirs.rows


def test_every_rank_holds_the_same_bits():
    for solver in (LeastSquaresConfig(), SGDConfig(epochs=3, batch_size=16)):
        first, *others = fit_on_ranks(table(), solver, 3, uneven)
        assert all(bits(other.model) == bits(first.model) for other in others)


def test_dependent_features_are_found_where_no_rank_could():
    """Each rank has two rows, which say nothing of three features."""
    generator = np.random.default_rng(0)
    features = generator.integers(-9, 9, (6, 2)).astype(float)
    dataset = as_dataset(np.column_stack([features, features.sum(axis=1)]), features[:, 0])
    for error in fit_on_ranks(dataset, LeastSquaresConfig(), 3):
        assert isinstance(error, TrainingError)
        assert "'x3' is a combination of 'x1' and 'x2'" in str(error)


TRAJECTORIES = {
    "raw units": SGDConfig(standardize=False, epochs=2, learning_rate=0.003),
    "a short last batch": SGDConfig(epochs=3, batch_size=64),
    "batches with rows of one rank only": SGDConfig(epochs=2, batch_size=1),
    "momentum and weight decay": SGDConfig(
        epochs=4, batch_size=30, momentum=0.5, weight_decay=0.1, learning_rate=0.01
    ),
    "all rows in a batch": SGDConfig(epochs=20, batch_size=200),
}


def last_batch(result):
    found = result.gradients
    return found.epoch, found.minibatch, found.rows


@every_size
@pytest.mark.parametrize("share", [share_dataset, uneven])
@pytest.mark.parametrize("name", TRAJECTORIES)
def test_sgd_on_ranks_takes_the_steps_of_one_process(name, share, num_ranks):
    solver, dataset = TRAJECTORIES[name], table(spread=0.1)
    epochs, steps = [], []
    alone = train(dataset, solver=solver, on_epoch=epochs.append)
    results = on_ranks(
        num_ranks,
        lambda ranks: train(
            share(dataset, ranks.rank, num_ranks),
            solver=solver,
            ranks=ranks,
            on_epoch=None if ranks.rank else steps.append,
        ),
    )
    # Only the order of sums differs: at most 200 rows a step, and 20 operations more, on numbers
    # up to the size of a gradient (features up to 20, residuals up to 20). As steps contract, each
    # adds no more than its own, and there are at most 200 an epoch.
    limit = 200 * len(epochs) * gamma(220, unit_roundoff=ROUNDOFF) * 400
    assert limit < 1e-6, "the test would show nothing"
    assert [end.loss for end in steps] == pytest.approx([end.loss for end in epochs], abs=limit)
    for result in results:
        for ours, theirs in zip(result.module.parameters(), alone.module.parameters(), strict=True):
            assert float((ours - theirs).detach().abs().max()) <= limit
        assert last_batch(result) == last_batch(alone)
        assert result.record.settings.keys() == alone.record.settings.keys()
        assert result.record.settings["batch_size"] == alone.record.settings["batch_size"]


def test_a_divergence_is_the_same_error_on_all_ranks():
    solver = SGDConfig(learning_rate=5.0, batch_size=5)
    errors = fit_on_ranks(table(), solver, 3)
    with pytest.raises(TrainingError) as alone:
        train(table(), solver=solver)
    assert len({str(error) for error in errors}) == 1
    assert str(errors[0]).partition("rose from")[0] == str(alone.value).partition("rose from")[0]
    assert str(errors[0]).partition("Lower")[2] == str(alone.value).partition("Lower")[2]
