"""What optimum() and fit_least_squares() return, against rational arithmetic and scikit-learn."""

import numpy as np
import pytest
from exact_least_squares import InMemory, solve_exactly
from hypothesis import given, strategies as st
from sklearn.linear_model import LinearRegression, Ridge

import linexport
from linexport._asked import asking_for_options
from linexport.columns import Column, default_columns
from linexport.errors import ConfigError, DataError, TrainingError
from linexport.least_squares import _dependence
from linexport.least_squares._normal_equations import inverse_factor
from linexport.least_squares._solver import LeastSquaresConfig, fit_least_squares, optimum
from linexport.numerics._forms import raw_coefficients

U = 2.0**-53


def table(num_rows, num_features=4, *, seed=0, num_targets=1):
    """Columns of different scales, with offsets; as float64."""
    generator = np.random.default_rng(seed)
    scales, offsets = 10.0 ** generator.integers(-3, 4, size=(2, num_features))
    features = generator.normal(size=(num_rows, num_features)) * scales + offsets
    weight = generator.normal(size=(num_features, num_targets)) / scales[:, None]
    noise = generator.normal(size=(num_rows, num_targets))
    return features, features @ weight + 5 + noise


def wide_table(num_rows, num_features):
    generator = np.random.default_rng(0)
    return generator.normal(size=(num_rows, num_features)), generator.normal(size=num_rows)


def agree(values, others, tolerance):
    return np.max(np.abs(np.asarray(values) / np.asarray(others) - 1)) <= tolerance


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 4),
    st.integers(1, 12),
    st.booleans(),
    st.sampled_from([0.0, 0.5, 1e4]),
)
def test_coefficients_are_the_exact_optimum_rounded_once(seed, size, extra, intercept, l2):
    features, target = table(size + extra, size, seed=seed)
    best = optimum(InMemory(features, target), intercept=intercept, l2=l2)
    exact = solve_exactly(features, target, intercept=intercept, l2=l2)
    coefficients = [*best.bias, *best.weight[0]] if intercept else best.weight[0]
    # Once more rounding than the exact one, where the sums' own error shifts the rounding.
    assert agree(coefficients, exact.rounded(), 4 * U)
    if not l2:
        errors = [*best.bias_standard_errors, *best.weight_standard_errors[0]]
        if size + extra > len(coefficients):
            assert agree(errors[not intercept :], exact.standard_errors(), 2.0**-30)
        else:
            assert np.isnan(errors).all()


def test_several_targets_are_fitted_each_by_itself():
    features, targets = table(60, num_targets=3)
    together = optimum(InMemory(features, targets))
    for k in range(3):
        alone = optimum(InMemory(features, targets[:, k]))
        assert np.array_equal(together.weight[k], alone.weight[0])
        assert together.bias[k] == alone.bias[0]
        assert agree(together.weight_standard_errors[k], alone.weight_standard_errors[0], 1e-14)
        assert together.residual_sum_of_squares[k] == alone.residual_sum_of_squares[0]


@pytest.mark.parametrize("intercept", [True, False])
def test_a_weight_of_2_counts_a_row_twice(intercept):
    features, target = table(40)
    weights = np.random.default_rng(1).integers(0, 4, size=40)
    kinds = ("precision", "frequency")
    weighted, counted = (
        optimum(InMemory(features, target, weights.astype(float), kind=kind), intercept=intercept)
        for kind in kinds
    )
    repeated = optimum(
        InMemory(np.repeat(features, weights, axis=0), np.repeat(target, weights, axis=0)),
        intercept=intercept,
    )
    assert agree(weighted.weight, repeated.weight, 1e-13)
    assert weighted.num_rows == np.count_nonzero(weights)
    assert counted.num_rows == repeated.num_rows
    assert np.array_equal(counted.weight, weighted.weight)
    assert agree(counted.weight_standard_errors, repeated.weight_standard_errors, 1e-12)
    assert agree(weighted.residual_sum_of_squares, repeated.residual_sum_of_squares, 1e-13)
    assert np.allclose(weighted.mean, repeated.mean, rtol=1e-15, atol=0)


def test_weighted_coefficients_are_the_exact_optimum():
    features, target = table(30)
    weights = np.random.default_rng(2).uniform(0.1, 3, size=30)
    best = optimum(InMemory(features, target, weights))
    exact = solve_exactly(features, target, weights=weights)
    # Weights pass through their root: 2 u each, amplified by the condition of the problem.
    assert agree([*best.bias, *best.weight[0]], exact.rounded(), 1e-13)


@pytest.mark.parametrize("weighted", [True, False])
def test_the_objective_of_the_ridge_is_scikit_learns(weighted):
    features, targets = table(200, num_targets=2)
    weights = np.random.default_rng(3).uniform(0.1, 3, size=200) if weighted else None
    for intercept in (True, False):
        best = optimum(InMemory(features, targets, weights), l2=3.0, intercept=intercept)
        ridge = Ridge(alpha=3.0, solver="svd", fit_intercept=intercept)
        ridge.fit(features, targets, sample_weight=weights)
        assert agree(best.weight, ridge.coef_, 1e-9)
        assert agree(best.bias, ridge.intercept_, 1e-9) if intercept else not best.bias.any()


def test_the_degrees_of_freedom_of_a_ridge_are_the_trace_of_its_hat_matrix():
    features, target = table(50)
    best = optimum(InMemory(features, target), l2=2.0)
    centred = features - features.mean(axis=0)
    hat = centred @ np.linalg.solve(centred.T @ centred + 2 * np.eye(4), centred.T)
    assert best.degrees_of_freedom == pytest.approx(50 - 1 - np.trace(hat), rel=1e-9)


def test_float32_rows_are_fitted_in_float64():
    features, target = (array.astype(np.float32) for array in table(5000))
    ours = optimum(InMemory(features, target))
    same = optimum(InMemory(features.astype(float), target.astype(float)))
    assert agree(ours.weight, same.weight, 1e-12)


@pytest.mark.parametrize("exponent", [-660, 660])
def test_columns_of_extreme_scale_lose_no_digit(exponent):
    features, target = table(30, 2)
    scale, target_scale = 2.0**exponent, 2.0 ** (exponent // 2)
    plain = optimum(InMemory(features, target))
    scaled = optimum(InMemory(features * [scale, 1.0], target * target_scale))
    assert np.array_equal(scaled.weight / target_scale * [scale, 1.0], plain.weight)
    assert np.array_equal(scaled.bias / target_scale, plain.bias)


@pytest.mark.parametrize("scale", [1e-200, 1e-161, 1e200])
def test_a_target_whose_squares_are_beyond_float64_is_an_error(scale):
    features, target = table(30, 2)
    with pytest.raises(TrainingError, match="the squares of 'y' are beyond float64"):
        optimum(InMemory(features, target * scale))


@pytest.mark.parametrize(
    ("scale", "target_scale"), [(1e250, 1e-100), (1e160, 1e-150), (1e-250, 1e100), (1e-160, 1e150)]
)
def test_a_weight_beyond_float64_is_an_error(scale, target_scale):
    """Neither 0 nor infinity, nor a subnormal number that has lost its digits."""
    features, target = table(30, 2)
    rows = InMemory(features * [1.0, scale], target * target_scale)
    with pytest.raises(TrainingError, match="the weight of 'x2' for 'y' is beyond float64"):
        optimum(rows)


def test_a_standard_error_below_float64_is_not_given():
    """Neither 0 nor a subnormal number: the weight is 1e-307, its error a thousandth of that."""
    features, _ = table(30, 1)
    noise = np.random.default_rng(3).normal(size=(30, 1)) / 1000
    scale = features.std()
    best = optimum(InMemory(features / scale * 1e160, (features / scale + noise) * 1e-147))
    assert agree(best.weight, 1e-307, 0.01)
    assert np.isnan(best.weight_standard_errors).all()
    assert np.isfinite(best.bias_standard_errors).all()


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_a_scale_that_shows_only_after_the_first_rows_is_dealt_with(scale):
    features, target = table(12_000, 2)
    features[:8000, 0] = 0.0
    features[8000:, 0] *= scale
    rows = InMemory(features, target)
    best = optimum(rows)
    assert rows.passes == 2
    features[8000:, 0] /= scale
    assert agree(best.weight * [scale, 1.0], optimum(InMemory(features, target)).weight, 1e-9)


def test_one_row_more_than_coefficients_leaves_no_degree_of_freedom():
    features, _ = table(5)
    target = features @ [1.0, 2.0, 3.0, 4.0] + 7
    best = optimum(InMemory(features, target))
    exact = solve_exactly(features, target)
    assert agree([*best.bias, *best.weight[0]], exact.rounded(), 1e-13)
    assert best.degrees_of_freedom == 0
    assert np.isnan(best.weight_standard_errors).all()
    assert np.isnan(best.bias_standard_errors).all()


def test_batches_of_any_size_give_the_same_coefficients():
    features, target = table(3000)
    whole = optimum(InMemory(features, target))
    pieces = optimum(InMemory(features, target, sizes=[1] * 50 + [7, 0, 1943, 1000]))
    assert agree(pieces.weight, whole.weight, 2 * U)


def dependent_table(num_rows=80):
    features, target = table(num_rows, 5)
    features[:, 3] = 2.5 * features[:, 0] - 1.3 * features[:, 1] + 7
    return features, target


NAMES = ["height", "width", "depth", "mixture", "age"]


@pytest.mark.parametrize("num_rows", [80, 20_000])  # in one pass, and in two
def test_dependent_columns_are_an_error_that_names_them(num_rows):
    rows = InMemory(*dependent_table(num_rows), names=NAMES)
    with pytest.raises(TrainingError) as caught:
        optimum(rows)
    assert str(caught.value) == (
        "rows.csv: the features are linearly dependent: 'mixture' is a combination of 'height' and "
        "'width'. Leave out what others tell with exclude=['mixture'], or use "
        "solver=LeastSquaresConfig(rank_deficient='minimum-norm')."
    )


def test_a_copied_and_a_constant_column_are_named():
    features, target = table(50)
    features[:, 1] = features[:, 0]
    features[:, 3] = 0.1
    with pytest.raises(TrainingError, match=r"'x4' is constant; 'x2' is a combination of 'x1'\."):
        optimum(InMemory(features, target))
    assert optimum(InMemory(features[:, [0, 3]], target), intercept=False).rank == 2


def celsius_and_fahrenheit(*dtypes):
    generator = np.random.default_rng(3)
    celsius = generator.normal(20, 8, size=500).astype(np.float32).astype(float)
    fahrenheit = (1.8 * celsius + 32).astype(np.float32)
    columns = [c.astype(kind) for c, kind in zip((celsius, fahrenheit), dtypes, strict=True)]
    rows = InMemory(np.column_stack(columns), 0.5 * celsius + generator.normal(size=500))
    rows.unit_roundoff[:2] = [np.finfo(kind).eps / 2 for kind in dtypes]
    rows.features = tuple(Column(name=name) for name in ("temp c", "temp_f"))
    return rows


@pytest.mark.parametrize("dtypes", [("f4", "f4"), ("f8", "f4")])
def test_columns_that_differ_by_the_rounding_of_float32_are_dependent(dtypes):
    with pytest.raises(TrainingError) as caught:
        optimum(celsius_and_fahrenheit(*dtypes))
    assert str(caught.value) == (
        "rows.csv: the features are linearly dependent: 'temp_f' is a combination of 'temp c', "
        "within the rounding of the format that they came in. Leave out what others tell with "
        "exclude=['temp_f'], or use solver=LeastSquaresConfig(rank_deficient='minimum-norm')."
    )


def test_the_same_numbers_are_two_features_where_they_came_in_float64():
    best = optimum(celsius_and_fahrenheit("f8", "f8"))
    assert best.rank == 2
    assert best.variance_inflation.min() > 1e12


def test_float32_columns_that_differ_by_more_than_rounding_are_fitted():
    features, target = table(500, 2)
    features = features / features.std(axis=0)
    features[:, 1] = features[:, 0] + 1e-5 * features[:, 1]  # 2**-24 is 6e-8
    best = optimum(InMemory(features.astype(np.float32), target))
    assert best.condition_number > 1e5


@pytest.mark.parametrize(("name", "option"), [("b c", "'b c'"), ("b,c", "b,c")])
def test_a_name_is_told_as_commands_take_it(name, option):
    features, target = table(50)
    features[:, 1] = features[:, 0]
    rows = InMemory(features, target, names=["a", name, "d", "e"])
    with (
        asking_for_options(),
        pytest.raises(TrainingError, match=f"others tell with --exclude {option}, or use"),
    ):
        optimum(rows)


def test_a_constant_that_rounding_blurs_is_found():
    features, target = table(50)
    features[:, 1] = 1e16 + 2.0 * np.arange(50) % 4
    with pytest.raises(TrainingError, match=r"'x2' is a combination of a constant\."):
        optimum(InMemory(features, target))


def test_nearly_dependent_columns_are_fitted_while_their_difference_is_more_than_rounding():
    features, _ = table(60, 3)
    features /= features.std(axis=0)
    features[:, 2] = features[:, 0] + features[:, 1] + 2.0**-36 * features[:, 2].round(1)
    target = features @ [1.0, 2.0, 3.0]
    best = optimum(InMemory(features, target))
    assert best.condition_number > 1e10
    assert agree(best.weight[0], solve_exactly(features, target).rounded()[1:], 1e-9)


@pytest.mark.parametrize("num_rows", [80, 20_000])
def test_minimum_norm_gives_the_shortest_weight_as_scikit_learn_does(num_rows):
    features, target = dependent_table(num_rows)
    best = optimum(InMemory(features, target), rank_deficient="minimum-norm")
    assert best.rank == 4
    assert best.condition_number == np.inf
    assert np.isinf(best.variance_inflation).tolist() == [True, True, False, True, False]
    kept = features[:, [0, 1, 2, 4]]
    basis = optimum(InMemory(kept, target))
    null = np.array([2.5, -1.3, 0, -1, 0])
    start = np.insert(basis.weight[0], 3, 0.0)
    shortest = start - null * (null @ start) / (null @ null)
    assert agree(best.weight[0], shortest, 1e-9)
    assert agree(best.weight[0, [2, 4]], basis.weight[0, [2, 3]], 1e-12)
    assert agree(best.residual_sum_of_squares, basis.residual_sum_of_squares, 1e-12)
    sklearn = LinearRegression().fit(features, target)
    assert agree(features @ best.weight[0] + best.bias, sklearn.predict(features)[:, 0], 1e-9)


def test_the_errors_of_the_shortest_weight_are_those_of_the_pseudoinverse():
    features, target = dependent_table()
    features /= features.std(axis=0)
    best = optimum(InMemory(features, target), rank_deficient="minimum-norm")
    centred = features - features.mean(axis=0)
    variance = best.residual_sum_of_squares[0] / best.degrees_of_freedom
    covariance = variance * np.linalg.pinv(centred.T @ centred, rcond=1e-9)
    assert agree(best.weight_standard_errors[0] ** 2, covariance.diagonal(), 1e-7)


def test_fewer_rows_than_coefficients_are_an_error_unless_the_shortest_weight_is_asked_for():
    features, target = table(4)
    with pytest.raises(
        TrainingError,
        match="too few rows: 4, where 4 features take 5 at least, one of them for the bias",
    ):
        optimum(InMemory(features, target))
    features /= features.std(axis=0)
    best = optimum(InMemory(features, target), rank_deficient="minimum-norm")
    assert agree(best.weight, LinearRegression().fit(features, target).coef_, 1e-9)


def count_factors(monkeypatch):
    """Return a list that grows with the columns of each matrix that is factorized."""
    sizes = []

    def counting(gram, doubt):
        sizes.append(len(doubt))
        return inverse_factor(gram, doubt)

    monkeypatch.setattr(_dependence, "inverse_factor", counting)
    return sizes


@pytest.mark.parametrize("read_once", [False, True])
def test_too_few_rows_are_counted_before_anything_is_solved(read_once, monkeypatch):
    sizes = count_factors(monkeypatch)
    rows = InMemory(*wide_table(12, 400), sizes=[7, 5])
    rows.read_once = read_once
    with pytest.raises(TrainingError, match="too few rows: 12, where 400 features take 401 at"):
        optimum(rows)
    assert (rows.passes, sizes) == (1, [])


@pytest.mark.parametrize("fraction", [0.9, 0.99])
def test_a_test_part_that_leaves_too_few_rows_is_named(fraction):
    rows = linexport.Dataset(
        feature_values=(features := np.random.default_rng(0).normal(size=(60, 7))),
        target_values=features[:, :1] + np.arange(60)[:, None],
        features=default_columns("x", 7),
        targets=default_columns("y", 1),
    )
    kept = round(60 * fraction)
    with pytest.raises(TrainingError) as caught:
        linexport.train(rows, test=fraction)
    assert str(caught.value) == (
        f"data: There are too few rows after {kept} were kept out for the test: {60 - kept}, where "
        "7 features take 8 at least, one of them for the bias. A smaller test_fraction=... keeps "
        "out fewer."
    )


def test_all_rows_that_are_too_few_have_other_remedies():
    rows = linexport.Dataset(
        feature_values=np.eye(5, 7),
        target_values=np.ones((5, 1)),
        features=default_columns("x", 7),
        targets=default_columns("y", 1),
    )
    with pytest.raises(TrainingError, match=r"were kept out for the test: 4, .*Use fewer with"):
        linexport.train(rows, test=0.2)


def test_a_wide_table_costs_a_few_factors_not_one_for_each_column(monkeypatch):
    sizes = count_factors(monkeypatch)
    features, target = (np.concatenate([part, part]) for part in wide_table(12, 400))
    best = optimum(InMemory(features, target), rank_deficient="minimum-norm")
    assert best.rank == 11
    assert agree(best.weight, LinearRegression().fit(features, target).coef_, 1e-9)
    # One for each pass, one to begin with and one to end, and a bisection of 400 columns.
    assert len(sizes) <= 3 + np.ceil(np.log2(400))


def test_a_ridge_determines_a_wide_table():
    features, target = wide_table(12, 60)
    best = optimum(InMemory(features, target), l2=0.5)
    assert agree(best.weight, Ridge(alpha=0.5, solver="svd").fit(features, target).coef_, 1e-9)


def test_no_rows_are_an_error():
    features, target = table(10)
    with pytest.raises(DataError, match=r"rows\.csv: There are no rows to fit\."):
        optimum(InMemory(features[:0], target[:0]))


def test_a_feature_that_varies_where_no_row_weighs_is_named():
    weights = [1, 1, 1e40, 1, 1]
    rows = InMemory(np.arange(5.0)[:, None], np.arange(5.0) ** 2, weights)
    with pytest.raises(TrainingError, match="'x1' is constant but for rounding, as the rows weigh"):
        optimum(rows)


def test_a_table_without_a_varying_feature_is_an_error():
    rows = InMemory(np.ones((5, 2)), np.arange(5.0))
    with pytest.raises(TrainingError, match="no feature varies"):
        optimum(rows, rank_deficient="minimum-norm")


def test_weights_whose_sum_is_beyond_float64_are_an_error():
    features, target = table(10)
    with pytest.raises(TrainingError, match="weights are too large"):
        optimum(InMemory(features, target, np.full(10, 1e308)))


def test_features_whose_differences_are_just_float64_are_fitted():
    features = np.array([[-8e307], [8e307], [0.0], [1e307]])
    best = optimum(InMemory(features, features / 1e307))
    assert agree(best.weight, 1e-307, 1e-12)


@pytest.mark.parametrize(
    "settings", [{"l2": -1.0}, {"l2": np.nan}, {"l2": np.inf}, {"rank_deficient": "ignore"}]
)
def test_settings_that_cannot_be_are_errors(settings):
    with pytest.raises(ConfigError):
        LeastSquaresConfig(**settings)


def test_the_model_holds_the_optimum_and_the_columns_ranges():
    features, targets = table(100, num_targets=2)
    features[:, 1] += 1e6
    result = fit_least_squares(InMemory(features, targets), LeastSquaresConfig())
    best = optimum(InMemory(features, targets))
    weight, bias = raw_coefficients(result.model)
    assert np.array_equal(weight, best.weight)
    assert agree(bias, best.bias, 1e-9)
    assert result.model.mean.tolist() == best.mean.tolist()
    for column, values in zip(result.model.features, features.T, strict=True):
        assert (column.minimum, column.maximum) == (values.min(), values.max())
        assert agree(column.mean, values.mean(), 1e-14)
        assert agree(column.standard_deviation, values.std(), 1e-9)
    record = result.record
    assert record.rows == 100
    assert record.solver == "lstsq"
    assert record.coefficients["y2"].intercept == best.bias[1]
    assert list(record.coefficients["y2"].features.values()) == best.weight[1].tolist()
    assert result.warnings == ()


def test_without_an_intercept_the_model_has_none_and_no_scaler():
    features, target = table(50)
    result = fit_least_squares(InMemory(features, target), LeastSquaresConfig(intercept=False))
    assert result.model.form == "folded"
    assert result.model.bias.tolist() == [0.0]
    assert agree(result.model.features[2].mean, features[:, 2].mean(), 1e-12)


def test_minimum_norm_warns_and_names_the_columns():
    rows = InMemory(*dependent_table(), names=NAMES)
    result = fit_least_squares(rows, LeastSquaresConfig(rank_deficient="minimum-norm"))
    (warning,) = result.warnings
    assert "'mixture' is a combination of 'height' and 'width'" in warning
