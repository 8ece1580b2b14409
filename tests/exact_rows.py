"""A million rows whose exact predictions are known: all numbers are integers times a power of two.

int64 holds the sums exactly, and one division rounds them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

ROWS = 200_000
NARROW, WIDE = 2**24, 2**34
"""24 bits of a feature, 35 of a weight with its sign and 2 for the sum make 61."""
LEAST = -149
"""Exponent of float32's smallest number."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Features (N, D), and a model of K targets in units of a power of two."""

    features: Integers
    weight: Integers
    bias: Integers
    mean: Integers

    @property
    def predictions(self) -> Integers:
        return (self.features - self.mean) @ self.weight.T + self.bias

    def exponent(self, top: int) -> int:
        """The unit in which the largest prediction has that binary exponent."""
        return top - int(np.abs(self.predictions).max()).bit_length()

    def float32(self) -> NDArray[np.float32]:
        rows = self.features.astype(np.float32)
        assert np.array_equal(rows, self.features)
        return rows

    def numbers(self, exponent: int) -> dict[str, NDArray[np.float64]]:
        """Weight, bias and mean; the unit is that of the predictions."""
        weight, bias = (np.ldexp(n.astype(float), exponent) for n in (self.weight, self.bias))
        numbers = {"weight": weight, "bias": bias, "mean": self.mean.astype(float)}
        return numbers if self.mean.any() else numbers | {"mean": None}

    def nearest(self, exponent: int) -> NDArray[np.float32]:
        """The float32 predictions, ties to even, beyond the range infinite."""
        whole = self.predictions
        _, bits = np.frexp(np.abs(whole).astype(float))
        one = np.int64(1)
        bits -= np.left_shift(one, np.maximum(bits - 1, 0)) > np.abs(whole)  # float rounded it up
        digits = np.maximum(bits - 24, max(LEAST - exponent, 0))
        unit = np.left_shift(one, digits)
        kept, rest = np.divmod(whole, unit)
        kept += 2 * rest > unit - kept % 2
        with np.errstate(over="ignore"):
            return np.ldexp(kept.astype(float), digits + exponent).astype(np.float32)


def normal(rng: np.random.Generator) -> Rows:
    """Sums of 61 bits, of which float64 keeps 53."""
    return _rows(
        rng.integers(-NARROW, NARROW, (ROWS, 7)),
        rng.integers(-WIDE, WIDE, 7),
        rng.integers(-WIDE, WIDE, 1),
    )


def ties(rng: np.random.Generator) -> Rows:
    """Halfway between two float32 numbers, or the last bit of 54 away from there."""
    features = rng.integers(-1, 2, (ROWS, 3))
    features[:, 0] = rng.integers(NARROW // 2, NARROW, ROWS) * rng.choice([-1, 1], ROWS)
    features[:, 1] *= 2**20
    return _rows(features, [2**30, 2**9, 1])


def halves(rng: np.random.Generator) -> Rows:
    """Plain sums of integers, every other one a tie."""
    features = rng.integers(-1000, 1000, (ROWS, 10))
    features[:, 0] = rng.integers(NARROW // 2, NARROW, ROWS) * 2
    return _rows(features, np.ones(10, int), [1])


def cancelling(rng: np.random.Generator) -> Rows:
    """What is left is far below the terms, or nothing."""
    weight = rng.integers(-WIDE, WIDE, 7)
    weight[3:6] = -weight[:3]
    features = rng.integers(-NARROW, NARROW, (ROWS, 7))
    features[:, 3:6] = features[:, :3]
    features[:, 6] = rng.integers(-2, 3, ROWS)
    return _rows(features, weight)


def centred(rng: np.random.Generator) -> Rows:
    """Differences of 34 bits, of two targets."""
    return _rows(
        rng.integers(NARROW // 2, NARROW, (ROWS, 4)) << 10,
        rng.integers(-(2**25), 2**25, (2, 4)),
        rng.integers(-WIDE, WIDE, 2),
        rng.integers(2**33, 2**34, 4),
    )


MAKERS: list[Callable[[np.random.Generator], Rows]] = [normal, ties, halves, cancelling, centred]
"""Together 10**6 rows."""


def _rows(features: Integers, weight, bias=(0,), mean=0) -> Rows:
    weight = np.atleast_2d(weight)
    return Rows(
        features=features,
        weight=weight,
        bias=np.asarray(bias),
        mean=np.broadcast_to(mean, weight.shape[1]),
    )
