"""The exact reference against rational arithmetic: its error is never larger than it says."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from rational import exactly, model_prediction

from linexport.errors import DataError
from linexport.model import LinearModel
from linexport.numerics._bounds import precision_of, rounding_error_bound
from linexport.numerics._forms import affine_of
from linexport.parity import _evaluation as evaluation
from linexport.parity._exact import DoubleReference
from linexport.parity._probes import Probe

every_case = pytest.mark.parametrize(
    ("dtype", "centred"),
    [(dtype, kept) for dtype in ("float32", "float64") for kept in (False, True)],
)


def random_model(dtype, *, centred, num_targets, num_features, exponents, seed):
    """Numbers with random significands, scaled by powers of two from the range given."""
    random = np.random.default_rng(seed)

    def array(*shape):
        values = random.uniform(-1, 1, shape).astype(dtype)
        return np.ldexp(values, random.integers(*exponents, shape, endpoint=True))

    mean = array(num_features) if centred else None
    model = LinearModel(weight=array(num_targets, num_features), bias=array(num_targets), mean=mean)
    return model, array(4, num_features)


def check(model: LinearModel, rows: np.ndarray) -> None:
    """Compare every prediction, and ask that the reference be far better than any runtime."""
    prediction = DoubleReference(model).predict(rows)
    precision = precision_of(model.dtype)
    runtimes = rounding_error_bound(rows.astype(np.float64), affine_of(model), precision=precision)
    for row, features in enumerate(rows.tolist()):
        for target in range(model.num_targets):
            truth = model_prediction(model, features, target)
            parts = (part[row, target] for part in (prediction.high, prediction.low))
            error = abs(sum(map(exactly, parts)) - truth)
            assert error <= exactly(prediction.error[row, target])
            assert prediction.error[row, target] <= 8 * runtimes[row, target]


@every_case
@given(
    seed=st.integers(0, 2**32),
    num_targets=st.integers(1, 3),
    num_features=st.integers(1, 9),
    exponents=st.sampled_from([(0, 0), (-20, 20), (-40, 30), (-40, -30)]),
)
@settings(max_examples=60)
def test_it_is_as_exact_as_it_says(dtype, centred, seed, num_targets, num_features, exponents):
    check(
        *random_model(
            dtype,
            centred=centred,
            num_targets=num_targets,
            num_features=num_features,
            exponents=exponents,
            seed=seed,
        )
    )


@every_case
@pytest.mark.parametrize("num_features", [255, 256, 257, 400])
def test_it_is_as_exact_with_many_features(dtype, centred, num_features):
    check(
        *random_model(
            dtype,
            centred=centred,
            num_targets=2,
            num_features=num_features,
            exponents=(-8, 8),
            seed=num_features,
        )
    )


@pytest.mark.parametrize("centred", [False, True], ids=["folded", "centred"])
@given(seed=st.integers(0, 2**32), exponent=st.integers(-1070, -960))
@settings(max_examples=150)
def test_it_is_as_exact_where_low_parts_of_products_underflow(centred, seed, exponent):
    """The low bits of a product around 2**-1000 are not all representable, and nothing hides it."""
    random = np.random.default_rng(seed)
    num_features = 1 + seed % 3
    weight = np.ldexp(random.uniform(-1, 1, (1, num_features)), exponent // 2)
    rows = np.ldexp(random.uniform(-1, 1, (4, num_features)), exponent - exponent // 2)
    mean = None
    if centred:  # the difference has a low part of its own, of any size
        mean = rows[0] * 2.0 ** random.integers(-60, 60, num_features)
    model = LinearModel(weight=weight, bias=np.zeros(1), mean=mean)
    check(model, rows)


@pytest.mark.parametrize("num_features", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("centred", [False, True], ids=["folded", "centred"])
def test_the_error_of_double_double_is_what_its_operations_may_add_up_to(centred, num_features):
    """A product 7 u**2, each level of the tree of sums 3 u**2, and the bias 3 u**2."""
    ones = np.ones(num_features)
    mean = np.zeros(num_features) if centred else None
    model = LinearModel(weight=ones[None], bias=np.ones(1), mean=mean)
    levels = {1: 0, 2: 1, 3: 2, 8: 3, 9: 4}[num_features]
    proven = (7 + 3 * levels + 3) * 2.0**-106 * (num_features + 1)
    error = DoubleReference(model).predict(ones[None]).error[0, 0]
    assert proven < error < 3 * proven


def test_a_float32_model_at_the_ends_of_its_range_is_evaluated_without_over_or_underflow():
    """The product of two float32 factors stays within float64."""
    for exponents in [(-140, -120), (-126, 120)]:
        model, rows = random_model(
            "float32",
            centred=True,
            num_targets=2,
            num_features=5,
            exponents=exponents,
            seed=3,
        )
        prediction = DoubleReference(model).predict(rows)
        for row, features in enumerate(rows.tolist()):
            for target in range(2):
                truth = model_prediction(model, features, target)
                error = abs(exactly(prediction.high[row, target]) - truth)
                assert error <= exactly(prediction.error[row, target])
                assert exactly(prediction.error[row, target]) < abs(truth) * Fraction(1, 2**30) or (
                    error < exactly(prediction.error[row, target])
                )


def test_cancellation_leaves_what_double_double_can_see():
    """In float64 the terms of 1e16 would leave nothing of the 1e-10 between them."""
    model = LinearModel(weight=np.array([[1e16, 1.0, -1e16]]), bias=np.array([1e-10]))
    rows = np.array([[1.0, 1e-10, 1.0]])
    high, low, error = DoubleReference(model).predict(rows)
    truth = model_prediction(model, rows[0], 0)
    assert abs(exactly(high[0, 0]) + exactly(low[0, 0]) - truth) <= exactly(error[0, 0])
    assert error[0, 0] < 1e-10 / 1000


@pytest.mark.parametrize("centred", [False, True], ids=["folded", "centred"])
def test_rows_that_are_mostly_at_the_mean_are_evaluated_as_others_are(centred):
    model, rows = random_model(
        "float64", centred=centred, num_targets=3, num_features=40,
        exponents=(-3, 3), seed=1,
    )  # fmt: skip
    centre = np.zeros(40) if model.mean is None else model.mean
    sparse = np.tile(centre, (5, 1))
    sparse[1, 7], sparse[2, [0, 39]], sparse[3, :8] = 2.5, (-1.0, 3.0), rows[0, :8]
    check(model, sparse)
    assert (DoubleReference(model).predict(sparse[:1]).high == model.bias).all()


def expected(model: LinearModel, rows: np.ndarray):
    with np.errstate(all="ignore"):
        return DoubleReference(model).expect(Probe(name="rows", features=rows))


def alike_but_for_three(accumulate, *, centred):
    """A float32 model of 40 features, and rows (5, 40) in which 37 of them are the same numbers."""
    model, rows = random_model(
        accumulate, centred=centred, num_targets=3, num_features=40, exponents=(-3, 3), seed=4
    )  # fmt: skip
    model = LinearModel.from_arrays(model.arrays(), dtype=np.dtype(np.float32))
    sparse = np.tile(rows[0].astype(np.float32), (5, 1))
    sparse[[1, 2, 3], [0, 7, 39]] = rows[1, :3]
    return model, sparse


@pytest.mark.parametrize("accumulate", ["float32", "float64"])
@pytest.mark.parametrize("centred", [False, True], ids=["folded", "centred"])
def test_features_that_are_alike_in_all_rows_are_summed_once(monkeypatch, accumulate, centred):
    model, rows = alike_but_for_three(accumulate, centred=centred)
    found = expected(model, rows)
    monkeypatch.setattr("linexport.parity._exact.without_idle", lambda *given: given)
    whole = expected(model, rows)
    assert np.allclose(found.bound, whole.bound, rtol=1e-12, atol=0)
    assert np.allclose(found.probabilistic_bound, whole.probabilistic_bound, rtol=1e-12, atol=0)
    assert (found.flushed.allowance == whole.flushed.allowance).all()
    monkeypatch.undo()
    _, few = evaluation.without_idle(rows, affine_of(model))
    assert (few.weight.shape, few.num_features) == ((3, 3), 40)
    for row, features in enumerate(rows.tolist()):
        for target in range(3):
            parts = exactly(found.high[row, target]) + exactly(found.low[row, target])
            error = abs(parts - model_prediction(model, features, target))
            own = DoubleReference(model).predict(rows[row : row + 1]).error[0, target]
            assert error <= 2 * exactly(own)


def test_what_may_overflow_is_not_summed_once():
    """Neither NaN, which is never alike, nor a number that leaves no room for the others."""
    model, rows = alike_but_for_three("float64", centred=True)
    rows[:, 20], rows[:, 21], rows[:, 22] = np.nan, np.inf, np.finfo(np.float32).max
    kept, few = evaluation.without_idle(rows, affine_of(model))
    assert (few.weight.shape[1], few.num_features) == (6, 40)
    assert np.isnan(kept[:, 2]).all()
    assert np.isfinite(few.idle.magnitude).all()


@every_case
def test_rows_are_evaluated_in_pieces_alike(monkeypatch, dtype, centred):
    model, rows = random_model(
        dtype, centred=centred, num_targets=2, num_features=5,
        exponents=(-3, 3), seed=2,
    )  # fmt: skip
    whole = DoubleReference(model).predict(rows)
    monkeypatch.setattr(evaluation, "CHUNK", 10)
    pieces = DoubleReference(model).predict(rows)
    apart = (whole.high - pieces.high) + (whole.low - pieces.low)  # BLAS may sum in another order
    assert (np.abs(apart) <= whole.error + pieces.error).all()
    assert pieces.error == pytest.approx(whole.error, rel=1e-12)


@every_case
def test_no_rows_give_no_predictions(dtype, centred):
    model, rows = random_model(
        dtype, centred=centred, num_targets=2, num_features=5,
        exponents=(0, 0), seed=2,
    )  # fmt: skip
    assert [part.shape for part in DoubleReference(model).predict(rows[:0])] == [(0, 2)] * 3


def test_features_of_another_shape_are_refused():
    model = LinearModel(weight=np.ones((1, 3)), bias=np.ones(1))
    with pytest.raises(DataError, match=r"shape \(rows, 3\), got \(3,\)"):
        DoubleReference(model).predict(np.ones(3))
