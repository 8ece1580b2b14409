"""The questions: what a caller may ask, and what lays faults bare."""

import numpy as np
import pytest

from linexport.model import LinearModel
from linexport.numerics._bounds import precision_of
from linexport.parity._probes import Probe, probes

CASES = [(dtype, kept) for dtype in ("float32", "float64") for kept in (False, True)]
every_case = pytest.mark.parametrize(("dtype", "centred"), CASES)


EVERY_PROBE = [
    "subnormal",
    "no rows",
    "bias alone",
    "one-hot",
    "training scale",
    "one row",
    "seven rows",
    "range corners",
    "far ends",
    "extreme scales",
    "mixed scales",
    "cancelling",
    "column-major",
    "every second row",
    "reversed columns",
    "float64",
    "int64",
    "NaN and infinity",
]


def drawn(model: LinearModel, num_rows: int = 50, seed: int = 0) -> list[Probe]:
    with np.errstate(all="ignore"):
        return list(probes(model, num_rows=num_rows, seed=seed))


@every_case
def test_values_are_exact_in_the_models_dtype(make_model, dtype, centred):
    for probe in drawn(make_model(dtype, centred=centred)):
        assert (probe.features.astype(dtype) == probe.features)[~np.isnan(probe.features)].all()


@every_case
def test_every_kind_of_batch_is_asked(make_model, dtype, centred):
    asked = {p.name: p.features for p in drawn(make_model(dtype, centred=centred))}
    assert list(asked) == EVERY_PROBE
    assert {len(features) for features in asked.values()} >= {0, 1, 7, 50}
    assert not asked["column-major"].flags.c_contiguous
    assert not asked["every second row"].flags.c_contiguous
    assert asked["reversed columns"].strides[1] < 0
    assert asked["float64"].dtype == np.float64
    assert asked["int64"].dtype == np.int64
    assert np.isnan(asked["NaN and infinity"]).any()
    assert np.isposinf(asked["NaN and infinity"]).any()
    assert np.isneginf(asked["NaN and infinity"]).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_inputs_and_products_are_asked_below_the_smallest_normal_number(make_model, dtype):
    model = make_model(dtype, num_targets=3)
    smallest = precision_of(dtype).smallest_normal
    (rows,) = [probe.features for probe in drawn(model) if probe.name == "subnormal"]
    inputs, by_product = np.abs(rows[:8]), np.abs(rows[8:])
    assert ((inputs > 0) & (inputs < smallest)).all()
    products = by_product * np.abs(model.weight[np.arange(8) % 3]).astype(np.float64)
    assert ((products > 0) & (products < smallest)).all()


@every_case
def test_the_seed_alone_decides(make_model, dtype, centred):
    model = make_model(dtype, centred=centred)

    def values(seed):
        return [probe.features.tobytes() for probe in drawn(model, seed=seed)]

    assert values(1) == values(1)
    assert values(1) != values(2)


@every_case
@pytest.mark.parametrize("bias", [0.0, 1.0, 1e8])
def test_one_hot_rows_drown_the_bias(make_model, dtype, centred, bias):
    """By so many bits that the last one of the weight stands clear of it."""
    ordinary = make_model(dtype, centred=centred, num_targets=2)
    arrays = ordinary.arrays() | {"bias": np.full(2, bias, dtype)}
    model = LinearModel.from_arrays(arrays)
    centre = np.zeros(4) if model.mean is None else model.mean
    rows = np.vstack([p.features for p in drawn(model) if p.name == "one-hot"])
    assert ((rows != centre) == np.eye(4, dtype=bool)).all()
    terms = np.abs(np.diag(rows - centre) * model.weight)
    assert (terms >= bias * 2.0 ** (precision_of(dtype).digits + 2)).all()
    assert (terms > 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scales_reach_from_small_to_large_without_an_overflow(make_model, dtype):
    model = make_model(dtype)
    asked = {probe.name: np.abs(probe.features) for probe in drawn(model)}
    precision = precision_of(dtype)
    by_row, by_number = asked["extreme scales"].max(axis=1), asked["mixed scales"]
    assert by_row.max() > precision.largest**0.5 > 1 / precision.largest**0.1 > by_row.min()
    assert by_row.max() * np.abs(model.weight).sum() < precision.largest / 4
    assert (by_number.max(axis=1) / by_number.min(axis=1)).max() > 2**precision.digits


def test_one_hot_rows_are_powers_of_two_where_folded(make_model):
    for probe in drawn(make_model()):
        if probe.name == "one-hot":
            significands, _ = np.frexp(probe.features[probe.features != 0])
            assert set(np.abs(significands)) == {0.5}
            assert probe.num_roundings == 1


@pytest.mark.parametrize("mean", [0.0, 55.5, 1e-30, -1e28, 1e30, 1e33, -1e37])
def test_one_hot_rows_drown_the_mean_where_nothing_overflows(mean):
    """The difference is then a power of two, as the runtime rounds it, and the product exact."""
    model = LinearModel(
        weight=np.array([[1.5, -0.1]], np.float32),
        bias=np.ones(1, np.float32),
        mean=np.full(2, mean, np.float32),
    )
    asked = [probe for probe in drawn(model) if probe.name == "one-hot"]
    for probe in asked:
        differences = probe.features - model.mean
        differences = differences[differences != 0]
        assert len(differences) == len(probe.features)
        assert np.isfinite(differences).all()
        if probe.num_roundings == 1:
            assert set(np.abs(np.frexp(differences)[0])) == {0.5}
        else:
            assert probe.num_roundings == 3
    assert sum(len(probe.features) for probe in asked) == 2
    if abs(mean) <= 1e28:
        (probe,) = asked
        assert probe.num_roundings == 1
        assert (np.abs(np.diag(probe.features)) >= np.abs(model.mean) * 2.0**27).all()


@every_case
def test_cancelling_rows_predict_nearly_nothing(make_model, dtype, centred):
    model = make_model(dtype, centred=centred, num_targets=2)
    (rows,) = [probe.features for probe in drawn(model) if probe.name == "cancelling"]
    inputs = rows.astype(np.float64)
    if centred:
        inputs = inputs - model.mean
    terms = inputs[:, None, :] * model.weight
    target = np.arange(len(rows)) % 2
    left = np.abs(terms.sum(axis=2) + model.bias)[np.arange(len(rows)), target]
    size = np.abs(terms).sum(axis=2)[np.arange(len(rows)), target]
    assert np.median(left / size) < 8 * np.finfo(dtype).eps


@every_case
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_the_far_ends_have_predictions_of_either_sign(dtype, centred, size):
    mean = np.full(2, 1 / size, dtype) if centred else None
    model = LinearModel(
        weight=np.array([[size, 0], [0, -size]], dtype), bias=np.full(2, size, dtype), mean=mean
    )
    (probe,) = [probe for probe in drawn(model) if probe.name == "far ends"]
    rows = probe.features.astype(np.float64)
    inputs = rows if not centred else rows - model.mean
    predictions = inputs @ model.weight.T.astype(np.float64) + model.bias
    assert (predictions.max(axis=0) > 100 * size).all()
    assert (predictions.min(axis=0) < -100 * size).all()
    assert np.abs(predictions).max() < precision_of(dtype).largest / 4


def test_corners_are_asked_where_every_range_is_known(make_model):
    model = make_model()
    ends = np.array([[column.minimum, column.maximum] for column in model.features], np.float32)
    (rows,) = [probe.features for probe in drawn(model) if probe.name == "range corners"]
    assert ((rows == ends[:, 0]) | (rows == ends[:, 1])).all()
    unknown = LinearModel(weight=model.weight, bias=model.bias)
    assert "range corners" not in {probe.name for probe in drawn(unknown)}


def test_infinity_is_asked_only_where_a_flushed_weight_makes_no_difference():
    """0 * infinity is NaN, where the weight is subnormal and counts as zero."""
    model = LinearModel(
        weight=np.array([[1.0, 1e-40], [1.0, 1.0]], np.float32), bias=np.zeros(2, np.float32)
    )
    (rows,) = [probe.features for probe in drawn(model) if probe.name == "NaN and infinity"]
    assert np.isinf(rows).any(axis=0).tolist() == [True, False]


def test_batches_stay_within_memory_where_features_are_many():
    model = LinearModel(weight=np.ones((1, 40_000), np.float32), bias=np.zeros(1, np.float32))
    with np.errstate(all="ignore"):
        for probe in probes(model, num_rows=10_000, seed=0):
            assert probe.features.size <= 64 * 40_000
            if probe.name == "one-hot":
                break


def test_batches_stay_within_memory_where_targets_are_many():
    model = LinearModel(weight=np.ones((20_000, 4), np.float32), bias=np.zeros(20_000, np.float32))
    found = drawn(model, num_rows=10_000)
    assert max(len(probe.features) for probe in found) == 2**21 // 20_000


def test_batches_are_as_long_as_is_asked_where_columns_are_few():
    model = LinearModel(weight=np.ones((2, 4), np.float32), bias=np.zeros(2, np.float32))
    assert max(len(probe.features) for probe in drawn(model, num_rows=10_000)) == 10_000
