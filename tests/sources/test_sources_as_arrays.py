"""Plain arrays, by the names that people and state_dicts give them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from agreement import assert_agrees
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

import linexport
from linexport import Column
from linexport.errors import ArtifactError, ModelError

WEIGHT = np.array([[2.0, -3.5], [0.25, 8.0]])
BIAS = np.array([4.25, -1.0])


@pytest.mark.parametrize("kept", [("mean", "scale"), ("mean",), ("scale",), ()], ids=str)
def test_arrays_are_a_model(tmp_path, kept):
    rows = np.random.default_rng(1).normal(size=(20, 2)).astype(np.float32).astype(np.float64)
    mean, scale = np.array([1.0, -2.0]), np.array([0.5, 4.0])
    scaler = {"mean": mean, "scale": scale}
    source = {"weight": WEIGHT, "bias": BIAS} | {name: scaler[name] for name in kept}
    inputs = rows - mean if "mean" in kept else rows
    expected = (inputs * scale if "scale" in kept else inputs) @ WEIGHT.T + BIAS
    exported = assert_agrees(source, expected, rows, tmp_path / "bundle")
    assert exported.record.settings == {"source": "arrays"}


@pytest.mark.parametrize(
    ("source", "weight", "bias"),
    [
        ({"weight": [2, -3.5], "bias": 4}, [[2.0, -3.5]], [4.0]),
        ({"weight": [[2.0, -3.5]], "bias": [4.25]}, [[2.0, -3.5]], [4.25]),
        ({"weight": np.ma.masked_array([2.0, -3.5])}, [[2.0, -3.5]], [0.0]),
        ({"weight": WEIGHT.T.copy().T}, WEIGHT.tolist(), [0.0, 0.0]),
        ({"a.b.weight": np.float16([2, 0.5]), "a.b.bias": [1]}, [[2.0, 0.5]], [1.0]),
        ({"weight": np.array([[2**31]]), "bias": np.int8(1)}, [[2.0**31]], [1.0]),
        ({"weight": np.array([[2**60, -(2**63)]])}, [[2.0**60, -(2.0**63)]], [0.0]),
    ],
)  # fmt: skip
def test_any_way_to_write_them(source, weight, bias):
    model = linexport.read_model(source).model
    assert (model.weight.tolist(), model.bias.tolist()) == (weight, bias)
    assert model.feature_names == tuple(f"x{k}" for k in range(1, len(weight[0]) + 1))


def test_names_units_and_ranges_may_be_given():
    features = [Column(name="area", unit="m²", minimum=10.0, maximum=90.0), "floor"]
    model = linexport.read_model({"weight": [3.0, 1.0]}, features=features, targets=["rent"]).model
    assert model.features == (features[0], Column(name="floor"))
    assert model.target_names == ("rent",)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"weight": [[1.0], [2.0, 3.0]]}, "weight is no array of numbers"),
        ({"weight": ["a"]}, "must be real numbers"),
        (
            {"weight": np.ones((3, 1))},
            r"3 targets of one feature: .* {\"weight\": weight\.T, \"bias\": 0\.0}, of shape",
        ),
        (
            {"weight": np.ones((3, 1)), "bias": 2.0},
            r"for 3 targets pass {\"weight\": weight, \"bias\": \[0\.0\] \* 3}",
        ),
        ({"weight": [[1j]]}, "must be real numbers"),
        ({"weight": [True]}, "must be real numbers"),
        (
            {"weight": np.array([[2**60 + 1, 1]])},
            r"1152921504606846977, of which float64 has 1152921504606846976: .* numpy\.asarray",
        ),
        ({"weight": [1], "bias": 2**53 + 1}, "bias has the whole number 9007199254740993"),
        ({"weight": np.array([[2**64 - 1]], np.uint64)}, "whole number 18446744073709551615"),
        ({"weight": np.ma.masked_equal([[-999.0, 2.0]], -999.0)}, "weight has masked values"),
        ({"weight": [np.ma.masked_equal([-999.0, 2.0], -999.0)]}, "weight has masked values"),
        pytest.param(
            {"weight": np.ones((1, 2), np.longdouble)},
            "at most as wide as float64",
            marks=pytest.mark.skipif(
                np.dtype(np.longdouble).itemsize == 8,
                reason="no number is wider here (macOS, arm64)",
            ),
        ),
        ({"weight": np.ones((1, 2, 3))}, r"must have shape \(targets, features\)"),
        ({"weight": np.ones((0, 2))}, r"must have shape \(targets, features\)"),
        ({"weight": [1.0, 2.0], "bias": [1.0, 2.0]}, r"bias must be float64 of shape \(1,\)"),
        ({"weight": [1.0], "mean": [1.0, 2.0]}, r"mean must be float64 of shape \(1,\)"),
        ({"weight": [1.0], "scale": [1.0, 2.0]}, r"scale must have shape \(1,\), got \(2,\)"),
        ({"mean": [1.0], "weight": [1.0], "deviation": [1.0]}, "Found deviation, mean, weight"),
        ({"weight": [1.0], "offset": 1.0}, "Found offset, weight"),
        ({"a.weight": [1.0], "b.bias": 1.0}, r"Found a\.weight, b\.bias"),
        ({"weight": [1.0], 3: 1.0}, "Found 3, weight"),
        ({"weight": [np.inf]}, r"weight has the value inf at \(0, 0\)"),
        ({}, "There are no 'coefficients'"),
    ],
)
def test_what_is_no_model_is_refused(source, said):
    with pytest.raises(ModelError, match=said):
        linexport.read_model(source)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"features": ["a"]}, r"as the model has features: 2, not 1 \('a'\)"),
        ({"targets": ["a", "b"]}, r"as the model has targets: 1, not 2 \('a', 'b'\)"),
        ({"features": ["a", "a"]}, "Two features are named 'a'"),
    ],
)
def test_names_that_do_not_fit_are_refused(settings, said):
    with pytest.raises(ModelError, match=said):
        linexport.read_model({"weight": [1.0, 2.0]}, **settings)


@pytest.mark.parametrize("names", ["age,size", "one", pd.Index(["age", "size"])], ids=str)
def test_names_are_taken_however_they_are_listed(names):
    """A string is a name or several, not its letters; an Index is neither true nor false."""
    wanted = names.split(",") if isinstance(names, str) else list(names)
    source = {"weight": np.ones((1, len(wanted)))}
    assert linexport.read_model(source, features=names).model.feature_names == tuple(wanted)
    source = {"weight": np.ones((len(wanted), 2))}
    assert linexport.read_model(source, targets=names).model.target_names == tuple(wanted)


def test_names_of_the_source_stand(tiny):
    model = tiny.with_columns([Column(name="a"), Column(name="b")], tiny.targets)
    assert linexport.read_model(model, features=["a", "b"]).model.feature_names == ("a", "b")
    known = Column(name="b", minimum=0.0, maximum=2.0)
    assert linexport.read_model(model, features=["a", known]).model.features[1] == known
    with pytest.raises(ModelError, match="names its targets 'y', not 'z'"):
        linexport.read_model(model, targets=["z"])


@pytest.mark.parametrize("thing", [None, 3, object(), [1.0, 2.0]])
def test_what_is_nothing_of_the_kind_is_refused(thing):
    with pytest.raises(ModelError, match="is no model that is known here"):
        linexport.read_model(thing)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_safetensors_of_a_linear_layer(tmp_path, dtype):
    path = tmp_path / "model.safetensors"
    tensors = {"linear.weight": WEIGHT.astype(dtype), "linear.bias": BIAS.astype(dtype)}
    save_file(tensors, path, metadata={"note": "n" * 10_000})
    found = linexport.read_model(path)
    assert found.source == "safetensors"
    assert np.array_equal(found.model.weight, WEIGHT)
    assert np.array_equal(found.model.bias, BIAS)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_safetensors_are_taken_exactly(tmp_path, dtype):
    path = tmp_path / "model.safetensors"
    weight = torch.tensor([[0.1, -3e-6], [7.0, -6e4]], dtype=dtype)
    save_tensors({"weight": weight, "bias": torch.ones(2)}, path)
    model = linexport.read_model(path).model
    assert np.array_equal(model.weight, weight.to(torch.float64).numpy())
    assert model.bias.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn])
def test_safetensors_of_other_numbers_are_refused(tmp_path, dtype):
    save_tensors({"weight": torch.ones(1, 2).to(dtype)}, tmp_path / "model.safetensors")
    with pytest.raises(ArtifactError, match="must be F32 or F64 or F16 or BF16"):
        linexport.read_model(tmp_path / "model.safetensors")


def test_our_own_safetensors(tiny, tmp_path):
    exported = linexport.export(tiny, tmp_path / "bundle")
    read = linexport.read_model(tmp_path / "bundle" / "weights.safetensors").model
    assert read.same_numbers(linexport.read_model(tiny).model)
    assert exported.path is not None


def test_our_own_safetensors_with_a_mean(tiny, tmp_path):
    centred = replace(tiny, mean=np.array([1.0, -2.0]))
    linexport.export(centred, tmp_path / "bundle")
    read = linexport.read_model(tmp_path / "bundle" / "weights.safetensors").model
    assert read.mean.tolist() == [1.0, -2.0]


@pytest.mark.parametrize(
    "names",
    [("weight", "mean"), ("a.weight", "a.bias", "a.mean"), ("weight", "bias", "scale")],
    ids=str,
)
def test_a_scaler_in_other_safetensors_is_not_guessed_at(tmp_path, names):
    save_file(
        {name: np.ones((1, 1) if "weight" in name else 1) for name in names},
        tmp_path / "a.safetensors",
    )
    with pytest.raises(
        ArtifactError, match=r"the names do not say what is done with (mean|scale); "
    ):
        linexport.read_model(tmp_path / "a.safetensors")


def test_whole_numbers_in_json_are_read_to_the_nearest(tmp_path):
    """As JavaScript writes 2^60: its digits are enough to tell it from the numbers beside it."""
    path = tmp_path / "model.json"
    path.write_text('{"weight": [[1152921504606847000]], "bias": [0]}')
    assert linexport.read_model(path).model.weight.tolist() == [[2.0**60]]
