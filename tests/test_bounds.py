"""The bounds against rational arithmetic: never smaller than the true error, and never vague."""

import random
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from rational import Arithmetic, evaluate, exactly, spacing, true_prediction

from linexport.errors import PrecisionError
from linexport.numerics._bounds import (
    FLOAT32,
    FLOAT64,
    Affine,
    Precision,
    error_bounds,
    gamma,
    half_ulp,
    precision_of,
    probabilistic_gamma,
    rounded_once,
    rounded_result,
    rounding_error_bound,
)
from linexport.numerics._flushing import flushed_to_zero

PRECISIONS = {"float32": FLOAT32, "float64": FLOAT64}
FORMS = ("folded", "centred")
every_precision = pytest.mark.parametrize("precision", [FLOAT32, FLOAT64], ids=lambda p: p.name)
every_form = pytest.mark.parametrize("form", FORMS)


def numbers(precision: Precision) -> st.SearchStrategy[float]:
    """Numbers of a format: ordinary ones, subnormal ones, and some from all over its range."""
    lowest = {"float32": -149, "float64": -1074}[precision.name]
    highest = {"float32": 104, "float64": 971}[precision.name]
    significand = st.integers(-(2**precision.digits) + 1, 2**precision.digits - 1)
    whole_range = st.builds(
        lambda m, e: float(m) * 2.0 ** max(e, -1000) * 2.0 ** min(e + 1000, 0),
        significand,
        st.integers(lowest, highest),
    )
    ordinary = significand.map(lambda m: m * 2.0**-precision.digits)
    # Their products lie where gradual underflow begins.
    small = significand.map(lambda m: float(m) * 2.0 ** (lowest // 2 - precision.digits // 2))
    tiny = st.integers(-(2**10), 2**10).map(
        lambda m: m * {"float32": 2.0**-149, "float64": 2.0**-1074}[precision.name]
    )
    return st.one_of(ordinary, ordinary, whole_range, small, tiny, st.just(0.0))


@st.composite
def problems(draw: st.DrawFn, precision: Precision, form: str) -> tuple[np.ndarray, Affine]:
    """One row of features and the affine map of one target."""
    size = draw(st.integers(1, 6))
    row = st.lists(numbers(precision), min_size=size, max_size=size)
    mean = np.array(draw(row)) if form == "centred" else None
    affine = Affine(
        weight=np.array([draw(row)]), bias=np.array([draw(numbers(precision))]), mean=mean
    )
    return np.array(draw(row)), affine


def bound_of(row: np.ndarray, affine: Affine, precision: Precision) -> float:
    (bound,) = rounding_error_bound(row[None], affine, precision=precision).ravel()
    return float(bound)


@every_precision
@every_form
@given(data=st.data(), seed=st.integers(0, 2**32), fused=st.booleans())
@settings(max_examples=100)
def test_no_order_of_summation_leaves_the_bound(precision, form, data, seed, fused):
    """With fused multiply-add or without. Where the bound is finite, nothing overflows."""
    row, affine = data.draw(problems(precision, form))
    bound = bound_of(row, affine, precision)
    if np.isfinite(bound):
        arithmetic = Arithmetic(precision)
        computed = evaluate(row, affine, 0, arithmetic, random.Random(seed), fused=fused)
        assert abs(computed - true_prediction(row, affine, 0)) <= exactly(bound)


@every_precision
@every_form
@given(data=st.data())
@settings(max_examples=50)
def test_the_bound_is_the_formula_and_barely_more(precision, form, data):
    row, affine = data.draw(problems(precision, form))
    bound = bound_of(row, affine, precision)
    if np.isfinite(bound):
        exact = formula(row, affine, precision)
        smallest = Fraction(2) ** -1074
        assert exact <= exactly(bound) <= exact * (1 + Fraction(2) ** -40) + 4 * smallest


def test_the_bound_makes_up_for_its_own_rounding():
    """In float64 each of the small terms is lost in a sum that holds the large one."""
    row = np.array([1.0] + [2.0**-54] * 4000)
    affine = Affine(weight=np.ones((1, len(row))), bias=np.zeros(1))
    assert exactly(bound_of(row, affine, FLOAT64)) >= formula(row, affine, FLOAT64)


def formula(row: np.ndarray, affine: Affine, precision: Precision) -> Fraction:
    """What docs/bounds.md derives, in rational arithmetic."""
    weight = [abs(exactly(value)) for value in affine.weight[0]]
    size = [abs(exactly(value)) for value in row]
    num_roundings = len(weight) + 1
    if affine.mean is not None:
        num_roundings = len(weight) + 2
        size = [abs(exactly(x) - exactly(m)) for x, m in zip(row, affine.mean, strict=True)]
    u = Fraction(2) ** -precision.digits
    relative = num_roundings * u / (1 - num_roundings * u)
    magnitude = sum(a * b for a, b in zip(size, weight, strict=True)) + abs(exactly(affine.bias[0]))
    half = exactly(precision.half_smallest_subnormal)
    return relative * magnitude + len(weight) * half * (1 + relative)


@every_precision
def test_a_row_of_one_sign_comes_near_the_bound(precision):
    """A bound far above every error would prove little."""
    u = Fraction(2) ** -precision.digits
    row = np.array([1 + 2.0 ** (1 - precision.digits)] * 2)  # an ulp above 1
    affine = Affine(weight=row[None], bias=np.array([0.0]))
    computed = evaluate(row, affine, 0, Arithmetic(precision), random.Random(1), fused=False)
    error = abs(computed - true_prediction(row, affine, 0))
    assert 0 < error <= exactly(bound_of(row, affine, precision))
    assert exactly(bound_of(row, affine, precision)) < 7 * u  # 3 roundings of a sum of about 2


@every_precision
def test_there_is_no_bound_where_a_difference_overflows_that_its_weight_would_shrink(precision):
    largest = precision.largest
    affine = Affine(weight=np.array([[2.0**-100]]), bias=np.array([0.0]), mean=np.array([-largest]))
    assert bound_of(np.array([largest]), affine, precision) == np.inf


@every_precision
def test_there_is_a_bound_for_numbers_well_within_the_range_only(precision):
    affine = Affine(weight=np.array([[1.0, 1.0]]), bias=np.array([0.0]))
    well_within, at_the_edge = precision.largest / 16, precision.largest / 2
    assert np.isfinite(bound_of(np.array([well_within] * 2), affine, precision))
    assert bound_of(np.array([at_the_edge] * 2), affine, precision) == np.inf


def test_fewer_roundings_give_a_smaller_bound():
    affine = Affine(weight=np.ones((1, 9)), bias=np.ones(1))
    row = np.ones((1, 9))
    one = rounding_error_bound(row, affine, precision=FLOAT32, num_roundings=1)
    assert one[0, 0] == pytest.approx(10 * 2.0**-24, rel=1e-6)  # gamma(1) times the magnitude
    assert rounding_error_bound(row, affine, precision=FLOAT32)[0, 0] > 9.9 * one[0, 0]


def test_every_row_and_target_has_its_bound_and_no_rows_have_none():
    affine = Affine(weight=np.ones((3, 2)), bias=np.zeros(3))
    assert rounding_error_bound(np.ones((5, 2)), affine, precision=FLOAT32).shape == (5, 3)
    assert rounding_error_bound(np.ones((0, 2)), affine, precision=FLOAT32).shape == (0, 3)


@every_precision
@given(data=st.data())
@settings(max_examples=100)
def test_rounding_once_errs_by_at_most_half_an_ulp(precision, data):
    """The value is a float64; for float64 itself, a fraction between two of them."""
    value = exactly(data.draw(numbers(FLOAT64)))
    value += data.draw(st.fractions(0, 1)) * Fraction(2) ** -1100
    if 0 < abs(value) < exactly(precision.largest) / 2:
        (limit,) = half_ulp(np.array([float(value)]), precision=precision)
        assert abs(Arithmetic(precision).round(value) - value) <= exactly(limit)


@every_precision
@given(exponent=st.integers(-100, 100), significand=st.integers(2**23, 2**24 - 1))
@settings(max_examples=100)
def test_half_an_ulp_is_reached_and_no_more(precision, exponent, significand):
    value = float(significand) * 2.0**exponent
    (limit,) = half_ulp(np.array([value]), precision=precision)
    assert 2 * exactly(limit) == spacing(exactly(value), precision)


@every_precision
def test_half_an_ulp_of_zero_and_of_subnormals_is_half_the_smallest_number(precision):
    values = np.array([0.0, -0.0, precision.smallest_normal / 2])
    expected = precision.half_smallest_subnormal
    assert half_ulp(values, precision=precision).tolist() == [expected] * 3


@every_precision
@every_form
@given(data=st.data(), seed=st.integers(0, 2**32), fused=st.booleans())
@settings(max_examples=100)
def test_rows_of_exact_products_stay_within_the_one_rounding(precision, form, data, seed, fused):
    """One feature away from its mean by a power of two, as the runtime rounds the difference."""
    row, affine = data.draw(problems(precision, form))
    centre = np.zeros(len(row)) if affine.mean is None else affine.mean
    step = 2.0 ** data.draw(st.integers(-30, 30)) * data.draw(st.sampled_from([-1.0, 1.0]))
    rows = centre.copy()
    rows[0] = np.array(centre[0] + step).astype(precision.name)
    arithmetic = Arithmetic(precision)
    if arithmetic.round(exactly(rows[0]) - exactly(centre[0])) == exactly(step):
        truth = true_prediction(rows, affine, 0)
        exact = np.array([[float(truth)]])
        (limit,) = rounded_once(rows[None], exact, affine, precision=precision).ravel()
        computed = evaluate(rows, affine, 0, arithmetic, random.Random(seed), fused=fused)
        assert abs(computed - truth) <= exactly(limit)


@every_precision
def test_a_mean_that_is_drowned_widens_the_one_rounding_by_its_own_share(precision):
    """By an eighth of an ulp, so that an ulp of the weight is outside."""
    weight, step = 1.5, 2.0 ** (precision.digits + 3)
    affine = Affine(weight=np.array([[weight]]), bias=np.zeros(1), mean=np.array([1.0]))
    row = np.array([[step]])
    exact = affine.evaluate(row)
    (limit,) = rounded_once(row, exact, affine, precision=precision).ravel()
    ulp = float(spacing(exactly(weight * step), precision))
    assert limit == pytest.approx(ulp * (1 / 2 + weight / 16), rel=1e-6)
    neighbour = weight + 2.0 ** (1 - precision.digits)
    assert exactly(neighbour) * exactly(step) - true_prediction(row[0], affine, 0) > exactly(limit)


@pytest.mark.parametrize("num_roundings", [1, 2, 1000, 2**23])
def test_gamma_is_its_definition(num_roundings):
    u = Fraction(2) ** -24
    expected = num_roundings * u / (1 - num_roundings * u)
    assert gamma(num_roundings, unit_roundoff=2.0**-24) == pytest.approx(float(expected), rel=1e-15)


@pytest.mark.parametrize("num_roundings", [2**24, 2**25])
def test_too_many_roundings_have_no_bound(num_roundings):
    with pytest.raises(PrecisionError, match="use float64 or fewer features"):
        gamma(num_roundings, unit_roundoff=2.0**-24)


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble, np.int32])
def test_only_float32_and_float64_have_a_bound(dtype):
    with pytest.raises(PrecisionError, match="use float32 or float64"):
        precision_of(dtype)


def test_dtypes_have_the_precision_that_numpy_says():
    for dtype in (np.float32, np.float64):
        precision, info = precision_of(dtype), np.finfo(dtype)
        assert precision.name == np.dtype(dtype).name
        assert precision.digits == info.nmant + 1
        assert precision.unit_roundoff == info.eps / 2
        assert precision.largest == info.max
        assert precision.smallest_normal == info.smallest_normal
    assert FLOAT32.half_smallest_subnormal == float(np.finfo(np.float32).smallest_subnormal) / 2
    assert FLOAT64.half_smallest_subnormal == np.finfo(np.float64).smallest_subnormal


@pytest.mark.parametrize("num_roundings", [2, 101, 10_001])
def test_the_probabilistic_bound_is_the_theorem(num_roundings):
    """Higham and Mary (2019), theorem 3.1, in 50 digits: it fails with probability 1e-6."""
    with localcontext() as context:
        context.prec = 50
        u, n = Decimal(2) ** -24, Decimal(num_roundings)
        relative = Decimal(probabilistic_gamma(num_roundings, unit_roundoff=2.0**-24))
        # Solve the bound for lambda, and that for the probability of failure.
        exponent = (1 + relative).ln() - n * u**2 / (1 - u)
        confidence = exponent / (n.sqrt() * u)
        failure = 2 * n * (-(confidence**2) * (1 - u) ** 2 / 2).exp()
        assert abs(failure / Decimal("1e-6") - 1) < Decimal("1e-6")


def test_the_probabilistic_bound_is_far_below_the_worst_case_where_features_are_many():
    random_numbers = np.random.default_rng(0)
    weight = random_numbers.standard_normal((1, 10_000)).astype(np.float32).astype(np.float64)
    row = random_numbers.standard_normal((1, 10_000)).astype(np.float32).astype(np.float64)
    affine = Affine(weight=weight, bias=np.zeros(1))
    bounds = error_bounds(row, affine, precision=FLOAT32)
    assert bounds.worst_case == rounding_error_bound(row, affine, precision=FLOAT32)
    assert bounds.probabilistic[0, 0] < bounds.worst_case[0, 0] / 10
    in_order = np.cumsum((row * weight).astype(np.float32)[0], dtype=np.float32)[-1]
    exact = true_prediction(row[0], affine, 0)
    assert abs(exactly(in_order) - exact) <= exactly(bounds.probabilistic[0, 0])


FLUSHING = {
    "operands": {"operands_flushed": True},
    "results": {"results_flushed": True},
    "both": {"operands_flushed": True, "results_flushed": True},
}


@every_precision
@every_form
@pytest.mark.parametrize("flushed", FLUSHING)
@given(data=st.data(), seed=st.integers(0, 2**32), fused=st.booleans())
@settings(max_examples=40)
def test_flushing_to_zero_is_allowed_for(precision, form, flushed, data, seed, fused):
    """Within the bound and the allowance of the truth, or of the truth about flushed operands."""
    row, affine = data.draw(problems(precision, form))
    bound = bound_of(row, affine, precision)
    if np.isfinite(bound):
        arithmetic = Arithmetic(precision, **FLUSHING[flushed])
        computed = evaluate(row, affine, 0, arithmetic, random.Random(seed), fused=fused)
        shift, allowance = (
            exactly(part[0, 0]) for part in flushed_to_zero(row[None], affine, precision=precision)
        )
        truth = true_prediction(row, affine, 0)
        distance = min(abs(computed - truth), abs(computed - truth - shift))
        assert distance <= exactly(bound) + allowance


@every_precision
def test_a_flushed_difference_that_a_large_weight_makes_visible_is_allowed_for(precision):
    """It is below the smallest normal number, its operands not."""
    tiny = precision.smallest_normal
    row = np.array([1.5 * tiny])
    affine = Affine(weight=np.array([[2.0**60]]), bias=np.zeros(1), mean=np.array([tiny]))
    arithmetic = Arithmetic(precision, results_flushed=True)
    assert evaluate(row, affine, 0, arithmetic, random.Random(0), fused=False) == 0
    shift, allowance = flushed_to_zero(row[None], affine, precision=precision)
    assert shift == 0
    assert true_prediction(row, affine, 0) <= exactly(allowance[0, 0])


@every_precision
def test_flushing_does_not_excuse_other_errors_at_subnormal_inputs(precision):
    """A large weight makes an input's loss visible, and tells zero from twice or half."""
    row = np.array([precision.smallest_normal / 2])
    affine = Affine(weight=np.array([[2.0**60]]), bias=np.array([0.0]))
    truth = true_prediction(row, affine, 0)
    shift, allowance = flushed_to_zero(row[None], affine, precision=precision)
    allowed = exactly(bound_of(row, affine, precision)) + exactly(allowance[0, 0])
    assert truth + exactly(shift[0, 0]) == 0
    assert all(
        min(abs(wrong - truth), abs(wrong - truth - exactly(shift[0, 0]))) > allowed
        for wrong in (2 * truth, truth / 2, -truth)
    )


def test_ordinary_numbers_lose_by_flushing_no_more_than_their_results():
    """Nothing is lost in operands, and D products and D sums may be flushed."""
    row, affine = np.ones((1, 3)), Affine(weight=np.ones((1, 3)), bias=np.ones(1))
    shift, allowance = flushed_to_zero(row, affine, precision=FLOAT32)
    assert shift == 0
    assert allowance[0, 0] == pytest.approx(6 * 2.0**-126, rel=1e-5)


def test_a_feature_at_its_mean_loses_nothing_by_flushing_however_large_its_weight():
    affine = Affine(weight=np.array([[1e30, 1.0]]), bias=np.zeros(1), mean=np.array([3.0, 0.0]))
    allowance = flushed_to_zero(np.array([[3.0, 2.0]]), affine, precision=FLOAT32).allowance
    assert allowance[0, 0] == pytest.approx(4 * 2.0**-126, rel=1e-5)


@every_form
@pytest.mark.parametrize("kind", ["float32", "float64"])
@given(data=st.data(), seed=st.integers(0, 2**32), fused=st.booleans())
@settings(max_examples=60)
def test_a_float64_sum_rounded_to_float32_is_within_its_bound(form, kind, data, seed, fused):
    """float32's numbers with their subnormal and large ones, or float64's, and a float32 row."""
    row, affine = data.draw(problems(FLOAT32 if kind == "float32" else FLOAT64, form))
    row = np.clip(row, -FLOAT32.largest, FLOAT32.largest).astype("f4").astype("f8")
    wide = rounding_error_bound(row[None], affine, precision=FLOAT64)
    truth = true_prediction(row, affine, 0)
    if np.isfinite(wide[0, 0]):
        above = np.nextafter(np.array([[abs(float(truth))]]), np.inf)
        bound = rounded_result(wide, above, precision=FLOAT32)
        if np.isfinite(bound[0, 0]):
            total = evaluate(row, affine, 0, Arithmetic(FLOAT64), random.Random(seed), fused=fused)
            computed = exactly(np.float32(float(total)))
            assert abs(computed - truth) <= exactly(bound[0, 0])


def test_a_result_is_rounded_by_half_an_ulp_of_the_largest_sum_that_it_may_be():
    bound, exact = np.array([2.0**-40, 2.0**-40, 0.0, 0.0]), np.array([1.5, 2.0, 0.0, 1e-45])
    rounded = rounded_result(bound, exact, precision=FLOAT32)
    assert rounded[:2] == pytest.approx([2.0**-24 + 2.0**-40, 2.0**-23 + 2.0**-40])
    assert (rounded[2:] == np.nextafter(2.0**-150, 1)).all()  # half of the smallest number


def test_there_is_no_bound_where_the_result_may_be_beyond_its_largest_number():
    exact = np.array([FLOAT32.largest, FLOAT32.largest / 2, -2 * FLOAT32.largest, np.inf])
    finite = np.isfinite(rounded_result(np.full(4, 1e20), exact, precision=FLOAT32))
    assert finite.tolist() == [False, True, False, False]


def test_an_input_below_the_normal_float32_numbers_may_be_flushed_before_a_float64_sum():
    row, affine = np.array([[2.0**-127]]), Affine(weight=np.array([[2.0**60]]), bias=np.zeros(1))
    shift, allowance = flushed_to_zero(row, affine, precision=FLOAT64, given=FLOAT32)
    assert shift[0, 0] == -(2.0**-67)
    assert allowance[0, 0] == pytest.approx(2.0**-126)
