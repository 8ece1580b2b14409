"""A runtime in pure NumPy, whose predictions are exact for the numbers that the tests use."""

from collections.abc import Callable

import numpy as np
import pytest

from linexport.columns import Column
from linexport.model import LinearModel
from linexport.predicting._predictor import Predictor


class NumPyRuntime:
    """weight @ features + bias, and what it was asked."""

    name = "numpy"
    version = np.__version__
    provider = "cpu"
    num_threads = 1

    def __init__(self, weight, bias, dtype) -> None:
        self.structure = LinearModel(
            weight=np.array(weight, dtype=dtype), bias=np.array(bias, dtype=dtype)
        )
        self.dtype = self.structure.dtype
        self.calls: list[np.ndarray] = []

    def predict(self, features):
        assert features.dtype == self.dtype
        self.calls.append(features)
        with np.errstate(all="ignore"):
            return features @ self.structure.weight.T + self.structure.bias


@pytest.fixture
def make_predictor() -> Callable[..., Predictor]:
    """y = 2 a - 4 b + 0.5, z = a + b - 1."""

    def make(dtype=np.float32, features=("a", "b"), targets=("y", "z")) -> Predictor:
        runtime = NumPyRuntime([[2, -4], [1, 1]][: len(targets)], [0.5, -1][: len(targets)], dtype)
        return Predictor(
            runtime,
            tuple(Column(name=name) for name in features),
            tuple(Column(name=name) for name in targets),
        )

    return make


@pytest.fixture
def predictor(make_predictor) -> Predictor:
    return make_predictor()
