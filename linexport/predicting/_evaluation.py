"""How far predictions are from the truth, and how well that is known: one pass, constant memory.

N rows of one target, y the truth, f the prediction, e = f - y. Of each row five numbers are added
up, with their products around the mean [1]:

    v = (e, |e|, e**2, z, z**2),    z = y - (the mean of the first batch)

Every metric is a function of their means,

    bias = mean e    MAE = mean |e|    RMSE = sqrt(mean e**2)
    R**2 = 1 - mean e**2 / V,    V = mean z**2 - (mean z)**2,

and so has the standard error sqrt(g' S g / N), where S is the covariance of v and g the gradient
(the delta method, [2]): what it would vary by, were other rows drawn of where these came from.

[1] Chan, Golub and LeVeque, The American Statistician 37, 1983. [2] van der Vaart, Asymptotic
Statistics, 1998, chapter 3.
"""

import math
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from typing import NamedTuple

import msgspec
import numpy as np

from linexport._arrays import Float64Array
from linexport._documented import documented
from linexport._shown import Shown
from linexport.encoding import EncodedColumn, Encoding, NumberColumn
from linexport.errors import DataError
from linexport.predicting._config import Missing
from linexport.predicting._policy import no_value
from linexport.predicting._predictor import Predictor
from linexport.tables import Batch, Table

MOST_SAMPLED = 100_000
"""Residuals that quantiles are taken of; of more rows, so many drawn at random."""
_E, _ABSOLUTE, _SQUARE, _Z, _Z_SQUARE = range(5)


class WithTruth(NamedTuple):
    """Some rows: what they were predicted from, the truth and the prediction, float64."""

    features: Float64Array
    """Shape (n, D)."""
    truth: Float64Array
    """Shape (n, K), target units; NaN where the table has none."""
    prediction: Float64Array
    """Shape (n, K), target units; NaN where the row lacks a feature, if that was allowed."""


@documented
class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A metric and what it may be off by, as the rows are a sample."""

    value: float
    standard_error: float | None
    """None for a single row, or where the metric has none, as where no prediction is wrong."""


@documented
class Residuals(msgspec.Struct, frozen=True, kw_only=True):
    """Truth less prediction, target units."""

    minimum: float
    lower_quartile: float
    median: float
    upper_quartile: float
    maximum: float
    rows_sampled: int
    """Rows that the quartiles are of: all, up to 100,000, else as many drawn at random."""


@documented
class TargetEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """One target's predictions beside its truth; target units."""

    rows: int
    """With a truth and a prediction."""
    rmse: Measured
    mae: Measured
    bias: Measured
    """Mean of prediction less truth: above 0 where predictions are too high."""
    r2: Measured | None
    """Around the mean of these rows; None where the truth does not vary."""
    constant_rmse: float
    """The RMSE of who always guesses the mean of these rows."""
    residuals: Residuals


@documented
class Evaluation(Shown, msgspec.Struct, frozen=True, kw_only=True):
    """Predictions beside the truth."""

    source: str
    rows_read: int
    targets: dict[str, TargetEvaluation]


def predicted_with_truth(
    table: Table, predictor: Predictor, *, missing: Missing = "error"
) -> Generator[WithTruth, None, None]:
    """Predict for every row of a table, and yield what its targets really are beside that.

    Args:
        table: What `open_table` returns; features and targets are found by name.
        predictor: The model.
        missing: Whether a missing feature is an error, or makes its row be predicted as NaN.

    Raises:
        DataError: If a column is unknown or not numeric, or a row cannot be predicted.
    """
    encoding = predictor.encoding
    columns = (
        tuple(NumberColumn(name=name) for name in predictor.feature_names)
        if encoding is None
        else encoding.columns
    )
    targets = tuple(NumberColumn(name=name) for name in predictor.target_names)
    num_features = len(predictor.feature_names)
    with closing(table.batches(Encoding(columns=(*columns, *targets)))) as batches:
        for batch in batches:
            numbers = np.asarray(batch.numbers(), np.float64)
            features = numbers[:, :num_features]
            if missing == "error":
                _require_values(features, columns, batch)
            prediction = predictor.predict_array(
                features, missing="nan", source=batch.source, first_row=batch.first_row
            )
            yield WithTruth(features, numbers[:, num_features:], prediction.astype(np.float64))


def _require_values(features: Float64Array, columns: Sequence[EncodedColumn], batch: Batch) -> None:
    """Raise DataError at the first value that is missing."""
    lacking = np.argwhere(np.isnan(features))
    if not len(lacking):
        return
    row, place = lacking[0].tolist()
    names = [column.name for column in columns for _ in column.features]
    raise DataError(
        no_value("leave such rows out"),
        source=batch.source,
        column=names[place],
        row=batch.first_row + row,
    )


def evaluated(
    parts: Iterable[WithTruth], target_names: Iterable[str], *, source: str
) -> Evaluation:
    """Measure predictions; rows without a truth or a prediction are left out.

    Args:
        parts: What `predicted_with_truth` yields.
        target_names: K names.
        source: What messages call the table.

    Raises:
        DataError: If no row of a target has both, or a truth is infinite.
    """
    sums = {name: _Sums() for name in target_names}
    num_rows = 0
    for part in parts:
        num_rows += len(part.truth)
        for place, (name, own) in enumerate(sums.items()):
            truth, prediction = part.truth[:, place], part.prediction[:, place]
            if np.isinf(truth).any():
                raise DataError("it holds infinity, which is no truth.", source=source, column=name)
            both = ~(np.isnan(truth) | np.isnan(prediction))
            own.add(truth[both], prediction[both])
    for name, own in sums.items():
        if not own.num_rows:
            raise DataError("no row has both a truth and a prediction.", source=source, column=name)
    return Evaluation(
        source=source,
        rows_read=num_rows,
        targets={name: own.evaluation() for name, own in sums.items()},
    )


class Sample:
    """Some rows of a stream in their order, each as likely as any other: those of least keys."""

    def __init__(self, num_columns: int, most: int) -> None:
        """Begin without any."""
        self.rows: Float64Array = np.empty((0, num_columns))
        """Those kept, shape (n, C)."""
        self._most = most
        self._random = np.random.default_rng(0)
        self._keys = np.empty(0)

    def add(self, rows: Float64Array) -> None:
        """Take in rows, shape (n, C)."""
        self.rows = np.concatenate([self.rows, rows])
        self._keys = np.concatenate([self._keys, self._random.random(len(rows))])
        if len(self._keys) > self._most:
            chosen = np.sort(np.argpartition(self._keys, self._most)[: self._most])
            self.rows, self._keys = self.rows[chosen], self._keys[chosen]


class _Sums:
    """Of one target's rows: means and products of v, and a sample of residuals."""

    def __init__(self) -> None:
        self.num_rows = 0
        self._mean = np.zeros(5)
        self._products = np.zeros((5, 5))
        self._origin = 0.0
        self._residuals = Sample(1, MOST_SAMPLED)
        self._least, self._most = math.inf, -math.inf

    def add(self, truth: Float64Array, prediction: Float64Array) -> None:
        """Add rows, shape (n,) both."""
        if not len(truth):
            return
        if not self.num_rows:
            self._origin = float(truth.mean())
        errors, apart = prediction - truth, truth - self._origin
        self._merge(np.stack([errors, np.abs(errors), errors**2, apart, apart**2]))
        self._least = min(self._least, float(-errors.max()))
        self._most = max(self._most, float(-errors.min()))
        self._residuals.add(-errors[:, None])

    def _merge(self, values: Float64Array) -> None:
        """Add columns of v, shape (5, n)."""
        added = values.shape[1]
        mean = values.mean(axis=1)
        within = values - mean[:, None]
        total = self.num_rows + added
        step = mean - self._mean
        self._products += within @ within.T
        self._products += np.outer(step, step) * (self.num_rows * added / total)
        self._mean += step * (added / total)
        self.num_rows = total

    def evaluation(self) -> TargetEvaluation:
        mean = self._mean
        square, spread = float(mean[_SQUARE]), float(self._products[_Z, _Z]) / self.num_rows
        rmse = math.sqrt(square)
        r2 = None
        if spread > 0:
            by_square, by_spread = -1 / spread, square / spread**2
            r2 = self._measured(
                1 - square / spread,
                {_SQUARE: by_square, _Z: -2 * mean[_Z] * by_spread, _Z_SQUARE: by_spread},
            )
        lower, median, upper = np.quantile(self._residuals.rows, [0.25, 0.5, 0.75]).tolist()
        return TargetEvaluation(
            rows=self.num_rows,
            rmse=self._measured(rmse, {_SQUARE: 1 / (2 * rmse)} if rmse else {}),
            mae=self._measured(float(mean[_ABSOLUTE]), {_ABSOLUTE: 1.0}),
            bias=self._measured(float(mean[_E]), {_E: 1.0}),
            r2=r2,
            constant_rmse=math.sqrt(spread),
            residuals=Residuals(
                minimum=self._least,
                lower_quartile=lower,
                median=median,
                upper_quartile=upper,
                maximum=self._most,
                rows_sampled=len(self._residuals.rows),
            ),
        )

    def _measured(self, value: float, gradient: dict[int, float]) -> Measured:
        """Return a metric with its standard error, from its gradient by the means of v."""
        if self.num_rows < 2 or not gradient:
            return Measured(value=value, standard_error=None)
        g = np.zeros(5)
        g[list(gradient)] = list(gradient.values())
        variance = g @ self._products @ g / (self.num_rows - 1) / self.num_rows
        return Measured(value=value, standard_error=math.sqrt(max(float(variance), 0.0)))
