"""Sums rounded to the float32 nearest to the exact number, against integers and rationals."""

from collections.abc import Callable

import numpy as np
import pytest
from exact_rows import MAKERS, cancelling, ties
from numpy.typing import NDArray
from rational import Arithmetic, OverflowedError, true_prediction

from linexport.numerics import FLOAT32, FLOAT64, Affine, CorrectRounding, rounding_error_bound


def _bits(values: NDArray[np.float32]) -> NDArray[np.int32]:
    """Of numbers whose zeros have no sign."""
    return np.ascontiguousarray(values + np.float32(0)).view(np.int32)


@pytest.mark.parametrize("top", [0, -129, 129], ids=["normal", "subnormal", "overflowing"])
@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_a_million_rows_are_rounded_to_the_nearest(make: Callable, top: int) -> None:
    made = make(np.random.default_rng(1))
    rows, exponent = made.float32(), made.exponent(top)
    affine, right = Affine(**made.numbers(exponent)), made.nearest(exponent)
    sums = affine.evaluate(rows)
    assert np.array_equal(CorrectRounding(affine)(rows, sums).view(np.int32), _bits(right))
    assert np.isinf(right).any() == (top == 129)
    if make in (ties, cancelling) and top == 0:  # the sums alone would not do
        assert not np.array_equal(sums.astype(np.float32), right)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_whoever_sums_within_the_bound_gets_the_same_bits(make: Callable) -> None:
    made = make(np.random.default_rng(2))
    rows, affine = made.float32()[:2000], Affine(**made.numbers(made.exponent(10)))
    round_once, sums = CorrectRounding(affine), affine.evaluate(rows)
    bound = rounding_error_bound(rows.astype(float), affine, precision=FLOAT64)
    expected = round_once(rows, sums)
    for share in (-0.5, 0.1, 0.5):  # the sums here have an error of their own
        assert np.array_equal(_bits(round_once(rows, sums + share * bound)), _bits(expected))


def _scaled(rng: np.random.Generator, shape: tuple[int, ...], least: int, most: int) -> NDArray:
    return np.ldexp(rng.standard_normal(shape), rng.integers(least, most, shape))


@pytest.mark.parametrize(
    ("least", "most"),
    [(-3, 3), (-60, 60), (-1070, -900), (-1000, 100), (700, 1020), (-1070, 1020)],
    ids=["alike", "apart", "tiny", "small", "huge", "all"],
)
@pytest.mark.parametrize("centred", [False, True], ids=["folded", "centred"])
def test_numbers_of_all_sizes_agree_with_rationals(least: int, most: int, centred: bool) -> None:
    """Float64 sums of the terms overflow, underflow or cancel here, so that integers decide."""
    rng = np.random.default_rng(2000 + most)
    weight = _scaled(rng, (2, 6), least, most)
    weight[:, 3:] = -weight[:, :3]
    affine = Affine(
        weight=weight,
        bias=_scaled(rng, (2,), min(least, -30), 0),
        mean=_scaled(rng, (6,), -140, 20) if centred else None,
    )
    rows = _scaled(rng, (60, 6), -140, 100).astype(np.float32)
    rows[:, 3:] = rows[:, :3]
    rows[::2, 4] *= np.float32(1 + 2**-23)
    rows[::5] = 0
    if centred:
        affine.mean[3:] = affine.mean[:3]
    with np.errstate(all="ignore"):
        rounded = CorrectRounding(affine)(rows, affine.evaluate(rows.astype(float)))
    for row, answers in zip(rows, rounded, strict=True):
        for target, answer in enumerate(answers):
            assert answer == _nearest(true_prediction(row, affine, target))


def _nearest(exact) -> float:
    try:
        return float(Arithmetic(FLOAT32).round(exact))
    except OverflowedError:
        return np.inf if exact > 0 else -np.inf


def test_rows_without_a_prediction_are_merely_converted() -> None:
    rows = np.array([[np.nan, 1], [np.inf, 1], [1, 1], [-np.inf, np.inf], [1, -np.inf]], np.float32)
    affine = Affine(weight=np.array([[1.0, 2.0]]), bias=np.array([0.5]))
    with np.errstate(invalid="ignore"):
        rounded = CorrectRounding(affine)(rows, affine.evaluate(rows))
    assert np.array_equal(rounded.ravel(), [np.nan, np.inf, 3.5, np.nan, -np.inf], equal_nan=True)


def test_no_rows_are_no_predictions() -> None:
    affine = Affine(weight=np.ones((3, 2)), bias=np.zeros(3))
    rounded = CorrectRounding(affine)(np.zeros((0, 2), np.float32), np.zeros((0, 3)))
    assert rounded.shape == (0, 3)
    assert rounded.dtype == np.float32


def test_a_prediction_of_zero_has_no_sign() -> None:
    affine = Affine(weight=np.array([[1e-30, -1e-30]]), bias=np.zeros(1))
    rows = np.array([[1, 1], [0, 1e-30], [1e-30, 0], [-0.0, 0]], np.float32)
    rounded = CorrectRounding(affine)(rows, affine.evaluate(rows))
    assert not rounded.view(np.int32).any()
