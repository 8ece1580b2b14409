"""Predictions for arrays, tensors and tables.

N rows, D features, K targets.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import FloatArray, FloatDType
from linexport.columns import Column
from linexport.errors import ArtifactError, DataError, ModelError
from linexport.formats import BoundRow, Engine
from linexport.predicting._ranges import CheckRange, OutsideRange, TrainingRange, check_mode, warn
from linexport.rows import as_array
from linexport.tables import check_missing, fault

if TYPE_CHECKING:
    from linexport.tables import Batch

__all__ = ["Predictor"]

_NAN = "predict such rows as NaN with --missing nan (missing='nan')"
_LARGEST_EXACT = 2**53
"""Integers up to here are float64 numbers: on their way to float32 they are rounded once."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """A runtime and the names of its columns.

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
    _dtype: FloatDType = field(init=False, repr=False)
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
        object.__setattr__(self, "_dtype", self.runtime.dtype)
        training_range = TrainingRange(self.features, self._dtype)
        if self.check_range != "off":
            training_range.require_known(self.check_range)
        object.__setattr__(self, "_range", training_range)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """D names."""
        return tuple(column.name for column in self.features)

    @property
    def target_names(self) -> tuple[str, ...]:
        """K names."""
        return tuple(column.name for column in self.targets)

    def predict(self, features: Any, *, missing: Literal["error", "nan"] = "error") -> FloatArray:
        """Predict every target for every row.

        A number that the runtime's dtype cannot hold is rounded to the nearest that it can: a
        float32 model rounds float64 features and integers beyond 2**24. Only a long double in a
        table is rounded twice, to float64 first.

        Args:
            features: Shape (N, D): an array of any real dtype and memory order, a tensor or a
                nested list; none of it masked. Or a table: polars (a LazyFrame too), pandas,
                pyarrow, DuckDB or any other with the Arrow PyCapsule interface, or a mapping of
                names to arrays or, for one row, to numbers. Its columns are found by name; their
                order and other columns do not matter.
            missing: Whether a missing or non-finite value in a table is an error, or makes its row
                be predicted as NaN. In an array, NaN and infinity are numbers like others, and
                the runtime says what becomes of them.

        Returns:
            Shape (N, K), in the runtime's dtype, target units.

        Raises:
            DataError: If the shape is not (N, D), a column is unknown or not numeric, an array is
                masked, a table lacks a value, a finite number is beyond the runtime's dtype, or a
                row is outside the training range and check_range is 'error'.
            ConfigError: If missing is neither.
        """
        check_missing(missing, "nan")
        if type(features) is np.ndarray:
            return self._predict_array(features)
        if isinstance(features, Mapping) and (row := self._one_row(features)) is not None:
            return self._evaluate(row, type(features).__name__, 1, report=warn)
        if isinstance(features, Mapping) or _is_table(features):
            return self._predict_table(features, missing)
        return self._predict_array(as_array(features, "features"))

    def bind(self) -> BoundRow:
        """Return memory for one row, bound to the engine: the fastest way to predict row by row.

            row = predictor.bind()
            row.features[0] = 0.5, -1.0, 2.0
            row.run()
            print(row.prediction[0])

        It takes half the time of a bare `session.run`. NumPy rounds what is written to
        the engine's dtype, and ranges are not checked. It belongs to the thread and the process
        that asked for it; `predict` is there for all of them.

        Raises:
            UnavailableError: If the engine is not on the CPU.
        """
        return self.runtime.bind()

    def predict_batches(
        self, batches: Iterable[Any], *, missing: Literal["error", "nan"] = "error"
    ) -> Iterator[FloatArray]:
        """Predict for one batch after the other, each only when it is asked for.

        Args:
            batches: Each is what `predict` takes, such as the chunks of a table; none is kept.
            missing: As for `predict`.

        Yields:
            Shape (n, K) for each batch, in the runtime's dtype, target units.

        Raises:
            DataError: As `predict`; the message begins with the number of the batch, from 1.
            ConfigError: If missing is neither.
        """
        for number, batch in enumerate(batches, start=1):
            try:
                prediction = self.predict(batch, missing=missing)
            except DataError as error:
                raise DataError(str(error), source=f"batch {number}") from error
            yield prediction

    def predict_batch(
        self,
        batch: "Batch",
        *,
        missing: Literal["error", "nan"] = "error",
        report: Callable[[OutsideRange], None] = warn,
    ) -> FloatArray:
        """Predict for n rows of a table, whose `numbers` are the features in their order.

        Args:
            batch: The rows.
            missing: As for `predict`.
            report: Told of the rows outside the training range, if check_range is 'warn'.

        Returns:
            Shape (n, K), in the runtime's dtype, target units.

        Raises:
            DataError: If a value is missing or not finite, unless missing is 'nan', if it is
                beyond the runtime's dtype, or as check_range has it.
        """
        from linexport.tables import to_float32, to_float64

        wide = self._dtype == np.float64
        convert = to_float64 if wide else to_float32
        values: FloatArray = convert(batch.numbers, order="fortran")  # as the table lies
        if self.check_range == "off":
            # NaN or infinity in a row makes its predictions so (IEEE 754, and the parity check asks
            # for it): mostly a look at the predictions is enough.
            prediction = self._predicted(values)
            if np.isfinite(prediction).all():
                return prediction
        finite = np.isfinite(values)
        if finite.all():
            return self._evaluate(values, batch.source, batch.first_row, report=report)
        exact = to_float64(batch.numbers)
        refused = np.argwhere(~finite & (np.isfinite(exact) | (missing == "error")))
        if len(refused):
            row, column = (int(index) for index in refused[0])
            name, number = self.feature_names[column], batch.first_row + row
            if np.isfinite(exact[row, column]):
                raise self._too_large(exact[row, column], name, batch.source, number)
            raise fault(exact[row, column], name, batch.source, number, _NAN)
        complete = finite.all(axis=1, keepdims=True)
        # Rows that lack a value are left out of the check of ranges: NaN is not outside.
        self._check(np.where(complete, values, np.nan), batch.source, batch.first_row, report)
        prediction = self._predicted(np.where(finite, values, values.dtype.type(0)))
        answer: FloatArray = np.where(complete, prediction, values.dtype.type(np.nan))
        return answer

    def _predict_array(self, array: NDArray[Any]) -> FloatArray:
        return self._evaluate(self._converted(array), "features", 1, report=warn)

    def _predict_table(self, table: Any, missing: Literal["error", "nan"]) -> FloatArray:
        from linexport.tables import open_table  # with polars, which arrays do not need

        outside: list[OutsideRange] = []
        batches = open_table(table).batches(self.feature_names)
        predictions: FloatArray = np.concatenate(
            [self.predict_batch(batch, missing=missing, report=outside.append) for batch in batches]
        )
        if outside:
            warn(reduce(add, outside))
        return predictions

    def _one_row(self, values: Mapping[Any, Any]) -> FloatArray | None:
        """Return (1, D) rounded numbers; None where it takes a table to say what they are."""
        numbers = [values.get(name) for name in self.feature_names]
        if not all(map(_is_exact, numbers)):
            return None
        with np.errstate(over="ignore"):
            row: FloatArray = np.array([numbers], dtype=np.float64).astype(self._dtype)
        return row if np.isfinite(row).all() else None

    def _converted(self, array: NDArray[Any]) -> FloatArray:
        """Check type and shape and round to the runtime's dtype, in the order of the memory."""
        num_features = len(self.features)
        if array.ndim != 2 or array.shape[1] != num_features:
            hint = "; a single row is values.reshape(1, -1)" if array.ndim == 1 else ""
            raise DataError(
                f"features must have shape (rows, {num_features}), got {array.shape}{hint}."
            )
        if array.dtype == self._dtype:
            return array
        with np.errstate(over="ignore"):
            converted: FloatArray = as_array(array, "features").astype(self._dtype, order="K")
        too_large = np.argwhere(np.isinf(converted) & ~np.isinf(array))
        if len(too_large):
            row, column = (int(index) for index in too_large[0])
            raise self._too_large(
                array[row, column], self.feature_names[column], "features", row + 1
            )
        return converted

    def _too_large(self, value: float, name: str, source: str, row: int) -> DataError:
        remedy = ", or use a float64 model" if self._dtype == np.float32 else ""
        return DataError(
            f"{value:.9g} is beyond the range of {self._dtype}; correct it{remedy}.",
            source=source,
            column=name,
            row=row,
        )

    def _evaluate(
        self,
        values: FloatArray,
        source: str,
        first_row: int,
        *,
        report: Callable[[OutsideRange], None],
    ) -> FloatArray:
        self._check(values, source, first_row, report)
        return self._predicted(values)

    def _check(
        self,
        values: FloatArray,
        source: str,
        first_row: int,
        report: Callable[[OutsideRange], None],
    ) -> None:
        """Do what check_range says about the rows outside the training range."""
        if self.check_range == "off":
            return
        outside = self._range.find(values, source, first_row)
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


def _is_table(features: Any) -> bool:
    """Tell by the Arrow PyCapsule interface, which a polars LazyFrame does without."""
    return hasattr(features, "__arrow_c_stream__") or hasattr(features, "collect_schema")


def _is_exact(value: Any) -> bool:
    """Tell whether a value is one number that float64 holds."""
    if isinstance(value, int | np.integer):
        return abs(int(value)) <= _LARGEST_EXACT
    return isinstance(value, float | np.float32)
