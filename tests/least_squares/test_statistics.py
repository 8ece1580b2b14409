"""The statistics of a fit, against the real statsmodels."""

from fractions import Fraction

import msgspec
import numpy as np
import pytest
import statsmodels.api as sm
from exact_least_squares import InMemory, ridge_uncertainty, solve_exactly, square_root
from statsmodels.stats.outliers_influence import variance_inflation_factor

from linexport.fit import FitStatistics
from linexport.least_squares._solver import optimum
from linexport.least_squares._statistics import fit_statistics
from linexport.least_squares._uncertainty import NEGLIGIBLE

NAMES = ["a", "b", "c"]
NINE_DIGITS = 1e-9
DIGITS = 1e-10
"""What statsmodels' own pseudoinverse leaves of its 16 digits on these data, with a margin."""


def table(num_rows=120, seed=0):
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(num_rows, 3)) * [1, 5, 0.1] + [1, 2, 3]
    features[:, 2] += 0.05 * features[:, 0]
    target = features @ [0.3, 0.0, 2.0] + generator.normal(size=num_rows)
    return features, target, generator.uniform(0.1, 3, size=num_rows)


def statistics_of(features, target, weights=None, *, kind="precision", **settings):
    best = optimum(InMemory(features, target, weights, kind=kind), **settings)
    names = NAMES[: features.shape[1]]
    return fit_statistics(best, feature_names=names, target_names=["y"])


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("kind", [None, "precision", "frequency"])
def test_every_number_is_statsmodels(intercept, kind):
    """WLS where weights are precisions, OLS on rows repeated where they are frequencies."""
    features, target, weights = table()
    design = sm.add_constant(features) if intercept else features
    if kind == "precision":
        reference = sm.WLS(target, design, weights=weights).fit()
    else:
        weights = np.floor(weights) if kind == "frequency" else np.ones(len(target))
        repeats = weights.astype(int)
        reference = sm.OLS(np.repeat(target, repeats), np.repeat(design, repeats, axis=0)).fit()
    given = {} if kind is None else {"weights": weights, "kind": kind}
    statistics = statistics_of(features, target, **given, intercept=intercept)
    ours = statistics.targets["y"]
    coefficients = [*([ours.intercept] if intercept else []), *ours.features.values()]
    interval = reference.conf_int()
    for name, theirs in {
        "estimate": reference.params,
        "standard_error": reference.bse,
        "t": reference.tvalues,
        "p_value": reference.pvalues,
        "lower": interval[:, 0],
        "upper": interval[:, 1],
    }.items():
        mine = [getattr(coefficient, name) for coefficient in coefficients]
        assert mine == pytest.approx(theirs, rel=DIGITS), name
    for name, theirs in {
        "degrees_of_freedom": reference.df_resid,
        "residual_sum_of_squares": reference.ssr,
        "total_sum_of_squares": (reference.centered_tss if intercept else reference.uncentered_tss),
        "residual_standard_deviation": np.sqrt(reference.scale),
        "r2": reference.rsquared,
        "adjusted_r2": reference.rsquared_adj,
        "f": reference.fvalue,
        "f_p_value": reference.f_pvalue,
        "log_likelihood": reference.llf,
        "aic": reference.aic,
        "bic": reference.bic,
    }.items():
        assert getattr(ours, name) == pytest.approx(theirs, rel=DIGITS), name
    assert (statistics.rows, statistics.rank) == (reference.nobs, 3)


def with_ones(features):
    return np.column_stack([features[:, :2], np.full(len(features), 0.1)])


def with_groups(features):
    """Three 0/1 columns, of which each row has one: they add up to a constant."""
    groups = np.eye(3)[np.arange(len(features)) % 3]
    return np.column_stack([groups, features[:, :2]])


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("design", [with_ones, with_groups, lambda features: features])
@pytest.mark.parametrize("num_rows", [120, 30_000])  # summed carefully, and by BLAS alone
def test_features_that_tell_a_constant_make_up_for_an_intercept(design, weighted, num_rows):
    features, target, weights = table(num_rows)
    features = design(features)
    reference = (
        sm.WLS(target, features, weights=weights).fit()
        if weighted
        else sm.OLS(target, features).fit()
    )
    best = optimum(InMemory(features, target, weights if weighted else None), intercept=False)
    names = list("abcde")[: features.shape[1]]
    statistics = fit_statistics(best, feature_names=names, target_names=["y"])
    ours = statistics.targets["y"]
    assert statistics.around_mean == bool(reference.k_constant)
    total = reference.centered_tss if reference.k_constant else reference.uncentered_tss
    for name, theirs in {
        "total_sum_of_squares": total,
        "r2": reference.rsquared,
        "adjusted_r2": reference.rsquared_adj,
        "f": reference.fvalue,
        "f_p_value": reference.f_pvalue,
        "aic": reference.aic,
        "bic": reference.bic,
    }.items():
        assert getattr(ours, name) == pytest.approx(theirs, rel=DIGITS), name


def test_a_constant_alone_has_nothing_to_test():
    _, target, _ = table()
    ours = statistics_of(np.ones((120, 1)), target, intercept=False).targets["y"]
    assert ours.r2 == pytest.approx(0, abs=1e-15)
    assert (ours.f, ours.f_p_value) == (None, None)


def near_fit(size, num_rows=40):
    """Rows that fit but for one unit in the last place of float64 or more; exactly for size 0."""
    generator = np.random.default_rng(7)
    features = np.rint(generator.normal([1e3, 0, 5], [50, 3, 1], size=(num_rows, 3)) * 64) / 64
    target = features @ [1.0, 2.0, 3.0]
    return features, target + size * np.rint(generator.normal(size=num_rows) * 4) * 2.0**-43


@pytest.mark.parametrize("size", [1, 2**10, 2**20])
@pytest.mark.parametrize("l2", [0.0, 1e-25])
@pytest.mark.parametrize("intercept", [True, False])
def test_residuals_near_rounding_keep_their_digits(size, l2, intercept):
    """Down to 1e-31 of the total sum of squares, of which double-double sums keep no digit."""
    features, target = near_fit(size)
    exact = solve_exactly(features, target, intercept=intercept, l2=l2)
    ours = statistics_of(features, target, intercept=intercept, l2=l2).targets["y"]
    total = ours.total_sum_of_squares
    assert exact.residual_sum_of_squares < Fraction(total) * Fraction(size**2, 2**80)
    expected = float(exact.residual_sum_of_squares)
    assert ours.residual_sum_of_squares == pytest.approx(expected, rel=NINE_DIGITS)
    if not l2:
        errors = [value.standard_error for value in ours.features.values()]
        expected = exact.standard_errors()[intercept:]
        assert errors == pytest.approx(expected, rel=NINE_DIGITS)


def test_weighted_residuals_near_rounding_keep_their_digits_whatever_the_batches():
    features, target = near_fit(1)
    weights = np.arange(40.0)
    targets = np.column_stack([target, target[::-1]])
    best = optimum(InMemory(features, targets, weights, sizes=[1, 30, 9]))
    for k in range(2):
        exact = solve_exactly(features, targets[:, k], weights=weights).residual_sum_of_squares
        assert best.residual_sum_of_squares[k] == pytest.approx(float(exact), rel=NINE_DIGITS)
    assert best.residuals_known.all()


@pytest.mark.parametrize("thirds", [False, True])  # w is no double-double number
def test_residuals_of_an_exact_fit_are_0(thirds):
    features, target = near_fit(0)
    ours = statistics_of(features * (3 if thirds else 1), target).targets["y"]
    assert ours.residual_sum_of_squares == 0
    assert ours.features["a"].standard_error == 0


@pytest.mark.parametrize("apart", [2.0**-37, 2.0**-40, 2.0**-43, 2.0**-46])
@pytest.mark.parametrize("l2", [0.0, 1e-26])
def test_residuals_of_nearly_dependent_columns_are_told_or_not_given(apart, l2):
    """Where the rows cannot lower the bound, what the sums told stands: no fit of R2 1."""
    generator = np.random.default_rng(11)
    features = generator.normal(size=(25, 3))
    target = features @ [1.0, 2.0, 3.0] + 0.1 * generator.normal(size=25)
    features[:, 1] = features[:, 0] + apart * features[:, 1]
    targets = np.column_stack([target, np.ldexp(np.rint(target * 8), -3)])
    best = optimum(InMemory(features, targets), l2=l2)
    statistics = fit_statistics(best, feature_names=NAMES, target_names=["y", "z"])
    for k, ours in enumerate(statistics.targets.values()):
        exact = solve_exactly(features, targets[:, k], l2=l2)
        residual = float(exact.residual_sum_of_squares)
        assert ours.r2 == pytest.approx(1 - residual / ours.total_sum_of_squares, abs=1e-5)
        assert best.loss[k] == pytest.approx(residual / 25, rel=1e-3)
        if apart >= 2.0**-40 and not l2:
            assert ours.residual_sum_of_squares == pytest.approx(residual, rel=NEGLIGIBLE)
        if ours.features["c"].standard_error is not None and not l2:
            expected = exact.standard_errors()[3]
            assert ours.features["c"].standard_error == pytest.approx(expected, rel=NEGLIGIBLE)


def test_residuals_that_rounding_hides_in_rows_read_once_are_not_given():
    for size in (0, 1):
        rows = InMemory(*near_fit(size))
        rows.read_once = True
        best = optimum(rows)
        assert rows.passes == 1
        statistics = fit_statistics(best, feature_names=NAMES, target_names=["y"])
        ours = statistics.targets["y"]
        hidden = ours.residual_sum_of_squares, ours.residual_standard_deviation, ours.f, ours.aic
        assert hidden == (None,) * 4
        assert ours.features["a"].standard_error is None
        assert ours.r2 == pytest.approx(1, abs=1e-15)
        assert np.isfinite(best.loss).all()


def test_variance_inflation_is_statsmodels():
    features, target, _ = table()
    design = sm.add_constant(features)
    ours = statistics_of(features, target).targets["y"]
    for index, name in enumerate(NAMES):
        theirs = variance_inflation_factor(design, index + 1)
        assert ours.features[name].variance_inflation == pytest.approx(theirs, rel=DIGITS)
    assert ours.intercept.variance_inflation is None


def test_the_condition_number_is_that_of_the_standardized_features():
    features, target, _ = table()
    standardized = (features - features.mean(axis=0)) / features.std(axis=0)
    expected = np.linalg.cond(standardized)
    assert statistics_of(features, target).condition_number == pytest.approx(expected, rel=1e-10)


def test_p_values_far_below_rounding_keep_their_digits():
    features, target, _ = table()
    reference = sm.OLS(50 * target + 1e3 * features[:, 0], sm.add_constant(features)).fit()
    statistics = statistics_of(features, 50 * target + 1e3 * features[:, 0])
    ours = statistics.targets["y"].features["a"].p_value
    assert 0 < ours < 1e-60
    assert ours == pytest.approx(reference.pvalues[1], rel=1e-8)


def test_an_exact_fit_has_no_tests_but_coefficients_without_error():
    features, _, _ = table()
    features = np.rint(features * 64) / 64
    ours = statistics_of(features, features @ [1.0, 2.0, 3.0]).targets["y"]
    assert ours.residual_sum_of_squares == 0
    assert ours.r2 == 1
    assert (ours.f, ours.f_p_value, ours.log_likelihood, ours.aic, ours.bic) == (None,) * 5
    slope = ours.features["b"]
    assert (slope.estimate, slope.standard_error, slope.lower, slope.upper) == (2, 0, 2, 2)
    assert (slope.t, slope.p_value) == (None, None)


def test_without_degrees_of_freedom_there_is_no_uncertainty():
    features, target, _ = table(4)
    ours = statistics_of(features, target).targets["y"]
    assert ours.degrees_of_freedom == 0
    assert (ours.residual_standard_deviation, ours.adjusted_r2, ours.f) == (None, None, None)
    slope = ours.features["a"]
    assert (slope.standard_error, slope.t, slope.p_value, slope.lower) == (None,) * 4


def test_a_target_that_does_not_vary_has_no_r2():
    features, _, _ = table()
    ours = statistics_of(features, np.full(120, 0.1)).targets["y"]
    assert ours.r2 is None
    assert [value.estimate for value in ours.features.values()] == [0, 0, 0]
    assert ours.intercept.estimate == 0.1


def test_a_ridge_has_standard_errors_but_no_tests():
    features, target, _ = table()
    ours = statistics_of(features, target, l2=5.0).targets["y"]
    plain = statistics_of(features, target).targets["y"]
    assert 116 < ours.degrees_of_freedom < 119
    assert 0 < ours.features["c"].standard_error < plain.features["c"].standard_error
    assert (ours.features["c"].t, ours.features["c"].lower, ours.f, ours.aic) == (None,) * 4


def test_the_standard_errors_of_a_ridge_are_the_spread_of_its_estimates():
    """Refitting to new noise: the oracle is the sample."""
    features, _, _ = table(40)
    generator = np.random.default_rng(5)
    centred = features - features.mean(axis=0)
    noise = generator.normal(size=(40, 20_000))
    solve = np.linalg.solve(centred.T @ centred + 5 * np.eye(3), centred.T)
    spread = (solve @ noise).std(axis=1)
    target = features @ [0.3, 0.0, 2.0] + noise[:, 0]
    ours = statistics_of(features, target, l2=5.0).targets["y"]
    deviation = ours.residual_standard_deviation
    errors = [ours.features[name].standard_error / deviation for name in NAMES]
    # The spread of 20,000 estimates is itself known to 1 / sqrt(40,000).
    assert errors == pytest.approx(spread, rel=5 / np.sqrt(40_000))


def ridge_errors(features, l2, *, intercept=True):
    """Return standard errors over s, ours and the exact ones, and the degrees of freedom."""
    target = features.sum(axis=1) + np.random.default_rng(4).normal(size=len(features))
    best = optimum(InMemory(features, target), l2=l2, intercept=intercept)
    variances, trace = ridge_uncertainty(features, l2=l2, intercept=intercept)
    deviation = np.sqrt(best.residual_sum_of_squares[0] / best.degrees_of_freedom)
    ours = [*([best.bias_standard_errors] if intercept else []), best.weight_standard_errors[0]]
    exact = np.array([square_root(variance) for variance in variances])
    freedom = float(len(features) - trace)
    assert best.degrees_of_freedom == pytest.approx(freedom, rel=1e-12)
    return np.hstack(ours) / deviation, exact


@pytest.mark.parametrize("scale", [1e-4, 1e-8, 1e-10, 1e-20, 1e-100, 1e-140])
@pytest.mark.parametrize("intercept", [True, False])
def test_standard_errors_of_what_a_ridge_shrinks_to_almost_nothing_keep_their_digits(
    scale, intercept
):
    features = np.random.default_rng(1).normal([1, 2, 3], size=(40, 3))
    features[:, 1] += features[:, 0]
    features *= [1.0, scale, 1.0]
    ours, exact = ridge_errors(features, 1.0, intercept=intercept)
    assert ours == pytest.approx(exact, rel=NINE_DIGITS)


@pytest.mark.parametrize("l2", 10.0 ** -np.arange(0, 20, 2))
@pytest.mark.parametrize("num_rows", [30, 300])
def test_standard_errors_of_a_ridge_on_a_copied_column_are_right_or_not_given(l2, num_rows):
    features = np.random.default_rng(2).normal(size=(num_rows, 3))
    features[:, 1] = features[:, 0]
    ours, exact = ridge_errors(features, float(l2))
    given = np.isfinite(ours)
    assert given[[0, 3]].all()  # the copies alone are in doubt
    assert ours[given] == pytest.approx(exact[given], rel=NEGLIGIBLE)
    # Variances come of sums of squares over l2**2: (2**10 / 1e-8)**2 leaves 2**-106 of them enough.
    assert given.all() or l2 < 1e-8


def test_standard_errors_that_are_squares_below_float64_are_not_given():
    features = np.random.default_rng(1).normal(size=(40, 2)) * [1.0, 1e-170]
    ours, exact = ridge_errors(features, 1.0)
    assert np.isfinite(ours).tolist() == [True, True, False]
    assert ours[:2] == pytest.approx(exact[:2], rel=NINE_DIGITS)


def test_a_constant_column_under_a_ridge_is_known_to_count_for_nothing():
    features, target, _ = table()
    features[:, 1] = 0.1
    ours = statistics_of(features, target, l2=5.0).targets["y"].features["b"]
    assert (ours.estimate, ours.standard_error) == (0, 0)


def test_rows_are_read_again_where_a_ridge_needs_their_digits():
    """Sums by BLAS alone would leave the standard errors of the copies 5 % off."""
    generator = np.random.default_rng(3)
    features = generator.normal(size=(300_000, 3))
    features[:, 1] = features[:, 0] + 1e-5 * features[:, 1]
    target = features.sum(axis=1) + generator.normal(size=len(features))
    rows = InMemory(features, target)
    best = optimum(rows, l2=1.0)
    assert rows.passes > 1
    centred = features - features.mean(axis=0)
    _, values, right = np.linalg.svd(centred, full_matrices=False)
    shrunk = values / (values**2 + 1)
    expected = np.sqrt(((right.T * shrunk) ** 2).sum(axis=1))
    deviation = np.sqrt(best.residual_sum_of_squares[0] / best.degrees_of_freedom)
    assert best.weight_standard_errors[0] / deviation == pytest.approx(expected, rel=1e-6)


def test_dependent_features_have_no_finite_condition_or_inflation():
    features, target, _ = table()
    features[:, 2] = 2 * features[:, 0]
    statistics = statistics_of(features, target, rank_deficient="minimum-norm")
    assert statistics.rank == 2
    assert statistics.condition_number is None
    inflations = [value.variance_inflation for value in statistics.targets["y"].features.values()]
    assert inflations == [None, pytest.approx(1, rel=0.1), None]


def test_statistics_survive_json():
    features, target, _ = table()
    for statistics in (
        statistics_of(features, target),
        statistics_of(features, np.zeros(120)),
        statistics_of(features[:4], target[:4]),
    ):
        assert (
            msgspec.json.decode(msgspec.json.encode(statistics), type=FitStatistics) == statistics
        )
