"""What is right, far beyond any runtime's precision, and how far from it a runtime may be.

A float32 sum is evaluated in float64, where products of its numbers are exact; a float64 sum in
double-double. Either way the result comes with a bound on its own error.

N rows, D features, K targets.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array, FloatArray, as_features
from linexport.model import LinearModel
from linexport.numerics import (
    FLOAT64,
    Affine,
    FlushedToZero,
    Precision,
    affine_of,
    error_bounds,
    flushed_to_zero,
    precision_of,
    rounded_once,
    rounded_result,
    rounding_error_bound,
)
from linexport.parity._evaluation import (
    ExactPrediction,
    in_double_double,
    in_pieces,
    without_idle,
    without_zeros,
)
from linexport.parity._probes import Probe

__all__ = ["DoubleReference", "Expectation", "Meaning"]


@dataclass(frozen=True, slots=True)
class DoubleReference:
    """Evaluates a model at twice the precision of its sum."""

    model: LinearModel
    affine: Affine = field(init=False)
    """The model's numbers."""
    precision: Precision = field(init=False)
    """In which the model's sum is taken."""
    given: Precision = field(init=False)
    """Of its input and output."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "affine", affine_of(self.model))
        object.__setattr__(self, "precision", precision_of(self.model.accumulate))
        object.__setattr__(self, "given", precision_of(self.model.dtype))

    @property
    def difference(self) -> None:
        """Where the artifact's numbers are others: its structure says so itself."""
        return None

    def expect(self, probe: Probe) -> "Expectation":
        """Evaluate the model, as it should be, and the bounds on one probe."""
        # Where the sum alone rounds, each feature is asked what its distance from the mean loses.
        leave_out = without_idle if probe.num_roundings is None else without_zeros
        features, affine = leave_out(probe.features, self.affine)
        expected = partial(_expected, self, affine, probe.num_roundings)
        high, low, bound, probabilistic, non_finite, special = in_pieces(expected, features, affine)
        return Expectation(
            probe=probe,
            precision=self.precision,
            given=self.given,
            high=high,
            low=low,
            bound=bound,
            probabilistic_bound=probabilistic,
            non_finite=non_finite,
            special=special,
            flush=partial(_flushed, self, probe),
        )

    def predict(self, features: FloatArray) -> ExactPrediction:
        """Evaluate (N, D) finite features of the model's dtype.

        Raises:
            DataError: If the features are not (N, D) numbers.
        """
        rows = as_features(features, self.model.dtype, self.model.num_features)
        return ExactPrediction(*in_pieces(self._evaluate_all, rows, self.affine))

    def _evaluate_all(self, rows: FloatArray) -> ExactPrediction:
        return self.evaluate(rows.astype(np.float64), self.affine)

    def evaluate(self, rows: Float64Array, affine: Affine) -> ExactPrediction:
        """Evaluate rows of the model's dtype by an affine map, its own but for idle features."""
        if self.precision is FLOAT64:
            return in_double_double(rows, affine)
        high = affine.evaluate(rows)
        error = rounding_error_bound(rows, affine, precision=FLOAT64)
        return ExactPrediction(high, np.zeros_like(high), error)


@dataclass(frozen=True, kw_only=True, eq=False)
class Expectation:
    """The true predictions of one probe, each (N, K), and how far a runtime may be from them.

    Rows with NaN or infinity have no distance, only a class: NaN, +infinity or -infinity.
    """

    probe: Probe
    precision: Precision
    """In which the sum is taken."""
    given: Precision
    """Of the features and of the predictions."""
    high: Float64Array
    low: Float64Array
    bound: Float64Array
    """Infinity where the class alone counts, or where an overflow excuses any answer."""
    probabilistic_bound: Float64Array
    non_finite: Float64Array
    """The NaN or infinity expected; 0 elsewhere."""
    special: NDArray[np.bool_]
    """Where only the class of `non_finite` counts."""
    flush: Callable[[], FlushedToZero]
    """Works out what flushing subnormals does to the sum."""

    @cached_property
    def flushed(self) -> FlushedToZero:
        """What flushing subnormals to zero would change; seldom needed, so not computed at once."""
        flushed = self.flush()
        if self.given is self.precision:
            return flushed
        # About a truth that moved, the last rounding may be that of a larger number.
        moved = np.abs(self.high) + np.abs(self.low) + np.abs(flushed.shift) + flushed.allowance
        allowance = rounded_result(flushed.allowance, moved + self.bound, precision=self.given)
        return flushed._replace(
            allowance=np.where(flushed.shift == 0, flushed.allowance, allowance)
        )

    def distance(self, prediction: FloatArray) -> Float64Array:
        """|prediction - truth|; NaN where only the class counts."""
        return self._size((prediction.astype(np.float64) - self.high) - self.low)

    def flushed_distance(self, prediction: FloatArray) -> Float64Array:
        """The same, or the distance from the truth about flushed operands where that is nearer."""
        difference = (prediction.astype(np.float64) - self.high) - self.low
        shifted = difference - self.flushed.shift
        return self._size(np.where(np.abs(difference) <= np.abs(shifted), difference, shifted))

    def wrong_class(self, prediction: FloatArray) -> NDArray[np.bool_]:
        """Tell where NaN or infinity is missing, or appears although nothing can overflow."""
        got = prediction.astype(np.float64)
        same = (got == self.non_finite) | (np.isnan(got) & np.isnan(self.non_finite))
        unexpected = ~np.isfinite(got) & np.isfinite(self.bound)
        return np.where(self.special, ~same, unexpected)

    def excludes(self, other: "Expectation") -> NDArray[np.bool_]:
        """Tell where an answer cannot be right by both, whether or not subnormals are flushed."""
        apart = np.abs((self.high - other.high) + (self.low - other.low))
        same = self.non_finite == other.non_finite
        same |= np.isnan(self.non_finite) & np.isnan(other.non_finite)
        finite, is_finite = np.isfinite(self.bound), np.isfinite(other.bound)
        return np.asarray(
            (finite & is_finite & (apart > self.most() + other.most()))
            | (self.special & other.special & ~same)
            | (self.special & is_finite)
            | (other.special & finite)
        )

    def most(self) -> Float64Array:
        """The bound for a runtime of which it is not known whether it flushes subnormals."""
        return np.asarray(self.bound + np.abs(self.flushed.shift) + self.flushed.allowance)

    def _size(self, difference: Float64Array) -> Float64Array:
        # What is further away than float64 can say is at least that far away.
        return np.where(self.special, np.nan, np.minimum(np.abs(difference), FLOAT64.largest))


Meaning = Callable[[DoubleReference, Probe], Expectation]
"""What a faulty copy of a reference should answer to a probe."""


def _expected(
    reference: DoubleReference, affine: Affine, num_roundings: int | None, features: NDArray[Any]
) -> tuple[NDArray[Any], ...]:
    precision, given = reference.precision, reference.given
    rows = np.ascontiguousarray(features, dtype=np.float64)
    finite, broken = with_zeros(rows)
    exact = reference.evaluate(finite, affine)
    bounds = error_bounds(finite, affine, precision=precision, num_roundings=num_roundings)
    cannot_overflow = np.isfinite(bounds.worst_case)
    bound = bounds.worst_case
    if num_roundings == 1:
        once = rounded_once(finite, exact.high, affine, precision=precision)
        bound = np.where(cannot_overflow, once, bound)
    bound, probabilistic = bound + exact.error, bounds.probabilistic + exact.error
    if given is not precision:
        largest = np.abs(exact.high) + np.abs(exact.low)
        bound, probabilistic = (
            rounded_result(part, largest, precision=given) for part in (bound, probabilistic)
        )
    bound = np.where(broken[:, None], np.inf, bound)
    special, non_finite = np.zeros(bound.shape, np.bool_), np.zeros(bound.shape)
    special[broken], non_finite[broken] = by_class(rows[broken], affine, cannot_overflow[broken])
    return exact.high, exact.low, bound, probabilistic, non_finite, special


def _flushed(reference: DoubleReference, probe: Probe) -> FlushedToZero:
    features, affine = without_zeros(probe.features, reference.affine)

    def flush(part: NDArray[Any]) -> FlushedToZero:
        finite, _ = with_zeros(np.ascontiguousarray(part, dtype=np.float64))
        return flushed_to_zero(finite, affine, precision=reference.precision, given=reference.given)

    return FlushedToZero(*in_pieces(flush, features, affine))


def with_zeros(rows: Float64Array) -> tuple[Float64Array, NDArray[np.bool_]]:
    """Return (N, D) rows with zeros for NaN and infinity, and which rows had them, (N,)."""
    is_finite = np.isfinite(rows)
    broken = np.asarray(~is_finite.all(axis=1))
    return (np.where(is_finite, rows, 0.0) if broken.any() else rows), broken


def by_class(
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
