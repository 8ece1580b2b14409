"""PyTorch archives that are not what they should be."""

import io
import warnings

import numpy as np
import pytest
import torch
from artifacts import whole_model
from torch import nn

from linexport.errors import ArtifactError
from linexport.formats import FORMATS, eager

MODEL = whole_model()


def scripted(module: nn.Module) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(module), buffer)
    return buffer.getvalue()


def trusted(data: bytes, name: str = "torchscript"):
    return next(FORMATS[name].open(data, MODEL, ours=False))


class Refusing(nn.Module):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if features.shape[0] != 1:
            raise ValueError("one row at a time")
        return features


class Paired(nn.Module):
    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return features, features


class WithoutAxis(nn.Module):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features.sum(1)


@pytest.mark.parametrize("data", [b"", b"not an archive", b"PK\x03\x04 nor this"])
@pytest.mark.parametrize("name", ["torchscript", "pt2"])
def test_what_is_no_archive_is_refused(name, data):
    with pytest.raises(ArtifactError, match="PyTorch refuses the"):
        trusted(data, name)


def test_an_archive_that_is_only_trusted_states_no_structure():
    runtime = trusted(scripted(WithoutAxis()))
    assert runtime.structure is None


def test_predictions_without_the_axis_of_a_single_target_get_it_back():
    runtime = trusted(scripted(WithoutAxis()))
    assert runtime.predict(np.array([[1, 2, 3], [4, 5, 6]])).tolist() == [[6], [15]]


@pytest.mark.parametrize("module", [Refusing(), Paired(), nn.Linear(5, 1)])
def test_a_module_that_does_not_predict_is_an_artifact_error(module):
    runtime = trusted(scripted(module))
    with pytest.raises(ArtifactError, match="torchscript fails on a batch of 2 rows"):
        runtime.predict(np.ones((2, 3)))


def test_the_caller_keeps_its_gradient_mode_and_its_array():
    rows = np.ones((2, 3), np.float32)
    runtime = eager(MODEL)
    runtime.predict(rows)[:] = 0
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    assert (rows == 1).all()
