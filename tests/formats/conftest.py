"""Models whose predictions are exact in either precision, in whatever order they are summed."""

from collections.abc import Callable

import numpy as np
import pytest

from linexport.model import LinearModel

SHAPES = [(1, 1), (1, 2), (3, 1), (3, 5)]
"""Targets, features; a size of 1 is where exporters specialise."""


@pytest.fixture(scope="session")
def make_model() -> Callable[..., LinearModel]:
    def make(num_targets=1, num_features=2, dtype="float32", *, standardized=False, seed=0):
        random = np.random.default_rng(seed)

        def integers(*shape):
            return random.integers(-8, 9, shape).astype(dtype)

        scaler = {}
        if standardized:
            scale = (2.0 ** random.integers(-3, 4, num_features)).astype(dtype)
            scaler = {"mean": integers(num_features), "scale": scale}
        weight, bias = integers(num_targets, num_features), integers(num_targets)
        return LinearModel(weight=weight, bias=bias, **scaler)

    return make


@pytest.fixture(
    params=[
        (shape, dtype, standardized)
        for shape in SHAPES
        for dtype in ("float32", "float64")
        for standardized in (False, True)
    ],
    ids=lambda case: (
        f"{case[0][0]}x{case[0][1]}-{case[1]}-{'standardized' if case[2] else 'folded'}"
    ),
)
def model(request, make_model):
    shape, dtype, standardized = request.param
    return make_model(*shape, dtype, standardized=standardized)


@pytest.fixture(scope="session")
def exact_batches() -> Callable[[LinearModel], list]:
    """Batches of 0, 1 and 7 rows with their predictions, worked out in Python's integers."""

    def batches(model):
        rows = np.random.default_rng(1).integers(-99, 100, (7, model.num_features))
        scale = [
            8 * float(s)
            for s in (np.ones(model.num_features) if model.scale is None else model.scale)
        ]
        mean = [0] * model.num_features if model.mean is None else [int(m) for m in model.mean]
        expected = [
            [
                sum(
                    int(w) * (int(x) - m) * int(s)
                    for w, x, m, s in zip(weights, row, mean, scale, strict=True)
                )
                / 8
                + int(b)
                for weights, b in zip(model.weight, model.bias, strict=True)
            ]
            for row in rows
        ]
        predictions = np.array(expected, model.dtype)
        return [(rows[:n].astype(model.dtype), predictions[:n]) for n in (0, 1, 7)]

    return batches
