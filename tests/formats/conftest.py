"""Models whose predictions are exact in either precision, in whatever order they are summed."""

from collections.abc import Callable

import numpy as np
import pytest

from linexport.model import LinearModel

SHAPES = [(1, 1), (1, 2), (3, 1), (3, 5)]
"""Targets, features; a size of 1 is where exporters specialise."""


@pytest.fixture(scope="session")
def make_model() -> Callable[..., LinearModel]:
    def make(num_targets=1, num_features=2, dtype="float32", *, centred=False, seed=0):
        random = np.random.default_rng(seed)

        def integers(*shape):
            return random.integers(-8, 9, shape).astype(dtype)

        mean = integers(num_features) if centred else None
        weight, bias = integers(num_targets, num_features), integers(num_targets)
        return LinearModel(weight=weight, bias=bias, mean=mean)

    return make


@pytest.fixture(
    params=[
        (shape, dtype, centred)
        for shape in SHAPES
        for dtype in ("float32", "float64")
        for centred in (False, True)
    ],
    ids=lambda case: f"{case[0][0]}x{case[0][1]}-{case[1]}-{'centred' if case[2] else 'folded'}",
)
def model(request, make_model):
    shape, dtype, centred = request.param
    return make_model(*shape, dtype, centred=centred)


@pytest.fixture(scope="session")
def exact_batches() -> Callable[[LinearModel], list]:
    """Batches of 0, 1 and 7 rows with their predictions, worked out in Python's integers."""

    def batches(model):
        rows = np.random.default_rng(1).integers(-99, 100, (7, model.num_features))
        mean = [0] * model.num_features if model.mean is None else [int(m) for m in model.mean]
        expected = [
            [
                sum(int(w) * (int(x) - m) for w, x, m in zip(weights, row, mean, strict=True))
                + int(b)
                for weights, b in zip(model.weight, model.bias, strict=True)
            ]
            for row in rows
        ]
        predictions = np.array(expected, model.dtype)
        return [(rows[:n].astype(model.dtype), predictions[:n]) for n in (0, 1, 7)]

    return batches
