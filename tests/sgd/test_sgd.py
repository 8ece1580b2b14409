"""SGD as the textbook has it, its settings, its determinism, its cost in imports."""

import math
import random

import numpy as np
import pytest
import torch

from linexport.errors import ConfigError, TrainingError, UnavailableError
from linexport.rows._ranks import ONE
from linexport.rows._synthetic import synthesize
from linexport.sgd._config import SGDConfig
from linexport.sgd._solver import resolve_device
from linexport.training._train import train


def textbook_deviation():
    """Of one coefficient after the textbook's training, from the true one.

    Least squares itself: noise / sqrt(N). Around it SGD keeps a noise of variance v, where a step
    s = 2 * learning rate on batches of B with unit-variance features of D + 1 = 3 dimensions gives
    v = (1 - s)**2 * v + s**2 / B * (4 * v + noise**2): E|x|**2 x x' has at most D + 4 in it. The
    start is forgotten by (1 - s)**300 = 9e-9 of 4.2.
    """
    noise, step, batch = 0.01, 0.06, 10
    variance = step * noise**2 / batch / (2 - step - step * 6 / batch)
    return math.sqrt(noise**2 / 1000 + variance)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_textbook_example_is_recovered(seed, precision):
    result = train(synthesize(seed=seed), solver=SGDConfig(seed=seed, precision=precision))
    found = result.record.coefficients["y"]
    errors = np.array([found.features["x1"] - 2, found.features["x2"] + 3.4, found.intercept - 4.2])
    # Six deviations: once in 170 million runs.
    assert np.abs(errors).max() < 6 * textbook_deviation()
    assert np.abs(errors).max() > textbook_deviation() / 1000


def test_synthetic_data_are_trained_on_as_in_the_textbook():
    events = []
    result = train(synthesize(), on_epoch=events.append)
    assert result.record.solver == "sgd"
    assert result.record.rows == 1000
    assert result.record.settings == {
        "epochs": 3,
        "batch_size": 10,
        "learning_rate": 0.03,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "standardize": False,
        "seed": 0,
        "device": "cuda:0" if torch.cuda.is_available() else "cpu",
        "precision": "float32",
    }
    assert [(event.epoch, event.epochs) for event in events] == [(1, 3), (2, 3), (3, 3)]
    assert isinstance(result.module, torch.nn.Linear)
    assert result.model.form == "folded"


def test_the_loss_told_is_that_over_all_rows_after_the_epoch():
    data = synthesize()
    events = []
    result = train(data, solver=SGDConfig(epochs=2), on_epoch=events.append)
    prediction = data.feature_values @ result.model.weight.T + result.model.bias
    loss = ((prediction - data.target_values) ** 2).mean()
    # float32: predictions of size 10 are off by some 10 * 2**-23, against errors of 0.01.
    assert events[-1].loss == pytest.approx(loss, rel=1e-3)
    assert result.record.optimum["y"].loss == pytest.approx(loss, rel=1e-12)
    assert events[0].loss != events[1].loss
    assert all(event.rows_per_second > 0 for event in events)


def test_the_distance_of_the_textbooks_fit_is_told_and_the_remedies_are_named():
    result = train(synthesize())
    distance = result.record.optimum["y"]
    assert 1 < distance.standard_errors < 20
    (warning,) = result.warnings
    assert f"'y' ended {distance.standard_errors:.2g} standard errors from the" in warning
    assert "more epochs at a smaller learning rate, or use solver='lstsq'" in warning
    assert distance.loss > distance.loss_at_optimum
    assert 0 < distance.prediction < 0.05


def test_weight_decay_is_named_as_what_keeps_the_fit_away():
    (warning,) = train(synthesize(), solver=SGDConfig(weight_decay=0.1)).warnings
    assert "Weight decay keeps it there: leave it out" in warning


@pytest.mark.parametrize("epochs", [1, 3])
def test_more_epochs_are_asked_for_as_long_as_the_loss_falls(epochs):
    """At a thirtieth of the textbook's learning rate: a smaller one would be no remedy."""
    (warning,) = train(synthesize(), solver=SGDConfig(epochs=epochs, learning_rate=0.001)).warnings
    assert "Take more epochs, as the loss still falls, or use solver='lstsq'." in warning


def test_a_larger_learning_rate_is_named_where_the_loss_falls_slowly_but_steadily():
    """By 2 % an epoch, a hundred times: a smaller rate would take it ever longer."""
    random = np.random.default_rng(0)
    x = random.uniform(size=60)
    data = {"x": x, "y": x + random.normal(0, 0.01, 60)}
    result = train(data, target="y", solver=SGDConfig(epochs=100, learning_rate=0.001))
    last, least = result.losses[-1], result.record.optimum["y"].loss_at_optimum
    assert 0.9 * result.losses[-2] < last
    assert last > 10 * least
    (warning,) = result.warnings
    assert "more epochs, as the loss still falls, or a larger learning rate, or use" in warning


def test_a_smaller_learning_rate_is_named_where_the_loss_only_scatters():
    result = train(synthesize(), solver=SGDConfig(epochs=30))
    (warning,) = result.warnings
    assert "more epochs at a smaller learning rate" in warning


def test_the_remedy_helps():
    """100 epochs forget the start; at this rate the noise left is below a standard error."""
    result = train(synthesize(), solver=SGDConfig(epochs=100, learning_rate=0.001))
    assert result.record.optimum["y"].standard_errors < 1
    assert result.warnings == ()


def test_several_targets_are_trained_together():
    weight = np.array([[2.0, -3.4, 0.5], [1.0, 0.0, -1.0]])
    result = train(synthesize(weight, [4.2, -1.0]), solver=SGDConfig(epochs=10))
    assert result.model.weight.shape == (2, 3)
    # The loss averages over both, which halves the step; 1000 steps forget by exp(-0.03 * 1000).
    assert np.abs(result.model.weight - weight).max() < 6 * textbook_deviation()


def everything(result):
    arrays = [result.model.weight, result.model.bias, result.gradients.weight]
    return b"".join(np.asarray(array).tobytes() for array in arrays), result.record.metrics


@pytest.mark.parametrize("standardize", [False, True])
def test_the_same_seed_gives_the_same_bits_whatever_the_global_generators_say(standardize):
    config = SGDConfig(standardize=standardize, seed=5)
    torch.manual_seed(1)
    first = everything(train(synthesize(), solver=config))
    torch.manual_seed(2)
    assert everything(train(synthesize(), solver=config)) == first
    other = SGDConfig(standardize=standardize, seed=6)
    assert everything(train(synthesize(), solver=other)) != first


@pytest.mark.parametrize("standardize", [False, True])
def test_the_global_generators_are_left_alone(standardize):
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    train(synthesize(), solver=SGDConfig(standardize=standardize))
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_training_does_not_import_what_torch_optim_does(fresh_python):
    code = (
        "import sys, linexport as t, linexport as d\n"
        "t.train(d.synthesize())\n"
        "t.train(d.synthesize(), solver=t.SGDConfig(standardize=True, weight_decay=0.1))\n"
        "print([name for name in ('torch._dynamo', 'sympy', 'polars') if name in sys.modules])"
    )
    assert fresh_python(code) == "[]"


def test_the_number_of_threads_is_as_before_even_when_training_fails():
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        with pytest.raises(TrainingError):
            train(synthesize(), solver=SGDConfig(learning_rate=50.0))
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_an_interrupt_passes_through():
    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(synthesize(), on_epoch=interrupt)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"epochs": 2.5}, r"epochs must be a whole number of at least 1, got 2\.5"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"learning_rate": 0.0}, "learning_rate must be a finite number above 0"),
        ({"learning_rate": math.nan}, "learning_rate must be a finite number above 0, got nan"),
        ({"learning_rate": math.inf}, "learning_rate must be a finite number above 0, got inf"),
        ({"momentum": 1.0}, "momentum must be a finite number of at least 0 and below 1"),
        ({"momentum": -0.1}, "momentum must be"),
        ({"weight_decay": -1.0}, "weight_decay must be a finite number of at least 0"),
        ({"weight_decay": math.nan}, "weight_decay must be"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": 2**63}, "seed must be"),
        ({"precision": "float16"}, "precision must be float32 or float64, got 'float16'"),
        ({"device": "gpu"}, "device must be auto, cpu, cuda, cuda:N or mps, got 'gpu'"),
        ({"device": "cuda:x"}, "device must be"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        SGDConfig(**settings)


def test_devices_are_found_or_said_to_be_missing():
    assert resolve_device("cpu", ONE) == torch.device("cpu")
    assert resolve_device("auto", ONE).type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(UnavailableError, match=r"cuda:99 is not available: .*Use .*device='cpu'"):
        resolve_device("cuda:99", ONE)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_a_device_is_unavailable():
    with pytest.raises(UnavailableError, match="no CUDA device is visible"):
        train(synthesize(), solver=SGDConfig(device="cuda"))


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is an Apple GPU")
def test_mps_without_a_device_is_unavailable():
    with pytest.raises(UnavailableError, match="Device mps is not available"):
        train(synthesize(), solver=SGDConfig(device="mps"))
