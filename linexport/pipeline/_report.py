"""A bundle, and rows of a table, as one page."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from linexport import bundle, predicting, tables
from linexport._arrays import Float64Array
from linexport._files import naming
from linexport.errors import ConfigError, DataError
from linexport.pipeline._opening import inspect, open_table, opened
from linexport.pipeline._predict import load
from linexport.rows import test_places

if TYPE_CHECKING:
    from linexport.fit import FitRecord
    from linexport.predicting import Predictor
    from linexport.reporting import ReportData
    from linexport.tables import Dialect

__all__ = ["report"]

_SAMPLED = 1000
"""Rows on the page, of all targets: a point takes 50 bytes in each of four figures."""
_MOST_FEATURES = 500
"""Beyond that leverage takes longer than reading the table."""


def report(
    given: Any,
    output: str | os.PathLike[str] = "report.html",
    *,
    data: Any = None,
    dialect: "Dialect | None" = None,
) -> Path:
    """Write a page that shows a model, its fit and its proof, and needs no other file.

    Args:
        given: A bundle: what `read_bundle` or `export` returned, or its directory.
        output: The page, replaced at the end.
        data: A table with the features and the targets, as `predict_table` takes it: the page then
            draws predictions against the truth. Where it is the table that was trained on, the rows
            that were kept out are told apart. Rows that lack a value are left out.
        dialect: How a CSV file is written, if not as most are.

    Returns:
        Where the page lies.

    Raises:
        ConfigError: If it is no bundle.
        ArtifactError: If the bundle is damaged or hostile.
        DataError: If the table cannot be used, or the page cannot be written.
        UnavailableError: If matplotlib or Jinja is not installed.
    """
    from linexport import reporting

    found = opened(given)
    if not isinstance(found, bundle.Bundle):
        raise ConfigError(f"{given}: a report is made of a bundle; name its directory.")
    certificate = inspect(found).certificate  # type: ignore[union-attr]  # of a bundle
    seen = None if data is None else look(load(found), found.manifest.record, data, dialect)
    with naming(found.path):
        page = reporting.report_page(found.model, found.manifest, certificate, seen)
    tables.write_file(page, Path(output))
    return Path(output)


def look(
    predictor: "Predictor", record: "FitRecord", data: Any, dialect: "Dialect | None" = None
) -> "ReportData":
    """Predict for every row of a table, and keep some.

    Raises:
        DataError: If the table cannot be used.
    """
    from linexport.reporting import ReportData, Sampled

    table = open_table(data, dialect)
    names = predictor.target_names
    kept = _Kept(len(predictor.feature_names), _SAMPLED // len(names), record)
    with closing(predicting.predicted_with_truth(table, predictor, missing="nan")) as parts:
        for part in parts:
            kept.add(part.features, part.truth, part.prediction)
    if not kept.num_rows:
        raise DataError("No row has a value in every column.", source=table.source)
    (_, _, truth, prediction), leverage = kept.rows(), kept.leverage()
    by_target = {
        name: [
            Sampled(
                part=part,
                truth=truth[rows, place],
                prediction=prediction[rows, place],
                leverage=None if leverage is None else leverage[rows],
            )
            for part, rows in kept.parts()
        ]
        for place, name in enumerate(names)
    }
    rmse = {
        name: {part: float(value[place]) for part, value in kept.rmse().items()}
        for place, name in enumerate(names)
    }
    return ReportData(
        source=Path(table.source).name,
        num_rows=kept.num_rows,
        num_sampled=len(truth),
        by_target=by_target,
        rmse=rmse,
    )


class _Kept:
    """Some rows of a stream, each as likely as any other; and the sums of all."""

    def __init__(self, num_features: int, most: int, record: "FitRecord") -> None:
        self.num_rows = 0
        num_targets = len(record.coefficients)
        self._is_test = _test_mask(record)
        self._squares = np.zeros((2, num_targets))  # of training rows, of test rows
        self._sample = predicting.Sample(1 + num_features + 2 * num_targets, most)
        self._ends = np.cumsum([1, num_features, num_targets])
        self._shift: Float64Array | None = None

    def add(self, features: Float64Array, truth: Float64Array, prediction: Float64Array) -> None:
        """Count rows that have all their values, and keep some of them."""
        whole = np.isfinite(truth).all(axis=1) & np.isfinite(prediction).all(axis=1)
        features, truth, prediction = features[whole], truth[whole], prediction[whole]
        places = np.arange(self.num_rows, self.num_rows + len(truth))
        self.num_rows += len(truth)
        is_test = np.zeros(len(places), np.bool_)
        known = places < len(self._is_test)
        is_test[known] = self._is_test[places[known]]
        squares = (truth - prediction) ** 2
        self._squares += [squares[~is_test].sum(axis=0), squares[is_test].sum(axis=0)]
        self._add_moments(features)
        self._sample.add(np.column_stack([places, features, truth, prediction]))

    def rows(self) -> list[Float64Array]:
        """Return the rows that are kept: places (n, 1), features, truth and prediction."""
        return np.split(self._sample.rows, self._ends, axis=1)

    @property
    def _is_split(self) -> bool:
        """Whether the rows are as many as were split into training and test rows."""
        return 0 < len(self._is_test) == self.num_rows

    def parts(self) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """Yield each part's name, and which of the rows kept are of it."""
        places = self.rows()[0][:, 0].astype(np.int64)
        if not self._is_split:
            yield "data", np.ones(len(places), np.bool_)
            return
        is_test = self._is_test[places]
        yield "training", ~is_test
        yield "test", is_test

    def rmse(self) -> dict[str, Float64Array]:
        """Return the root of the mean squared error of each target, by part, over all rows."""
        if not self._is_split:
            return {"data": np.sqrt(self._squares.sum(axis=0) / self.num_rows)}
        num_test = int(self._is_test.sum())
        training, test = self._squares
        return {
            "training": np.sqrt(training / (self.num_rows - num_test)),
            "test": np.sqrt(test / num_test),
        }

    def _add_moments(self, features: Float64Array) -> None:
        if features.shape[1] > _MOST_FEATURES or not len(features):
            return
        if self._shift is None:
            self._shift = features.mean(axis=0)
            self._total = np.zeros(features.shape[1])
            self._products = np.zeros((features.shape[1],) * 2)
        apart = features - self._shift
        self._total += apart.sum(axis=0)
        self._products += apart.T @ apart

    def leverage(self) -> Float64Array | None:
        """Return 1 / N + (x - mean)' S^-1 (x - mean) of the rows kept, S over all rows."""
        if self._shift is None:
            return None
        mean = self._total / self.num_rows
        spread = self._products - self.num_rows * np.outer(mean, mean)
        apart = self.rows()[1] - self._shift - mean
        within = np.einsum("nd,nd->n", apart @ np.linalg.pinv(spread, hermitian=True), apart)
        return np.asarray(1 / self.num_rows + within)


def _test_mask(record: "FitRecord") -> NDArray[np.bool_]:
    """Tell of each row whether it was kept out of training; of none where that is not known."""
    fraction, seed = (record.settings.get(name) for name in ("test_fraction", "test_seed"))
    if not isinstance(fraction, float) or not isinstance(seed, int) or "test" not in record.metrics:
        return np.empty(0, np.bool_)
    num_rows = record.rows + next(iter(record.metrics["test"].values())).rows
    mask = np.zeros(num_rows, np.bool_)
    mask[test_places(num_rows, fraction, seed)] = True
    return mask
