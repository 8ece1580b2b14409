"""Metrics of predictions beside the truth, and how well they are known."""

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn import metrics

import linexport
from linexport.errors import DataError
from linexport.predicting import WithTruth, evaluated
from linexport.predicting._evaluation import MOST_SAMPLED

ROUNDING = 1e-9
"""Relative: many times what float64 costs in sums of so few numbers as tame as these."""


def parts(truth, prediction, size):
    """Rows of one target in batches of a size."""
    for start in range(0, len(truth), size):
        rows = slice(start, start + size)
        yield WithTruth(np.empty((0, 0)), truth[rows, None], prediction[rows, None])


def measure(truth, prediction, size=64):
    found = evaluated(parts(truth, prediction, size), ["y"], source="rows")
    return found.targets["y"]


@pytest.fixture
def rows():
    random = np.random.default_rng(3)
    truth = 1e4 + np.sort(random.normal(0, 50, 1000))
    return truth, truth + random.standard_t(8, 1000) + 0.3


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_metrics_are_those_of_scikit_learn_however_the_rows_come(rows, size):
    truth, prediction = rows
    found = measure(truth, prediction, size)
    assert found.rows == 1000
    for value, expected in (
        (found.rmse.value, metrics.root_mean_squared_error(truth, prediction)),
        (found.mae.value, metrics.mean_absolute_error(truth, prediction)),
        (found.r2.value, metrics.r2_score(truth, prediction)),
        (found.bias.value, np.mean(prediction - truth)),
        (found.constant_rmse, truth.std()),
    ):
        assert value == pytest.approx(expected, rel=ROUNDING)


def test_standard_errors_of_means_are_those_of_scipy(rows):
    truth, prediction = rows
    found, errors = measure(truth, prediction), prediction - truth
    assert found.bias.standard_error == pytest.approx(stats.sem(errors), rel=ROUNDING)
    assert found.mae.standard_error == pytest.approx(stats.sem(np.abs(errors)), rel=ROUNDING)


def test_standard_errors_of_rmse_and_r2_are_those_of_the_jackknife(rows):
    """Which agrees with the delta method but for terms of the order 1 / N."""
    truth, prediction = rows
    found = measure(truth, prediction)
    left = [np.delete(np.arange(1000), row) for row in range(1000)]
    for function, measured in (
        (metrics.root_mean_squared_error, found.rmse),
        (metrics.r2_score, found.r2),
    ):
        values = [function(truth[rows], prediction[rows]) for rows in left]
        jackknife = np.sqrt(999 / 1000 * np.sum((values - np.mean(values)) ** 2))
        assert measured.standard_error == pytest.approx(jackknife, rel=0.01)


def test_residuals_are_truth_less_prediction_with_numpys_quartiles(rows):
    truth, prediction = rows
    found, residuals = measure(truth, prediction).residuals, truth - prediction
    assert found.rows_sampled == 1000
    assert (found.minimum, found.maximum) == (residuals.min(), residuals.max())
    quartiles = [found.lower_quartile, found.median, found.upper_quartile]
    assert quartiles == pytest.approx(np.quantile(residuals, [0.25, 0.5, 0.75]), rel=ROUNDING)


def test_of_many_rows_the_quartiles_are_those_of_a_sample():
    residuals = np.random.default_rng(0).permutation(np.linspace(-1, 1, 3 * MOST_SAMPLED))
    found = measure(residuals, np.zeros(len(residuals)), size=50_000)
    assert found.rows == len(residuals)
    assert (found.residuals.rows_sampled, found.residuals.maximum) == (MOST_SAMPLED, 1)
    # The standard error of a quartile of so many is below 0.003.
    assert found.residuals.lower_quartile == pytest.approx(-0.5, abs=0.015)
    assert found.residuals.upper_quartile == pytest.approx(0.5, abs=0.015)


def test_what_is_not_defined_is_none():
    exact = measure(np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    assert (exact.rmse.value, exact.rmse.standard_error) == (0, None)
    assert exact.r2.value == 1
    same = measure(np.array([2.0, 2.0]), np.array([1.0, 2.0]))
    assert (same.r2, same.constant_rmse) == (None, 0)
    alone = measure(np.array([2.0]), np.array([1.0]))
    assert (alone.bias.value, alone.bias.standard_error, alone.rmse.standard_error) == (
        -1,
        None,
        None,
    )


def test_rows_that_lack_a_value_are_left_out_and_infinity_is_no_truth():
    found = measure(np.array([1.0, np.nan, 3.0, 4.0]), np.array([1.0, 2.0, np.nan, 6.0]))
    assert (found.rows, found.mae.value) == (2, 1)
    with pytest.raises(DataError, match="column 'y': no row has both"):
        measure(np.array([np.nan]), np.array([1.0]))
    with pytest.raises(DataError, match="column 'y': it holds infinity"):
        measure(np.array([np.inf]), np.array([1.0]))


def test_a_bundle_is_evaluated_on_a_table(tmp_path):
    random = np.random.default_rng(1)
    x = random.normal(size=(300, 2))
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": x @ [2, -1] + random.normal(size=300)})
    config = linexport.ExportConfig(formats=("onnx",))
    exported = linexport.export(linexport.train(frame, "y"), tmp_path / "bundle", config=config)
    found = linexport.evaluate(exported.path, frame).targets["y"]
    training = exported.record.metrics["training"]["y"]
    budget = exported.error_budget["y"].total
    assert abs(found.rmse.value - training.rmse) <= budget
    assert abs(found.mae.value - training.mae) <= budget
    rest = frame.with_columns(a=pl.when(pl.col("a") > 2).then(None).otherwise(pl.col("a")))
    first = rest["a"].is_null().arg_max() + 1
    with pytest.raises(DataError) as caught:
        linexport.evaluate(exported.path, rest)
    assert str(caught.value) == (
        f"polars.DataFrame, column 'a', row {first}: There is no value; fill it in, or leave such "
        "rows out with missing='nan'."
    )
    assert (
        linexport.evaluate(exported.path, rest, missing="nan").targets["y"].rows
        == 300 - rest["a"].null_count()
    )
