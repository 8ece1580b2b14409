"""The one policy for what is predicted: rounding, NaN, infinity, shape, names and ranges.

N rows, D features, K targets.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array, FloatArray, FloatDType, wrong_shape
from linexport._documented import documented
from linexport._shown import Shown
from linexport.columns import Column
from linexport.encoding import Encoding
from linexport.errors import ArtifactError, DataError, ModelError
from linexport.formats import BoundRow, Engine
from linexport.predicting._config import CheckRange, Missing
from linexport.predicting._named import array_of, is_exact, is_table, without_names
from linexport.predicting._policy import (
    Faults,
    Given,
    OutsideRange,
    Report,
    TrainingRange,
    all_finite,
    check_missing,
    check_mode,
    warn,
    warn_once,
)
from linexport.predicting._spread import Interval, Spread, known_spread

if TYPE_CHECKING:
    from linexport.tables import Batch

T = TypeVar("T")


@documented
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Predictor(Shown):
    """A runtime and the names of its columns, and the one policy for all that is predicted.

    Python arrays and tables, the command line, the Arrow function and HTTP all come here, so that
    they cannot differ:

    - A finite number is rounded once, to the nearest of the runtime's dtype. One that is beyond its
      range is refused, and so is a row whose prediction is.
    - NaN, or a value that is missing, is refused; with missing='nan' its row is predicted as NaN.
    - Infinity is always refused: it is no missing value, but one that overflowed somewhere.
    - Features are found by name in whatever has names, else by their order. Where the model has an
      encoding, what has names has the table's own columns, of text and numbers.
    - Rows outside the training range are dealt with as `check_range` says, after all these.

    What is refused is a DataError that names the source, the row and the column.

    Any number of threads may use one at once. It can be pickled, and goes on after a fork, if its
    runtime can: an `OrtEngine`, which `linexport.load` opens, does both.
    """

    runtime: Engine
    """What evaluates the model."""
    features: tuple[Column, ...]
    """D columns, in the order of the input."""
    targets: tuple[Column, ...]
    """K columns, in the order of the output."""
    check_range: CheckRange = "off"
    """Whether a row outside the training range is predicted without a word, with an
    ExtrapolationWarning, or refused."""
    encoding: Encoding | None = None
    """What makes the features of a table's columns; None where they are its columns."""
    spread: Spread | None = field(default=None, repr=False)
    """What the fit says of the truth around its predictions; None where no fit is known."""
    feature_names: tuple[str, ...] = field(init=False, repr=False)
    """D names."""
    column_names: tuple[str, ...] = field(init=False, repr=False)
    """Of the columns that a table must have."""
    target_names: tuple[str, ...] = field(init=False, repr=False)
    """K names."""
    _dtype: FloatDType = field(init=False, repr=False)
    _faults: Faults = field(init=False, repr=False)
    _range: TrainingRange = field(init=False, repr=False)

    def __post_init__(self) -> None:
        structure = self.runtime.structure
        shape = (len(self.targets), len(self.features))
        if structure is not None and structure.weight.shape != shape:
            raise ModelError(
                f"{len(self.features)} feature and {len(self.targets)} target names do not fit a "
                f"weight of shape {structure.weight.shape}."
            )
        check_mode(self.check_range)
        names = tuple(column.name for column in self.features)
        encoding, told, ranged = self.encoding, names, self.features
        if encoding is not None:  # messages speak of the table's columns
            told = encoding.feature_columns
            of_columns = zip(self.features, told, strict=True)
            ranged = tuple(replace(feature, name=name) for feature, name in of_columns)
        training_range = TrainingRange(ranged, self.runtime.dtype)
        if self.check_range != "off":
            training_range.require_known(self.check_range)
        for name, value in (
            ("feature_names", names),
            ("column_names", names if encoding is None else encoding.column_names),
            ("target_names", tuple(column.name for column in self.targets)),
            ("_dtype", self.runtime.dtype),
            ("_faults", Faults(told, self.targets)),
            ("_range", training_range),
        ):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"Predictor({len(self.features)} -> {len(self.targets)}, {self.runtime.name})"

    @property
    def inputs(self) -> "tuple[str, ...] | Encoding":
        """What `Table.batches` is to read, to predict from its batches."""
        return self.encoding or self.feature_names

    def predict(self, features: Any, *, missing: Missing = "error") -> FloatArray:
        """Predict every target for every row.

        A number that the runtime's dtype cannot hold is rounded to the nearest that it can: a
        float32 model rounds float64 features and integers beyond 2**24. Only a long double in a
        table is rounded twice, to float64 first.

        Args:
            features: Shape (N, D): an array of any real dtype and memory order, a tensor or a
                nested list; none of it masked. Or a table: polars (a LazyFrame too), pandas,
                pyarrow, DuckDB or any other with the Arrow PyCapsule interface, or a mapping of
                names to arrays or, for one row, to single values. Its columns are found by name;
                their order and other columns do not matter.
            missing: Whether a row that lacks a value, or has NaN for it, is an error, or is
                predicted as NaN.

        Returns:
            Shape (N, K), in the runtime's dtype, target units.

        Raises:
            DataError: If the shape is not (N, D), a column is unknown or not numeric, an array is
                masked, a value is missing, infinite or beyond the runtime's dtype, a prediction is
                beyond it, or a row is outside the training range and check_range is 'error'.
            ConfigError: If missing is neither.
        """
        check_missing(missing)
        if type(features) is np.ndarray:
            return self.predict_array(features, missing=missing)
        if isinstance(features, Mapping) and (row := self._one_row(features)) is not None:
            return self.predict_array(row, missing=missing, source=type(features).__name__)
        if isinstance(features, Mapping) or is_table(features):
            predict = partial(self.predict_batch, missing=missing)
            found: FloatArray = np.concatenate(self._over_table(features, predict))
            return found
        return self.predict_array(without_names(features), missing=missing)

    def predict_interval(
        self, features: Any, *, level: float = 0.95, missing: Missing = "error"
    ) -> Interval:
        """Predict, and say where the truth of such a new row lies, with a probability.

        Args:
            features: As `predict`.
            level: The probability.
            missing: As `predict`.

        Returns:
            Prediction, lower and upper end, each (N, K), in the runtime's dtype, target units.

        Raises:
            DataError, ConfigError: As `predict`.
            ModelError: If the fit does not know its uncertainty.
        """
        check_missing(missing)
        spread = known_spread(self.spread)
        spread.require(level)
        if isinstance(features, Mapping) or is_table(features):
            found = self._over_table(
                features, partial(self.batch_interval, level=level, missing=missing)
            )
            return Interval(*(np.concatenate(part) for part in zip(*found, strict=True)))
        given = without_names(features)
        prediction = self.predict_array(given, missing=missing)
        return spread.around(prediction, given.astype(np.float64), level)

    def predict_array(
        self,
        features: NDArray[Any],
        *,
        missing: Missing = "error",
        source: str = "features",
        first_row: int = 1,
        report: Report = warn,
    ) -> FloatArray:
        """Predict for an array as `predict` does, under a name for messages.

        Args:
            features: Shape (N, D).
            missing: As for `predict`.
            source: What messages call it.
            first_row: What messages call its first row.
            report: Told of the rows outside the training range, if check_range is 'warn'.

        Returns:
            Shape (N, K), in the runtime's dtype, target units.

        Raises:
            DataError: As `predict`; its `row`, counted from 1, and `column` tell the place.
        """
        if features.ndim != 2 or features.shape[1] != len(self.features):
            raise DataError(wrong_shape(source, features.shape, len(self.features)))
        rounded = features
        if features.dtype != self._dtype:
            plain = features
            if features.dtype.kind != "f" or type(features) is not np.ndarray:
                from linexport.rows import as_array  # floating-point numbers do without

                plain = as_array(features, source)
            with np.errstate(over="ignore"):
                rounded = plain.astype(self._dtype, order="K")
        return self._judged(Given(rounded, lambda: features, source, first_row), missing, report)

    def from_rows(
        self, rows: Sequence[Mapping[str, float | str | None]], *, source: str = "features"
    ) -> Float64Array:
        """Return rows of named values as an array for `predict_array`.

        Such a row is written for this model, so it has a value for every column and no other; a
        table may have other columns. Text is for columns that an encoding takes for categories or
        dates.

        Args:
            rows: One mapping for each; None is a missing value.
            source: What messages call them.

        Returns:
            Shape (N, D), NaN where a value is missing.

        Raises:
            DataError: If a name is missing or unknown, or a value is not what its column holds; its
                `row` is counted from 1.
        """
        return array_of(rows, self.inputs, self.column_names, source)

    def bind(self) -> BoundRow:
        """Return memory for one row, bound to the engine: the fastest way to predict row by row.

            row = predictor.bind()
            row.features[0] = 0.5, -1.0, 2.0
            row.run()
            print(row.prediction[0])

        It takes half the time of a bare `session.run`. NumPy rounds what is written to the engine's
        dtype, and nothing else is looked at: NaN, infinity and ranges are the caller's to mind. It
        belongs to the thread and the process that asked for it; `predict` is there for all of them.

        Raises:
            UnavailableError: If the engine is not on the CPU.
        """
        return self.runtime.bind()

    def predict_batch(
        self,
        batch: "Batch",
        *,
        missing: Missing = "error",
        report: Report = warn,
    ) -> FloatArray:
        """Predict for n rows of a table, whose numbers are the features in their order.

        Args:
            batch: The rows.
            missing: As for `predict`.
            report: Told of the rows outside the training range, if check_range is 'warn'.

        Returns:
            Shape (n, K), in the runtime's dtype, target units.

        Raises:
            DataError: As `predict`.
        """
        rounded = batch.numbers(self._dtype)
        given = Given(rounded, batch.numbers, batch.source, batch.first_row)
        return self._judged(given, missing, report)

    def batch_interval(
        self, batch: "Batch", *, level: float, missing: Missing = "error", report: Report = warn
    ) -> Interval:
        """Predict for n rows of a table as `predict_batch` does, with intervals."""
        prediction = self.predict_batch(batch, missing=missing, report=report)
        features = batch.numbers().astype(np.float64, copy=False)
        return known_spread(self.spread).around(prediction, features, level)

    def _over_table(self, table: Any, of_batch: Callable[..., T]) -> list[T]:
        """Predict batch by batch, and warn once of the rows outside the training range."""
        from linexport.tables import open_table  # with polars, which arrays do not need

        outside: list[OutsideRange] = []
        batches = open_table(table).batches(self.inputs)
        found = [of_batch(batch, report=outside.append) for batch in batches]
        warn_once(outside)
        return found

    def _one_row(self, values: Mapping[Any, Any]) -> Float64Array | None:
        """Return (1, D) numbers; None where it takes a table to say what they are."""
        if self.encoding is not None:
            return None
        numbers = [values.get(name) for name in self.feature_names]
        return np.array([numbers], np.float64) if all(map(is_exact, numbers)) else None

    def _judged(self, given: Given, missing: Missing, report: Report) -> FloatArray:
        """Return the prediction, or what becomes of it under the policy.

        NaN or infinity in a row makes its predictions so (IEEE 754, and the parity check asks for
        it): unless one is not finite, there is nothing to look for among the values.
        """
        prediction = self._predicted(given.rounded)
        if not all_finite(prediction):
            given, prediction = self._faults.look(given, prediction, missing)
        if self.check_range != "off":
            self._check_range(given, report)
        return prediction

    def _check_range(self, given: Given, report: Report) -> None:
        outside = self._range.find(given.rounded, given.source, given.first_row)
        if outside is None:
            return
        if self.check_range == "error":
            raise outside.error()
        report(outside)

    def _predicted(self, features: FloatArray) -> FloatArray:
        prediction = self.runtime.predict(features)
        if prediction.shape != (len(features), len(self.targets)):
            raise ArtifactError(
                f"{self.runtime.name} predicts shape {prediction.shape} for {len(features)} rows "
                f"and {len(self.targets)} targets; the artifact is not of this model."
            )
        return prediction
