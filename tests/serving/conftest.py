"""A model whose predictions are known, and clients: one within the process, one process to ask."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from asking import Client

from linexport.columns import Column
from linexport.model import LinearModel
from linexport.predicting import Predictor
from linexport.serving import Limits, ServedModel
from linexport.serving._application import Application
from linexport.serving._log import Log
from linexport.serving._metrics import Metrics


class NumPyRuntime:
    """weight @ features + bias; exact for the numbers that the tests use."""

    name = "numpy"
    version = np.__version__
    provider = "cpu"
    num_threads = 1

    def __init__(self, weight: Any, bias: Any, dtype: Any) -> None:
        self.structure = LinearModel(weight=np.array(weight, dtype), bias=np.array(bias, dtype))
        self.dtype = self.structure.dtype

    def predict(self, features):
        assert features.dtype == self.dtype
        with np.errstate(all="ignore"):
            return features @ self.structure.weight.T + self.structure.bias


def _model(
    name="flats",
    version="v1",
    dtype=np.float32,
    missing="error",
    bias=(0.5, -1),
    check_range="off",
    names=("a", "b"),
    wrap=lambda runtime: runtime,
):
    """y = 2 a - 4 b + 0.5, z = a + b - 1."""
    predictor = Predictor(
        runtime=wrap(NumPyRuntime([[2, -4], [1, 1]], bias, dtype)),
        features=(
            Column(name=names[0], unit="m", minimum=0.0, maximum=9.0),
            Column(name=names[1], minimum=-9.0, maximum=9.0),
        ),
        targets=(Column(name="y"), Column(name="z")),
        check_range=check_range,
    )
    return ServedModel(name=name, version=version, predictor=predictor, missing=missing)


@pytest.fixture
def make_model() -> Callable[..., ServedModel]:
    return _model


@pytest.fixture
def make_client() -> Callable[..., Client]:
    def make(*models, **limits) -> Client:
        written: list[dict[str, Any]] = []
        log = Log(lambda lines: written.extend(map(json.loads, lines.splitlines())))
        logs.append(log)
        application = Application(
            models or [_model()],
            version="1.2",
            limits=Limits(**limits),
            log=log,
            metrics=Metrics(),
        )
        return Client(application, written)

    logs: list[Log] = []
    yield make
    for log in logs:
        log.close()


@pytest.fixture
def client(make_client) -> Client:
    return make_client()
