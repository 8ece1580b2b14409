"""From a fit to an artifact: which form, and how far from the fit, against rational arithmetic."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from rational import exactly, model_prediction

from linexport.columns import Column
from linexport.errors import ModelError
from linexport.model import LinearModel
from linexport.numerics._forms import (
    RoundingBudget,
    affine_of,
    artifact_model,
    input_rounding,
    raw_coefficients,
    rounding_budget,
)

F4, F8 = np.dtype(np.float32), np.dtype(np.float64)
every_dtype = pytest.mark.parametrize("dtype", [F4, F8], ids=str)


def near_a_million() -> LinearModel:
    """A feature at a million, give or take one, beside an ordinary one."""
    return LinearModel(
        weight=np.array([[3.4, -3.4], [0.17, 7.0]]),
        bias=np.array([4.2, -1.0]),
        mean=np.array([1e6 + 0.3, 0.1]),
        features=(
            Column(name="elevation", minimum=1e6 - 1, maximum=1e6 + 1),
            Column(name="slope", minimum=-3.0, maximum=3.0),
        ),
        targets=(Column(name="yield"), Column(name="loss")),
    )


@st.composite
def fits(draw: st.DrawFn) -> LinearModel:
    """Fits that are centred, whose features lie anywhere in their ranges."""
    num_targets, num_features = draw(st.integers(1, 2)), draw(st.integers(1, 4))
    numbers = st.floats(-1e3, 1e3).map(lambda value: value if abs(value) > 1e-30 else 0.0)

    def array(strategy, *shape):
        size = int(np.prod(shape))
        return np.array(draw(st.lists(strategy, min_size=size, max_size=size))).reshape(shape)

    mean = array(st.floats(-1e6, 1e6).map(lambda value: round(value, 3)), num_features)
    width = array(st.floats(1e-3, 1e3), 2, num_features)
    ranges = zip(mean - width[0], mean + width[1], strict=True)
    return LinearModel(
        weight=array(numbers, num_targets, num_features),
        bias=array(numbers, num_targets),
        mean=mean,
        features=tuple(
            Column(name=f"x{number}", minimum=float(low), maximum=float(high))
            for number, (low, high) in enumerate(ranges)
        ),
    )


def corners(fit: LinearModel) -> list[tuple[float, ...]]:
    """Both ends of every range; an affine function is largest at one of them."""
    return list(itertools.product(*((column.minimum, column.maximum) for column in fit.features)))


def farthest(fit: LinearModel, artifact: LinearModel, target: int) -> Fraction:
    return max(
        abs(model_prediction(artifact, corner, target) - model_prediction(fit, corner, target))
        for corner in corners(fit)
    )


def middles_rounded(fit: LinearModel, artifact: LinearModel, target: int) -> Fraction:
    """Return what an ulp of each feature, where its range is farthest from 0, moves the two by."""
    slopes = zip(slopes_of(fit, target), slopes_of(artifact, target), strict=True)
    ulps = (np.spacing(max(abs(c.minimum), abs(c.maximum))) for c in fit.features)
    return sum(
        (
            abs(first - second) * exactly(ulp)
            for (first, second), ulp in zip(slopes, ulps, strict=True)
        ),
        start=Fraction(0),
    )


def slopes_of(model: LinearModel, target: int) -> list[Fraction]:
    return [exactly(value) for value in model.weight[target]]


@every_dtype
@pytest.mark.parametrize("form", ["folded", "centred"])
@given(fit=fits())
@settings(max_examples=60)
def test_the_export_budget_is_the_largest_distance_over_the_range(dtype, form, fit):
    artifact = artifact_model(fit, dtype, form)
    budget = rounding_budget(fit, artifact)
    for target, limit in enumerate(budget.export):
        distance = farthest(fit, artifact, target)
        assert distance <= exactly(limit)
        # Above that it is by the error of double-double, whose terms are up to 1e12, and because
        # the middle of a range is rounded, from which both ends are then less than an ulp farther.
        slack = Fraction(1, 10**17) + middles_rounded(fit, artifact, target)
        assert exactly(limit) <= distance * (1 + Fraction(2) ** -40) + slack


@every_dtype
@pytest.mark.parametrize("form", ["folded", "centred"])
def test_no_prediction_in_the_range_leaves_the_budget(dtype, form):
    """NumPy predicts, in the artifact's dtype; the fit's meaning is taken in rational numbers."""
    fit = near_a_million()
    artifact = artifact_model(fit, dtype, form)
    budget = rounding_budget(fit, artifact)
    random = np.random.default_rng(0)
    rows = np.array([[c.minimum, c.maximum] for c in fit.features])
    rows = random.uniform(rows[:, 0], rows[:, 1], (300, 2)).astype(dtype)
    inputs = rows if artifact.mean is None else rows - artifact.mean
    predictions = inputs @ artifact.weight.T + artifact.bias
    for row, prediction in zip(rows, predictions, strict=True):
        for target, value in enumerate(prediction):
            meant = model_prediction(artifact, row, target)
            assert abs(exactly(value) - meant) <= exactly(budget.runtime[target])
            assert abs(meant - model_prediction(fit, row, target)) <= exactly(budget.export[target])


@every_dtype
def test_a_feature_far_from_zero_keeps_its_mean(dtype):
    fit = near_a_million()
    artifact = artifact_model(fit, dtype)
    assert artifact.form == "centred"
    assert artifact.dtype == dtype
    assert (artifact.features, artifact.targets) == (fit.features, fit.targets)
    kept, folded = (
        rounding_budget(fit, artifact_model(fit, dtype, form)) for form in ("auto", "folded")
    )
    assert all(
        ours < theirs / 1000 for ours, theirs in zip(kept.runtime, folded.runtime, strict=True)
    )


@every_dtype
def test_a_feature_around_zero_is_folded(dtype):
    fit = LinearModel(
        weight=np.array([[2.0, -1.02]]),
        bias=np.array([4.2]),
        mean=np.array([0.01, -0.02]),
    )
    artifact = artifact_model(fit, dtype)
    assert artifact.form == "folded"
    other = rounding_budget(fit, artifact_model(fit, dtype, "centred"))
    ours = rounding_budget(fit, artifact)
    assert sum(ours.export + ours.runtime) <= sum(other.export + other.runtime)


def test_the_form_is_chosen_by_the_target_that_suffers_most():
    """In absolute numbers the second target's errors vanish beside the first one's."""
    fit = LinearModel(
        weight=np.array([[1e9, 0.0], [0.0, 1e-6]]),
        bias=np.array([0.0, 0.0]),
        mean=np.array([0.0, 1e6]),
    )
    assert artifact_model(fit, F4).form == "centred"


def test_a_fit_without_a_mean_is_rounded_to_nearest():
    fit = LinearModel(weight=np.array([[0.1, -0.7]]), bias=np.array([1 / 3]))
    artifact = artifact_model(fit, F4)
    assert artifact.weight.tolist() == np.array([[0.1, -0.7]], np.float32).tolist()
    assert artifact.bias.tolist() == [np.float32(1 / 3)]
    assert artifact_model(fit, F8).same_numbers(fit)


def test_the_centred_form_in_float64_is_the_fit_itself():
    fit = near_a_million()
    artifact = artifact_model(fit, F8, "centred")
    budget = rounding_budget(fit, artifact)
    assert artifact.same_numbers(fit)
    assert budget == RoundingBudget(export=(0.0, 0.0), runtime=budget.runtime)
    assert min(budget.runtime) > 0


def test_the_bias_makes_up_for_the_rounding_of_the_mean():
    """At the mean itself the artifact is right to within half an ulp of the bias."""
    fit = near_a_million()
    artifact = artifact_model(fit, F4, "centred")
    assert artifact.mean[0] != fit.mean[0]
    for target in range(2):
        distance = model_prediction(artifact, fit.mean, target) - exactly(fit.bias[target])
        assert abs(distance) <= exactly(np.spacing(abs(artifact.bias[target])) / 2)


@given(fit=fits())
@settings(max_examples=60)
def test_raw_coefficients_are_the_fit_in_raw_units_rounded_once(fit):
    weight, bias = raw_coefficients(fit)
    affine = affine_of(fit)
    for target in range(fit.num_targets):
        terms = [exactly(w) for w in affine.weight[target]]
        assert weight[target].tolist() == affine.weight[target].tolist()
        shift = [term * exactly(mean) for term, mean in zip(terms, affine.mean, strict=True)]
        intercept = exactly(affine.bias[target]) - sum(shift)
        # Half an ulp, and what double-double loses where the terms are far larger than the sum.
        allowed = exactly(np.spacing(abs(bias[target]))) / 2
        allowed += sum(map(abs, shift)) * 32 * Fraction(2) ** -106
        assert abs(exactly(bias[target]) - intercept) <= allowed


def test_raw_coefficients_of_a_folded_model_are_its_own():
    model = LinearModel(weight=np.array([[2.0, -3.4]], F4), bias=np.array([4.2], F4))
    weight, bias = raw_coefficients(model)
    assert weight.dtype == bias.dtype == F8
    assert (weight == model.weight).all()
    assert (bias == model.bias).all()


def test_a_range_that_is_not_known_reaches_four_deviations_from_the_mean():
    def budget(deviation=None, **known):
        column = Column(name="x", standard_deviation=deviation, **known)
        fit = LinearModel(
            weight=np.array([[0.7]]),
            bias=np.array([1.0]),
            mean=np.array([10.0]),
            features=(column,),
        )
        return rounding_budget(fit, artifact_model(fit, F4, "folded"))

    assert budget(0.5) == budget(minimum=8.0, maximum=12.0)
    assert budget() == budget(minimum=6.0, maximum=14.0)


def centred(weight, mean=0.0, width=1.0):
    return LinearModel(
        weight=np.array([[weight]]),
        bias=np.array([0.0]),
        mean=np.array([mean]),
        features=(Column(name="x", minimum=mean - width, maximum=mean + width),),
    )


def test_the_form_whose_numbers_the_dtype_can_hold_is_taken():
    far = centred(1e30, mean=1e10)
    assert artifact_model(far, F4).form == "centred"
    with pytest.raises(ModelError, match=r"bias -1e\+40 is too large for float32"):
        artifact_model(far, F4, "folded")


@pytest.mark.parametrize("form", ["auto", "folded", "centred"])
@pytest.mark.parametrize(
    ("weight", "width", "message"),
    [
        (1e39, 1.0, r"weight 1e\+39 is too large for float32; use float64"),
        (1e-46, 1.0, "weight 1e-46 of 'x' is too small for float32; use float64"),
        (1e-40, 1e38, "weight 1e-40 of 'x' is too small for float32; use float64"),
    ],
)
def test_weights_beyond_the_dtype_are_refused(weight, width, form, message):
    fit = centred(weight, width=width)
    with pytest.raises(ModelError, match=message):
        artifact_model(fit, F4, form)
    assert artifact_model(fit, F8, form).weight == weight


def test_a_tiny_weight_beside_others_is_lost_where_it_makes_no_difference():
    """Over the range it makes up for less than the rounding of any prediction."""
    fit = LinearModel(weight=np.array([[1e-60, 2.0]]), bias=np.array([1.0]))
    assert artifact_model(fit, F4).weight.tolist() == [[0.0, 2.0]]
    (export,) = rounding_budget(fit, artifact_model(fit, F4)).export
    assert export >= 4e-60


def test_a_mean_that_is_not_there_cannot_be_kept():
    fit = LinearModel(weight=np.array([[1.0]]), bias=np.array([0.0]))
    with pytest.raises(ModelError, match="no mean to keep; use the folded form"):
        artifact_model(fit, F4, "centred")


def test_where_a_prediction_may_overflow_the_runtime_budget_is_infinite():
    fit = LinearModel(
        weight=np.array([[1e38]]),
        bias=np.array([0.0]),
        features=(Column(name="x", minimum=0.0, maximum=100.0),),
    )
    assert rounding_budget(fit, artifact_model(fit, F4)).runtime == (np.inf,)
    assert np.isfinite(rounding_budget(fit, artifact_model(fit, F8)).runtime[0])


@pytest.mark.parametrize("form", ["folded", "centred"])
def test_a_float64_sum_keeps_the_fit_and_rounds_the_result_once(form):
    """The budget holds for every float64 input in the range, at most four times what is seen."""
    fit = near_a_million()
    artifact = artifact_model(fit, F4, form, accumulate=F8)
    assert (artifact.dtype, artifact.accumulate, artifact.form) == (F4, F8, form)
    budget, moved = rounding_budget(fit, artifact), input_rounding(fit, artifact)
    assert max(budget.export) <= 2.0**-33  # half an ulp of a bias near two million, where folded
    random = np.random.default_rng(0)
    rows = np.array([[c.minimum, c.maximum] for c in fit.features])
    rows = random.uniform(rows[:, 0], rows[:, 1], (300, 2))
    given = rows.astype(F4).astype(F8)
    inputs = given if artifact.mean is None else given - artifact.mean
    predictions = (inputs @ artifact.weight.T + artifact.bias).astype(F4)
    for target, (runtime, by_input) in enumerate(zip(budget.runtime, moved, strict=True)):
        seen = [
            abs(exactly(value) - model_prediction(artifact, row, target))
            for row, value in zip(given, predictions[:, target], strict=True)
        ]
        assert exactly(runtime) / 4 < max(seen) <= exactly(runtime)
        whole = exactly(runtime) + exactly(by_input) + exactly(budget.export[target])
        for row, value in zip(rows, predictions[:, target], strict=True):
            assert abs(exactly(value) - model_prediction(fit, row, target)) <= whole


def test_a_range_beyond_float32_has_no_budget_whatever_the_sum_is_taken_in():
    feature = Column(name="x", minimum=0.0, maximum=1e39)
    fit = LinearModel(weight=np.array([[1e-30]]), bias=np.zeros(1), features=(feature,))
    artifact = artifact_model(fit, F4, accumulate=F8)
    assert rounding_budget(fit, artifact).runtime == (np.inf,)
