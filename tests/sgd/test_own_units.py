"""What SGD returns is in the units and the dtype of the rows, whatever was done inside."""

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import linexport
from linexport import SGDConfig, load_array, synthesize, synthetic_data, train
from linexport.errors import DataError

SCALES = np.array([[1.0, 50.0], [3.0, -7.0]])
"""Deviations and means of features that are unlike, but not so that raw SGD diverges at once."""


def tensors(dtype=torch.float64, num_targets=1, num_rows=117):
    """Features of unlike scales, and targets whose scales differ too."""
    random = np.random.default_rng(0)
    features = random.normal(size=(num_rows, 2)) * SCALES[0] + SCALES[1]
    targets = features @ random.normal(size=(2, num_targets)) * 10.0 ** np.arange(num_targets) + 5
    targets += random.normal(size=targets.shape)
    return torch.tensor(features, dtype=dtype), torch.tensor(targets, dtype=dtype)


ROWS = {
    "a tuple": lambda x, y: (x, y),
    "a TensorDataset": TensorDataset,
    "a DataLoader": lambda x, y: load_array((x, y), 10),
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_tensors_are_trained_on_as_they_are_and_the_module_takes_them(rows, dtype):
    features, target = synthetic_data([2.0, -3.4], 4.2, 1000)
    features, target = features.to(dtype), target.to(dtype)
    result = train(rows(features, target), solver=SGDConfig(epochs=3, learning_rate=0.03))
    assert result.record.settings["standardize"] is False
    precision = "float64" if dtype == torch.float64 else "float32"
    assert result.record.settings["precision"] == precision
    assert result.module(features).dtype == dtype
    assert result.module.weight.shape == result.gradients.weight.shape == (1, 2)
    assert result.module.bias.shape == result.gradients.bias.shape == (1,)
    for parameter, values in zip(
        result.module.parameters(), (result.model.weight, result.model.bias), strict=True
    ):
        assert torch.equal(parameter, torch.tensor(values).to(dtype))  # rounded once


def test_targets_of_another_dtype_than_the_features_will_do():
    features, target = synthetic_data()
    result = train((features.double(), target), solver="sgd")
    assert result.record.settings["precision"] == "float64"
    assert result.module(features.double()).dtype == torch.float64
    whole = torch.arange(20).reshape(10, 2) ** 2  # no layer is of int64
    fitted = train((whole, whole[:, 0]), solver=SGDConfig(learning_rate=1e-6))
    assert fitted.module(whole.double()).dtype == torch.float64


def test_the_data_of_the_textbook_give_the_same_bits_as_tensors_and_as_a_dataset():
    """As the command line trains by default."""
    ours = train(synthetic_data(seed=3), solver=SGDConfig(seed=3))
    theirs = train(synthesize(seed=3), solver=SGDConfig(seed=3))
    assert ours.model.same_numbers(theirs.model)
    assert ours.losses == theirs.losses
    assert torch.equal(ours.gradients.weight, theirs.gradients.weight)


def test_tables_and_arrays_are_standardized_and_their_module_is_in_float64():
    features, target = (part.numpy() for part in tensors())
    result = train(features, target, solver="sgd")
    assert result.record.settings["standardize"] is True
    assert result.module(torch.tensor(features)).dtype == torch.float64


@pytest.mark.parametrize("num_targets", [1, 3])
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_standardized_training_still_returns_what_takes_the_rows(num_targets, precision, dtype):
    features, targets = tensors(dtype, num_targets)
    result = train(
        (features, targets),
        solver=SGDConfig(standardize=True, precision=precision, epochs=20),
    )
    assert result.model.form == "centred"
    predictions = result.module(features)
    assert predictions.dtype == dtype
    weight, bias, mean = map(
        torch.tensor, (result.model.weight, result.model.bias, result.model.mean)
    )
    expected = (features.double() - mean) @ weight.T + bias
    # The module's numbers are rounded once and three terms summed, 4 * eps / 2 of their sizes; the
    # expectation, where it is no more precise, has one operation more.
    size = (features.double().abs() + mean.abs()) @ weight.abs().T + bias.abs()
    assert ((predictions - expected).abs() <= 5 * torch.finfo(dtype).eps * size).all()


@pytest.mark.parametrize("num_targets", [1, 3])
@pytest.mark.parametrize("standardize", [False, True])
def test_the_losses_are_mean_squared_errors_in_the_targets_own_units(standardize, num_targets):
    features, targets = tensors(num_targets=num_targets)
    settings = {"standardize": standardize, "learning_rate": 1e-4}
    events = []
    results = [
        train((features, targets), solver=SGDConfig(epochs=epochs, **settings), on_epoch=on_epoch)
        for epochs, on_epoch in ((1, None), (2, events.append))
    ]
    expected = [functional.mse_loss(result.module(features), targets).item() for result in results]
    # Predictions of size 100 in float64 and errors of size 1 are apart from exact by some 1e-13.
    assert results[1].losses == pytest.approx(expected, rel=1e-11)
    assert results[1].losses == results[1].record.losses
    assert [event.loss for event in events] == list(results[1].losses)
    assert results[1].loss_unit == "target units squared"


def test_the_unit_of_the_losses_is_told_where_the_targets_have_one():
    features, target = (part.numpy() for part in tensors())
    table = {"a": features[:, 0], "b": features[:, 1], "price": target[:, 0]}
    rows = linexport.read_data(table, targets="price", units={"price": "USD"})
    assert train(rows, solver="sgd").loss_unit == "USD squared"


def test_a_bundle_keeps_the_losses_of_the_last_epochs(tmp_path):
    result = train(synthesize(num_rows=20), solver=SGDConfig(epochs=130))
    assert len(result.losses) == 130
    assert result.record.losses == result.losses[-100:]
    linexport.export(result, tmp_path / "bundle")
    assert linexport.read_bundle(tmp_path / "bundle").manifest.record.losses == result.losses[-100:]
    assert train(synthesize(), solver="lstsq").losses == ()


@pytest.mark.parametrize("num_targets", [1, 3])
@pytest.mark.parametrize("standardize", [False, True])
def test_the_gradients_are_those_in_own_units_at_the_parameters_before_the_step(
    standardize, num_targets
):
    """With all rows in one batch these are the ones that training starts from."""
    features, targets = tensors(num_targets=num_targets)
    settings = {"batch_size": 117, "epochs": 1, "seed": 3, "learning_rate": 1e-4}
    result = train((features, targets), solver=SGDConfig(standardize=standardize, **settings))

    weight = torch.empty(num_targets, 2, dtype=torch.float64)
    torch.nn.init.normal_(weight, std=0.01, generator=torch.Generator().manual_seed(3))
    bias = torch.zeros(num_targets, dtype=torch.float64)
    if standardize:
        weight *= targets.std(dim=0, correction=0)[:, None] / features.std(dim=0, correction=0)
        bias = targets.mean(dim=0) - weight @ features.mean(dim=0)
    start = weight.requires_grad_(), bias.requires_grad_()
    expected = torch.autograd.grad(
        functional.mse_loss(functional.linear(features, *start), targets), start
    )
    assert result.module.weight.grad is result.gradients.weight
    assert result.module.bias.grad is result.gradients.bias
    # Sums over a hundred rows of terms that the largest gradient is no less than a tenth of.
    for ours, theirs in zip(
        (result.gradients.weight, result.gradients.bias), expected, strict=True
    ):
        assert (ours - theirs).abs().max() <= 1e-11 * expected[0].abs().max()


def test_gradients_tell_their_minibatch_whichever_way_is_gone():
    features, target = synthetic_data(num_rows=95)
    for rows in ((features, target), load_array((features, target), 10)):
        found = train(rows, solver=SGDConfig(epochs=2)).gradients
        assert (found.epoch, found.minibatch, found.rows) == (2, 10, 5)
    whole = train((features, target), solver=SGDConfig(batch_size=200)).gradients
    assert (whole.epoch, whole.minibatch, whole.rows) == (3, 1, 95)


def test_a_target_of_one_dimension_is_one_column_and_several_are_several():
    features, target = synthetic_data(num_rows=100)
    settings = SGDConfig()
    results = []
    for shaped in (target, target[:, 0]):
        torch.manual_seed(0)
        results.append(train(load_array((features, shaped), 10), solver=settings))
    assert results[0].model.same_numbers(results[1].model)
    several = train(load_array((features, torch.cat([target, 2 * target], dim=1)), 10))
    assert several.module(features).shape == (100, 2)
    assert list(several.coefficients) == ["y1", "y2"]


class ReadOnce(IterableDataset):
    """A generator that was made once, as of a file that was opened once."""

    def __init__(self, *parts):
        self.rows = iter(list(zip(*parts, strict=True)))

    def __iter__(self):
        return self.rows


def test_a_loader_that_brings_its_batches_once_is_refused():
    loader = DataLoader(ReadOnce(*synthetic_data(num_rows=30)), batch_size=10)
    with pytest.raises(DataError, match="brought its batches once, and none when asked again"):
        train(loader)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"x": torch.ones(3, 2), "y": torch.ones(3)}, "a pair, features and target, got a dict"),
        ((torch.ones(3), torch.ones(3)), r"one feature is features\[:, None\]"),
    ],
)
def test_batches_of_another_shape_are_refused(batch, message):
    with pytest.raises(DataError, match=message):
        train(DataLoader([batch], batch_size=None))


def test_a_fit_shows_its_equations():
    random = np.random.default_rng(0)
    result = train(random.normal(size=(50, 7)), random.normal(size=(50, 2)))
    first, *lines = repr(result).splitlines()
    assert first == "Fit by lstsq on 50 rows"
    assert [line.split(" = ")[0] for line in lines] == ["  y1", "  y2"]
    found = result.coefficients["y1"]
    assert f"y1 = {found.intercept:.6g} {found.features['x1']:+.6g} x1" in lines[0]
    assert lines[0].endswith("x5 + 2 more")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_tensors_on_a_gpu_get_a_module_there(rows, standardize):
    features, target = (part.cuda() for part in synthetic_data())
    for device in ("cpu", "cuda"):
        settings = SGDConfig(standardize=standardize, device=device)
        result = train(rows(features, target), solver=settings)
        assert result.module(features).is_cuda
        assert result.gradients.weight.is_cuda
