"""Rows that are hard to scale: three features of very different sizes, one far from zero."""

import numpy as np
import pytest

from linexport.model import LinearModel


@pytest.fixture(scope="session")
def rows() -> np.ndarray:
    random = np.random.default_rng(11)
    drawn = random.normal(size=(60, 3)) * [1, 30, 0.5] + [0, 5, 1000]
    return drawn.astype(np.float32).astype(np.float64)


@pytest.fixture(scope="session")
def target(rows) -> np.ndarray:
    noise = np.random.default_rng(12).normal(0, 0.1, len(rows))
    return (rows - [0, 5, 1000]) @ [2.0, -0.3, 4.0] + 50 + noise


@pytest.fixture(scope="session")
def targets(target) -> np.ndarray:
    return np.column_stack([target, 3 - target / 4])


@pytest.fixture
def tiny() -> LinearModel:
    return LinearModel(weight=np.array([[2.0, -3.5]]), bias=np.array([4.25]))
