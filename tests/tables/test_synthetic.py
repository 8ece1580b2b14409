import numpy as np
import pytest
import torch

from linexport.errors import ConfigError
from linexport.rows._synthetic import synthesize, synthetic_data


def test_the_default_is_the_textbooks_example():
    dataset = synthesize()
    assert dataset.feature_values.shape == (1000, 2)
    assert dataset.target_values.shape == (1000, 1)
    assert dataset.true_weight.tolist() == [[2.0, -3.4]]
    assert dataset.true_bias.tolist() == [4.2]
    names = [column.name for column in dataset.features + dataset.targets]
    assert names == ["x1", "x2", "y"]
    assert dataset.features[0].maximum == dataset.feature_values[:, 0].max()


def test_the_parameters_can_be_recovered_from_the_rows():
    dataset = synthesize(num_rows=20_000, noise_std=0.5, seed=1)
    design = np.column_stack([dataset.feature_values, np.ones(20_000)])
    fitted, residues, *_ = np.linalg.lstsq(design, dataset.target_values[:, 0], rcond=None)
    # Each coefficient is off by about noise / sqrt(rows) = 0.0035; six times that is no accident.
    assert np.abs(fitted - [2.0, -3.4, 4.2]).max() < 6 * 0.5 / np.sqrt(20_000)
    assert np.sqrt(residues[0] / 20_000) == pytest.approx(0.5, rel=6 / np.sqrt(2 * 20_000))


def test_without_noise_the_target_is_the_model_rounded_to_float32():
    dataset = synthesize([[1.0, 0.5, -2.0], [0.1, 0.0, 3.0]], [0.25, -7.0], 50, 0.0)
    exact = dataset.feature_values @ dataset.true_weight.T + dataset.true_bias
    # Half an ulp of float32, and the float64 sums' own error in any order.
    assert np.abs(dataset.target_values - exact).max() <= 2.0**-24 * np.abs(exact).max() * 1.001
    assert [column.name for column in dataset.targets] == ["y1", "y2"]


def test_every_number_is_a_float32():
    dataset = synthesize(num_rows=200)
    for values in (dataset.feature_values, dataset.target_values):
        assert np.array_equal(values, values.astype(np.float32))


def test_tensors_hold_the_same_numbers():
    features, target = synthetic_data(torch.tensor([2, -3.4]), 4.2, 100, seed=5)
    dataset = synthesize(torch.tensor([2, -3.4]), 4.2, 100, seed=5)
    assert (features.dtype, target.dtype) == (torch.float32, torch.float32)
    assert (features.shape, target.shape) == ((100, 2), (100, 1))
    assert np.array_equal(features.double().numpy(), dataset.feature_values)
    assert np.array_equal(target.double().numpy(), dataset.target_values)


def test_the_same_seed_gives_the_same_bits():
    first, again, other = (synthesize(num_rows=2, seed=seed) for seed in (0, 0, 1))
    assert first.target_values.tobytes() == again.target_values.tobytes()
    assert first.target_values.tobytes() != other.target_values.tobytes()
    expected = np.random.Generator(np.random.PCG64(0)).standard_normal((2, 2)).astype(np.float32)
    assert np.array_equal(first.feature_values, expected)


def test_one_bias_serves_every_target():
    assert synthesize(np.ones((3, 2)), 4.2, 10).true_bias.tolist() == [4.2] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight": []}, "weight must have shape"),
        ({"weight": 3.0}, "weight must have shape"),
        ({"weight": np.ones((2, 2, 2))}, "weight must have shape"),
        ({"weight": ["a"]}, "weight: It must hold real numbers"),
        ({"weight": [[1], [2, 3]]}, "weight: Its rows differ in length"),
        ({"weight": [np.nan, 1]}, "weight and bias must be finite"),
        ({"bias": np.inf}, "weight and bias must be finite"),
        ({"bias": [1, 2]}, "bias must be one number or 1, one for each target"),
        ({"num_rows": 0}, "num_rows must be a whole number of at least 1, got 0"),
        ({"noise_std": -1}, "noise_std must be a finite number of at least 0, got -1"),
        ({"noise_std": np.nan}, "noise_std must be a finite number of at least 0, got nan"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"weight": [1e39]}, "a target is beyond float32"),
    ],
)
def test_arguments_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ConfigError) as caught:
        synthesize(**arguments)
    assert message in str(caught.value)
