"""Rows outside the training range: off, warn, error."""

import warnings

import numpy as np
import polars as pl
import pytest

from linexport.columns import Column
from linexport.errors import ConfigError, DataError, ExtrapolationWarning
from linexport.predicting._policy import TrainingRange
from linexport.predicting._predictor import Predictor
from linexport.tables._opening import open_table

INSIDE = [[1.0, 0.1], [5.0, -2.0], [3.0, 0.0]]
SEEN = "9 is outside the training range, 1 to 5; "


@pytest.fixture
def make(make_predictor):
    def make(check_range, **changes) -> Predictor:
        columns = {
            "a": Column(name="a", minimum=1.0, maximum=5.0),
            "b": Column(name="b", minimum=-2.0, maximum=0.1),
        }
        return Predictor(
            make_predictor().runtime,
            tuple((columns | changes).values()),
            (Column(name="y"), Column(name="z")),
            check_range,
        )

    return make


def frame(rows) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["a", "b"], orient="row")


@pytest.mark.parametrize("given_as", [np.array, frame])
@pytest.mark.parametrize("check_range", ["off", "warn", "error"])
def test_rows_inside_are_predicted_without_a_word(make, given_as, check_range):
    """The ends are inside, also 0.1, which float32 rounds upwards."""
    assert len(make(check_range).predict(given_as(INSIDE))) == 3
    assert make(check_range).predict(dict(zip("ab", INSIDE[0], strict=True))).shape == (1, 2)


@pytest.mark.parametrize("given_as", [np.array, frame])
def test_rows_outside_are_predicted_without_a_word_unless_asked(make, given_as):
    assert len(make("off").predict(given_as([[9.0, 0.0]]))) == 1


@pytest.mark.parametrize(
    ("given", "place"),
    [
        (np.array([*INSIDE, [9.0, 0.0], [2.0, 1e9]]), "features, column 'a', row 4: "),
        (frame([*INSIDE, [9.0, 0.0], [2.0, 1e9]]), "polars.DataFrame, column 'a', row 4: "),
        ({"a": 9, "b": 0}, "dict, column 'a', row 1: "),
    ],
)
def test_the_first_value_outside_is_named(make, given, place):
    with pytest.raises(DataError) as caught:
        make("error").predict(given)
    assert str(caught.value) == (f"{place}{SEEN}correct it, or predict it with check_range='warn'.")
    others = "" if isinstance(given, dict) else "; 2 rows are so"
    with pytest.warns(ExtrapolationWarning) as warned:
        prediction = make("warn").predict(given)
    assert [str(warning.message) for warning in warned] == [
        f"{place}{SEEN}the prediction is an extrapolation{others}."
    ]
    np.testing.assert_array_equal(prediction, make("off").predict(given))


def test_a_large_table_is_warned_of_once(make):
    rows = np.tile([[9.0, 0.0]], (100_000, 1))
    with pytest.warns(ExtrapolationWarning, match=r"row 1: .*; 100000 rows are so\.$") as warned:
        make("warn").predict(frame(rows))
    assert len(warned) == 1


def test_a_batch_reports_to_whoever_asks(make):
    (batch,) = open_table(frame([[9.0, 0.0], [1.0, 0.0]])).batches(["a", "b"])
    reported = []
    make("warn").predict_batch(batch, report=reported.append)
    assert [(found.num_rows, found.row, found.value) for found in reported] == [(1, 1, 9.0)]


def test_rows_without_a_prediction_are_not_outside(make):
    table = frame([[None, 7.0], [2.0, 0.0]])
    for features in (table, table.to_numpy()):
        assert np.isnan(make("error").predict(features, missing="nan")[0]).all()
    with pytest.raises(DataError, match="column 'b', row 2: 7 is outside"):
        make("error").predict(frame([[None, 0.0], [2.0, 7.0]]), missing="nan")


def test_a_column_without_a_range_is_named(make):
    unknown = {"b": Column(name="b")}
    with pytest.raises(ConfigError, match="states no training range of 'b', so not every row"):
        make("error", **unknown)
    with pytest.warns(ExtrapolationWarning, match="no training range of 'b': not checked"):
        predictor = make("warn", **unknown)
    with pytest.warns(ExtrapolationWarning, match="column 'a', row 2"):
        predictor.predict(np.array([[1.0, 1e9], [0.0, 1e9]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make("off", **unknown)


def test_a_range_beyond_float32_holds_every_number_of_float32():
    wide = TrainingRange([Column(name="a", minimum=-1e300, maximum=1e300)], np.dtype(np.float32))
    largest = np.finfo(np.float32).max
    assert wide.find(np.array([[largest], [-largest]], np.float32), "", 1) is None


def test_another_word_is_refused(make):
    with pytest.raises(ConfigError, match="check_range must be 'off', 'warn' or 'error', got 'no'"):
        make("no")
