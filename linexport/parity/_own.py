"""A reference in the form that a foreign graph has: an exact function, and the graph's bound."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.model import LinearModel
from linexport.numerics import ExactMap, FlushedToZero, OwnForm, precision_of
from linexport.parity._exact import Expectation, by_class, with_zeros
from linexport.parity._probes import Probe

__all__ = ["OwnReference"]

WHOLE = 2**24
"""Whole numbers up to this are float32 too."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OwnReference:
    """What a graph should answer, and how far off its own operations may leave it."""

    model: LinearModel
    """Near the exact function, in the dtype that is answered; for what is drawn, and for names."""
    exact: ExactMap
    form: OwnForm
    inputs: Sequence[np.dtype[Any]]
    """Of each column, as the graph takes it."""
    difference: str | None = None
    """Where the graph's numbers are known to be others, in a sentence that follows its name."""

    def expect(self, probe: Probe) -> Expectation:
        """Evaluate the exact function, and the graph's bound, on what it is given of a probe."""
        probe = replace(probe, features=self._taken(probe.features), num_roundings=None)
        rows = np.ascontiguousarray(probe.features, dtype=np.float64)
        finite, broken = with_zeros(rows)
        exact, bound = self.exact.evaluate(finite), self.form.bound(finite)
        affine, cannot_overflow = self.exact.affine, np.isfinite(bound)
        special, non_finite = np.zeros(bound.shape, np.bool_), np.zeros(bound.shape)
        special[broken], non_finite[broken] = by_class(
            rows[broken], affine, cannot_overflow[broken] & self.form.mixes_once
        )
        return Expectation(
            probe=probe,
            precision=precision_of(self.model.dtype),
            given=precision_of(self.model.dtype),
            high=exact.high,
            low=exact.low,
            bound=np.where(broken[:, None], np.inf, bound),
            probabilistic_bound=bound,
            non_finite=non_finite,
            special=special,
            flush=partial(self._flushed, finite, bound),
        )

    def _flushed(self, finite: Float64Array, bound: Float64Array) -> FlushedToZero:
        with np.errstate(invalid="ignore"):
            allowance = self.form.bound(finite, flushes=True) - bound
        return FlushedToZero(np.zeros_like(bound), np.nan_to_num(allowance, posinf=0.0))

    def _taken(self, features: NDArray[Any]) -> NDArray[Any]:
        """Round each column to what its input has, whole numbers to those of float32."""
        if all(dtype == features.dtype for dtype in self.inputs):
            return features
        taken = np.array(features, np.float64)
        for dtype in set(self.inputs):
            columns = np.flatnonzero([own == dtype for own in self.inputs])
            part = taken[:, columns]
            if dtype.kind == "i":
                taken[:, columns] = np.rint(np.clip(np.nan_to_num(part), -WHOLE, WHOLE))
            else:
                largest = np.finfo(dtype).max
                held = np.where(np.isfinite(part), np.clip(part, -largest, largest), part)
                taken[:, columns] = held.astype(dtype)
        return taken
