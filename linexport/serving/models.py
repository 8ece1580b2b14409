"""A model as it is served.

N rows, D features, K targets.
"""

from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import FloatArray
from linexport.columns import Column
from linexport.errors import DataError
from linexport.formats import Runtime

__all__ = ["Missing", "ModelSource", "ServedModel"]

Missing = Literal["error", "nan"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ServedModel:
    """One version of a model; requests that began with it end with it."""

    name: str
    version: str
    runtime: Runtime
    features: tuple[Column, ...]
    """D columns, in the order of the input."""
    targets: tuple[Column, ...]
    """K columns, in the order of the output."""
    missing: Missing = "error"
    """Whether a row that lacks a value (NaN, or null in JSON) is refused, or predicted as NaN.
    Infinity is always refused."""

    def predict(self, features: FloatArray) -> FloatArray:
        """Predict rows.

        Args:
            features: Shape (N, D); rounded to the nearest in the runtime's dtype, beyond whose
                largest number lies infinity.

        Returns:
            Shape (N, K), target units, in the runtime's dtype.

        Raises:
            DataError: If a feature is infinite, or NaN unless `missing` allows it, or if a
                prediction is beyond the runtime's dtype.
        """
        if features.dtype != self.runtime.dtype:
            with np.errstate(over="ignore"):
                features = features.astype(self.runtime.dtype)
        prediction = self.runtime.predict(features)
        # NaN or infinity in a row makes its predictions so (IEEE 754, and the parity check asks for
        # it): a look at the predictions is enough.
        if np.count_nonzero(np.isfinite(prediction)) == prediction.size:  # faster than all()
            return prediction
        lacking = np.isnan(features)
        self._refuse_first(
            np.isinf(features) | (lacking & (self.missing == "error")), features, self.features
        )
        lacking_row = lacking.any(axis=1, keepdims=True)
        self._refuse_first(~np.isfinite(prediction) & ~lacking_row, prediction, self.targets)
        return np.where(lacking_row, prediction.dtype.type(np.nan), prediction)

    def _refuse_first(
        self, refused: NDArray[np.bool_], values: FloatArray, columns: tuple[Column, ...]
    ) -> None:
        if not refused.any():
            return
        row, column = (int(index) for index in np.argwhere(refused)[0])
        if columns is self.targets:
            message = f"it is beyond the range of {values.dtype}: the features are too large."
        elif np.isnan(values[row, column]):
            message = (
                "there is no value (NaN or null); send one, or start the server with --missing nan "
                "to have such rows predicted as NaN."
            )
        else:
            message = f"it is infinite or beyond the range of {values.dtype}; correct it."
        source = "prediction" if columns is self.targets else "features"
        raise DataError(message, source=source, column=columns[column].name, row=row + 1)

    def predict_each(self, requests: Sequence[FloatArray]) -> "list[FloatArray | Exception]":
        """Predict the rows of several requests in one call of the engine.

        Args:
            requests: Each of shape (N, D).

        Returns:
            For each its predictions (N, K), or why it has none, whatever becomes of the others.
        """
        if len(requests) > 1:
            with suppress(Exception):  # whose it is, is found out by asking each alone
                together = self.predict(cast(FloatArray, np.concatenate(requests)))
                ends = np.cumsum([len(request) for request in requests]).tolist()
                return [together[start:end] for start, end in pairwise([0, *ends])]
        return [self._attempt(request) for request in requests]

    def _attempt(self, features: FloatArray) -> "FloatArray | Exception":
        try:
            return self.predict(features)
        except Exception as error:
            return error


class ModelSource(Protocol):
    """Where a model comes from, now and after it was changed."""

    @property
    def name(self) -> str:
        """Under which it is served."""
        ...

    def load(self) -> ServedModel:
        """Open and verify the model as it is now.

        Raises:
            LinexportError: If it must not be served.
        """
        ...

    def fingerprint(self) -> Hashable:
        """Return something that differs once the model may have changed; it costs little."""
        ...
