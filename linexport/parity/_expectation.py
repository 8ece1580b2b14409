"""What a runtime may answer to a probe."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array, FloatArray
from linexport.bounds import (
    Affine,
    Precision,
    flush_allowance,
    half_ulp,
    probabilistic_error_bound,
    rounding_error_bound,
)
from linexport.forms import affine_of
from linexport.parity.probes import Probe
from linexport.protocols import ExactReference


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Expectation:
    """The true predictions of one probe, each (N, K), and how far a runtime may be from them.

    Rows with NaN or infinity have no distance, only a class: NaN, +infinity or -infinity.
    """

    high: Float64Array
    low: Float64Array
    bound: Float64Array
    """Infinity where the class alone counts."""
    flush_allowance: Float64Array
    probabilistic_bound: Float64Array
    non_finite: Float64Array
    """The NaN or infinity expected; 0 elsewhere."""
    special: NDArray[np.bool_]
    """Where only the class of `non_finite` counts."""

    def distance(self, prediction: FloatArray) -> Float64Array:
        """|prediction - truth|; NaN where only the class counts."""
        with np.errstate(invalid="ignore", over="ignore"):
            distance = np.abs((prediction.astype(np.float64) - self.high) - self.low)
        return np.where(self.special, np.nan, distance)

    def wrong_class(self, prediction: FloatArray) -> NDArray[np.bool_]:
        """Tell where NaN or infinity is missing, or appears although nothing can overflow."""
        got = prediction.astype(np.float64)
        same = (got == self.non_finite) | (np.isnan(got) & np.isnan(self.non_finite))
        unexpected = ~np.isfinite(got) & np.isfinite(self.bound)
        return np.where(self.special, ~same, unexpected)


def expect(reference: ExactReference, probe: Probe, precision: Precision) -> Expectation:
    """Evaluate the reference and the bounds on one probe."""
    affine = affine_of(reference.model)
    rows = np.ascontiguousarray(probe.features, dtype=np.float64)
    ordinary = np.isfinite(rows).all(axis=1, keepdims=True)
    finite = np.where(ordinary, rows, 0.0)
    exact = reference.predict(finite.astype(reference.model.dtype))
    bound = rounding_error_bound(
        finite, affine, precision=precision, num_roundings=probe.num_roundings
    )
    if probe.num_roundings == 1:
        bound = np.where(np.isfinite(bound), half_ulp(exact.high, precision=precision), bound)
    special = np.broadcast_to(~ordinary, bound.shape)
    non_finite = np.zeros(bound.shape)
    non_finite[~ordinary[:, 0]] = _by_class(rows[~ordinary[:, 0]], affine)
    return Expectation(
        high=exact.high,
        low=exact.low,
        bound=np.where(special, np.inf, bound + exact.error),
        flush_allowance=flush_allowance(finite, affine, precision=precision),
        probabilistic_bound=probabilistic_error_bound(finite, affine, precision=precision)
        + exact.error,
        non_finite=non_finite,
        special=special,
    )


def _by_class(rows: Float64Array, affine: Affine) -> Float64Array:
    """Evaluate in float64, where IEEE 754 says what becomes of NaN and infinity."""
    with np.errstate(all="ignore"):
        inputs = rows
        if affine.mean is not None and affine.scale is not None:
            inputs = (rows - affine.mean) * affine.scale
        return np.asarray((inputs[:, None, :] * affine.weight).sum(axis=2) + affine.bias)
