"""Predictions for arrays, tensors and tables.

N rows, D features, K targets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import FloatArray
from linexport.data._checks import check_missing, fault
from linexport.data.arrays import as_array
from linexport.errors import ArtifactError, DataError, ModelError
from linexport.model import Column
from linexport.protocols import Runtime

if TYPE_CHECKING:
    from linexport.data.tables import Batch

__all__ = ["Predictor"]

_NAN = "predict such rows as NaN with --missing nan (missing='nan')"


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """A runtime and the names of its columns."""

    runtime: Runtime
    """What evaluates the model."""
    features: tuple[Column, ...]
    """D columns, in the order of the input."""
    targets: tuple[Column, ...]
    """K columns, in the order of the output."""

    def __post_init__(self) -> None:
        structure = self.runtime.structure
        shape = (len(self.targets), len(self.features))
        if structure is not None and structure.weight.shape != shape:
            raise ModelError(
                f"{len(self.features)} feature and {len(self.targets)} target names do not fit a "
                f"weight of shape {structure.weight.shape}."
            )

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
        float32 model rounds float64 features and integers beyond 2**24.

        Args:
            features: Shape (N, D): an array of any real dtype and memory order, a tensor or a
                nested list. Or a table: polars, pandas, pyarrow, DuckDB or any other with the
                Arrow PyCapsule interface, or a mapping of names to arrays or, for one row, to
                numbers. Its columns are found by name; their order and other columns do not matter.
            missing: Whether a missing or non-finite value in a table is an error, or makes its row
                be predicted as NaN. In an array, NaN and infinity are numbers like others, and
                the runtime says what becomes of them.

        Returns:
            Shape (N, K), in the runtime's dtype, target units.

        Raises:
            DataError: If the shape is not (N, D), a column is unknown or not numeric, a table lacks
                a value, or a finite number is beyond the runtime's dtype.
            ConfigError: If missing is neither.
        """
        check_missing(missing, "nan")
        if isinstance(features, Mapping) or hasattr(features, "__arrow_c_stream__"):
            from linexport.data.tables import open_table  # with polars, which arrays do not need

            batches = open_table(features).batches(self.feature_names)
            return np.concatenate([self.predict_batch(batch, missing=missing) for batch in batches])
        return self._evaluate(self._converted(as_array(features, "features")))

    def predict_batch(
        self, batch: "Batch", *, missing: Literal["error", "nan"] = "error"
    ) -> FloatArray:
        """Predict for n rows of a table, whose `numbers` are the features in their order.

        Returns:
            Shape (n, K), in the runtime's dtype, target units.

        Raises:
            DataError: If a value is missing or not finite, unless missing is 'nan', or if it is
                beyond the runtime's dtype.
        """
        from linexport.data._numbers import to_float32, to_float64

        wide = self.runtime.dtype == np.float64
        values: FloatArray = to_float64(batch.numbers) if wide else to_float32(batch.numbers)
        finite = np.isfinite(values)
        if finite.all():
            return self._evaluate(values)
        exact = to_float64(batch.numbers)
        refused = np.argwhere(~finite & (np.isfinite(exact) | (missing == "error")))
        if len(refused):
            row, column = (int(index) for index in refused[0])
            name, number = self.feature_names[column], batch.first_row + row
            if np.isfinite(exact[row, column]):
                raise self._too_large(exact[row, column], name, batch.source, number)
            raise fault(exact[row, column], name, batch.source, number, _NAN)
        nan = values.dtype.type(np.nan)
        prediction = self._evaluate(np.where(finite, values, values.dtype.type(0)))
        return np.where(finite.all(axis=1, keepdims=True), prediction, nan)

    def _converted(self, array: NDArray[Any]) -> FloatArray:
        """Check the shape and round to the runtime's dtype."""
        num_features = len(self.features)
        if array.ndim != 2 or array.shape[1] != num_features:
            hint = "; a single row is values.reshape(1, -1)" if array.ndim == 1 else ""
            raise DataError(
                f"features must have shape (rows, {num_features}), got {array.shape}{hint}."
            )
        with np.errstate(over="ignore"):
            converted: FloatArray = np.ascontiguousarray(array, dtype=self.runtime.dtype)
        too_large = np.argwhere(np.isinf(converted) & ~np.isinf(array))
        if len(too_large):
            row, column = (int(index) for index in too_large[0])
            raise self._too_large(
                array[row, column], self.feature_names[column], "features", row + 1
            )
        return converted

    def _too_large(self, value: float, name: str, source: str, row: int) -> DataError:
        remedy = ", or use a float64 model" if self.runtime.dtype == np.float32 else ""
        return DataError(
            f"{value:.9g} is beyond the range of {self.runtime.dtype}; correct it{remedy}.",
            source=source,
            column=name,
            row=row,
        )

    def _evaluate(self, features: FloatArray) -> FloatArray:
        prediction = self.runtime.predict(features)
        if prediction.shape != (len(features), len(self.targets)):
            raise ArtifactError(
                f"{self.runtime.name} predicts shape {prediction.shape} for {len(features)} rows "
                f"and {len(self.targets)} targets; the artifact is not of this model."
            )
        return prediction
