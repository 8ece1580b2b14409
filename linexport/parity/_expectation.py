"""What a runtime may answer to a probe."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array, FloatArray
from linexport.numerics import (
    FLOAT64,
    Affine,
    FlushedToZero,
    Precision,
    error_bounds,
    flushed_to_zero,
    rounded_once,
)
from linexport.parity._probes import Probe
from linexport.parity._protocols import ExactReference


@dataclass(frozen=True, kw_only=True, eq=False)
class Expectation:
    """The true predictions of one probe, each (N, K), and how far a runtime may be from them.

    Rows with NaN or infinity have no distance, only a class: NaN, +infinity or -infinity.
    """

    finite: Float64Array
    """The probe's features, (N, D), with zeros for NaN and infinity."""
    affine: Affine
    precision: Precision
    high: Float64Array
    low: Float64Array
    bound: Float64Array
    """Infinity where the class alone counts, or where an overflow excuses any answer."""
    probabilistic_bound: Float64Array
    non_finite: Float64Array
    """The NaN or infinity expected; 0 elsewhere."""
    special: NDArray[np.bool_]
    """Where only the class of `non_finite` counts."""

    @cached_property
    def flushed(self) -> FlushedToZero:
        """What flushing subnormals to zero would change; seldom needed, so not computed at once."""
        return flushed_to_zero(self.finite, self.affine, precision=self.precision)

    def distance(self, prediction: FloatArray) -> Float64Array:
        """|prediction - truth|; NaN where only the class counts."""
        return self._size((prediction.astype(np.float64) - self.high) - self.low)

    def flushed_distance(self, prediction: FloatArray) -> Float64Array:
        """The same, or the distance from the truth about flushed operands where that is nearer."""
        difference = (prediction.astype(np.float64) - self.high) - self.low
        return self._size(
            np.where(
                np.abs(difference) <= np.abs(difference - self.flushed.shift),
                difference,
                difference - self.flushed.shift,
            )
        )

    def wrong_class(self, prediction: FloatArray) -> NDArray[np.bool_]:
        """Tell where NaN or infinity is missing, or appears although nothing can overflow."""
        got = prediction.astype(np.float64)
        same = (got == self.non_finite) | (np.isnan(got) & np.isnan(self.non_finite))
        unexpected = ~np.isfinite(got) & np.isfinite(self.bound)
        return np.where(self.special, ~same, unexpected)

    def _size(self, difference: Float64Array) -> Float64Array:
        # What is further away than float64 can say is at least that far away.
        return np.where(self.special, np.nan, np.minimum(np.abs(difference), FLOAT64.largest))


def expect(
    reference: ExactReference, probe: Probe, *, affine: Affine, precision: Precision
) -> Expectation:
    """Evaluate the reference and the bounds on one probe.

    Args:
        reference: The model as it should be.
        probe: The batch.
        affine: The reference's numbers.
        precision: Of the reference's dtype.
    """
    rows = np.ascontiguousarray(probe.features, dtype=np.float64)
    broken = np.asarray(~np.isfinite(rows).all(axis=1))
    finite = np.where(np.isfinite(rows), rows, 0.0) if broken.any() else rows
    exact = reference.predict(finite.astype(reference.model.dtype))
    bounds = error_bounds(finite, affine, precision=precision, num_roundings=probe.num_roundings)
    cannot_overflow = np.isfinite(bounds.worst_case)
    bound = bounds.worst_case
    if probe.num_roundings == 1:
        once = rounded_once(finite, exact.high, affine, precision=precision)
        bound = np.where(cannot_overflow, once, bound)
    special, non_finite = np.zeros(bound.shape, np.bool_), np.zeros(bound.shape)
    special[broken], non_finite[broken] = _by_class(rows[broken], affine, cannot_overflow[broken])
    return Expectation(
        finite=finite,
        affine=affine,
        precision=precision,
        high=exact.high,
        low=exact.low,
        bound=np.where(broken[:, None], np.inf, bound + exact.error),
        probabilistic_bound=bounds.probabilistic + exact.error,
        non_finite=non_finite,
        special=special,
    )


def _by_class(
    rows: Float64Array, affine: Affine, cannot_overflow: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], Float64Array]:
    """Evaluate in float64, where IEEE 754 says what becomes of NaN and infinity.

    Returns:
        Where a claim is made, and the NaN or infinity. NaN comes through whatever stands beside it.
        Infinity might meet an overflow of the other sign. Matrix products may leave out what is
        multiplied by a weight of zero (BLAS does), where IEEE 754 would have NaN.
    """
    inputs = affine.differences(rows)
    terms = inputs[:, None, :] * affine.weight
    used = np.broadcast_to(affine.weight != 0, terms.shape)
    certain_nan = (np.isnan(inputs)[:, None, :] & used).any(axis=2)
    left_out = (~np.isfinite(inputs)[:, None, :] & ~used).any(axis=2)
    claimed = certain_nan | (~left_out & cannot_overflow)
    return claimed, np.where(certain_nan, np.nan, terms.sum(axis=2) + affine.bias)
