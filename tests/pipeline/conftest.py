"""A model of numbers that float32 holds exactly, its bundle, and its predictions in rationals."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import linexport
from linexport import Column, ExportConfig, LinearModel

FEATURES = (
    Column(name="area", unit="m²", minimum=20.0, maximum=200.0, mean=90.0, standard_deviation=30.0),
    Column(name="rooms", minimum=1.0, maximum=9.0),
    Column(name="floor, from the ground"),
)
TARGETS = (Column(name="price", unit="EUR"), Column(name="rent"))


@pytest.fixture(scope="session")
def model() -> LinearModel:
    return LinearModel(
        weight=np.array([[3125, -250.5, 40], [12.25, 7, -0.5]]),
        bias=np.array([1000.0, -3.75]),
        features=FEATURES,
        targets=TARGETS,
    )


@pytest.fixture(scope="session")
def bundle(model, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "bundle"
    return linexport.export(model, path, config=ExportConfig(probe_rows=64)).path


@pytest.fixture(scope="session")
def exact() -> Callable[[LinearModel, list[list[float]]], list[list[Fraction]]]:
    """The model's meaning in rational arithmetic, row by row."""

    def predict(model, rows):
        means = [0] * model.num_features if model.mean is None else model.mean.tolist()
        return [
            [
                Fraction(bias)
                + sum(
                    Fraction(w) * (Fraction(x) - Fraction(m))
                    for w, x, m in zip(weights, row, means, strict=True)
                )
                for weights, bias in zip(model.weight.tolist(), model.bias.tolist(), strict=True)
            ]
            for row in rows
        ]

    return predict
