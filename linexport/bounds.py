"""Worst-case rounding error of one affine forward pass.

N rows, D features, K targets. u is the unit roundoff of the working precision and
gamma(m) = m*u / (1 - m*u). Whatever the order of summation, with or without fused multiply-add,

    folded        y = x @ W.T + b
                  |computed - exact| <= gamma(D + 1) * M + underflow
                  M = |x| @ |W|.T + |b|
    standardized  y = ((x - mean) * scale) @ W.T + b
                  |computed - exact| <= gamma(D + 3) * M + underflow
                  M = (|x - mean| * |scale|) @ |W|.T + |b|

elementwise, in target units. The derivation, the underflow terms and the bound's own rounding are
worked out in docs/bounds.md. Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd
ed., sections 2.1, 3.1. No step may run below the stated precision (TF32, bfloat16 accumulation).
Where an intermediate result may overflow there is no bound, and the functions return infinity.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from linexport._arrays import Float64Array
from linexport.errors import PrecisionError

__all__ = [
    "FLOAT32",
    "FLOAT64",
    "Affine",
    "Precision",
    "flush_allowance",
    "gamma",
    "half_ulp",
    "precision_of",
    "probabilistic_error_bound",
    "probabilistic_gamma",
    "rounding_error_bound",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Precision:
    """A binary floating-point format, as IEEE 754 defines it."""

    name: str
    """NumPy's name of the format."""
    digits: int
    """Bits in the significand, the hidden one included."""
    unit_roundoff: float
    """u: half the distance from 1 to the next larger number."""
    largest: float
    """The largest finite number."""
    smallest_normal: float
    """The smallest positive number with a full significand."""
    half_smallest_subnormal: float
    """Largest absolute error of one operation whose result underflows gradually."""


FLOAT32 = Precision(
    name="float32",
    digits=24,
    unit_roundoff=2.0**-24,
    largest=float(np.finfo(np.float32).max),
    smallest_normal=2.0**-126,
    half_smallest_subnormal=2.0**-150,
)
FLOAT64 = Precision(
    name="float64",
    digits=53,
    unit_roundoff=2.0**-53,
    largest=float(np.finfo(np.float64).max),
    smallest_normal=2.0**-1022,
    half_smallest_subnormal=2.0**-1074,  # its half is no float64: rounded up
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Affine:
    """The exact numbers of an affine map, in float64 whatever precision will evaluate it."""

    weight: Float64Array
    """Shape (K, D), target units per (scaled) feature unit."""
    bias: Float64Array
    """Shape (K,), target units."""
    mean: Float64Array | None = None
    """Shape (D,), feature units; None where nothing is subtracted."""
    scale: Float64Array | None = None
    """Shape (D,), multiplies; None together with mean."""

    @property
    def num_roundings(self) -> int:
        """How many roundings one feature's contribution passes through."""
        return int(self.weight.shape[1]) + (1 if self.scale is None else 3)


def precision_of(dtype: DTypeLike) -> Precision:
    """Return the format of a NumPy dtype.

    Raises:
        PrecisionError: If it is neither float32 nor float64.
    """
    for precision in (FLOAT32, FLOAT64):
        if np.dtype(dtype) == np.dtype(precision.name):
            return precision
    raise PrecisionError(
        f"No error bound is derived for {np.dtype(dtype)}: use float32 or float64."
    )


def gamma(num_roundings: int, *, unit_roundoff: float) -> float:
    """Bound the relative error of that many roundings in a row: m*u / (1 - m*u).

    Raises:
        PrecisionError: If m*u >= 1, where no such bound exists.
    """
    product = num_roundings * unit_roundoff
    if not product < 1:
        raise PrecisionError(
            f"{num_roundings} roundings at unit roundoff {unit_roundoff:.3g} have no error bound; "
            "use float64 or fewer features."
        )
    return product / (1 - product)


def probabilistic_gamma(
    num_roundings: int, *, unit_roundoff: float, failure_probability: float = 1e-6
) -> float:
    """Bound the relative error of m roundings that are independent with mean zero.

    exp(lambda*sqrt(m)*u + m*u**2/(1 - u)) - 1, with lambda such that it fails with at most the
    given probability, 2*m*exp(-(lambda*(1 - u))**2/2). A model of rounding, not a proof.
    Source: Higham and Mary, A new approach to probabilistic rounding error analysis, SIAM J. Sci.
    Comput. 41 (2019), theorems 2.4 and 3.1.
    """
    u = unit_roundoff
    confidence = math.sqrt(2 * math.log(2 * num_roundings / failure_probability)) / (1 - u)
    exponent = confidence * math.sqrt(num_roundings) * u + num_roundings * u**2 / (1 - u)
    return math.expm1(exponent)


def rounding_error_bound(
    features: Float64Array,
    affine: Affine,
    *,
    precision: Precision,
    num_roundings: int | None = None,
) -> Float64Array:
    """Bound the error of every prediction that the precision allows.

    Args:
        features: Inputs as the runtime saw them, shape (N, D), in feature units.
        affine: The numbers in the artifact.
        precision: The arithmetic that the runtime claims to perform.
        num_roundings: Fewer than `affine.num_roundings` where the caller knows that the other
            operations are exact: zeros, products with powers of two.

    Returns:
        Shape (N, K), target units; never smaller than the true bound. Infinity where an
        intermediate result may overflow.

    Raises:
        PrecisionError: If there are too many roundings for any bound.
    """
    if num_roundings is None:
        num_roundings = affine.num_roundings
    relative = gamma(num_roundings, unit_roundoff=precision.unit_roundoff)
    magnitude = _magnitude(features, affine, precision)
    underflow = _underflow(affine, precision) * (1 + relative)
    return (relative * magnitude + underflow) * _own_slack(affine)


def probabilistic_error_bound(
    features: Float64Array, affine: Affine, *, precision: Precision
) -> Float64Array:
    """Return the bound that grows with sqrt(D): information, never a verdict."""
    relative = probabilistic_gamma(affine.num_roundings, unit_roundoff=precision.unit_roundoff)
    magnitude = _magnitude(features, affine, precision)
    return (relative * magnitude + _underflow(affine, precision)) * _own_slack(affine)


def half_ulp(values: Float64Array, *, precision: Precision) -> Float64Array:
    """Return the largest error of rounding each value once to the precision.

    Sharper than u * |value| by up to 2: it tells a weight from its neighbour.
    """
    _, exponent = np.frexp(values)
    spacing = np.ldexp(1.0, exponent - precision.digits - 1)
    return np.maximum(spacing, precision.half_smallest_subnormal)


def flush_allowance(
    features: Float64Array, affine: Affine, *, precision: Precision
) -> Float64Array:
    """Bound what flushing subnormal operands and results to zero may add to the error.

    Returns:
        Shape (N, K), target units.
    """
    tiny = precision.smallest_normal
    weight = np.abs(affine.weight)
    lost_weight, lost_bias = (
        _subnormal_part(affine.weight, tiny),
        _subnormal_part(affine.bias, tiny),
    )
    lost_input = _subnormal_part(features, tiny)
    inputs, num_results = np.abs(features), 2 * weight.shape[1] + 1
    if affine.mean is not None and affine.scale is not None:
        scale = np.abs(affine.scale)
        # x, mean, their difference; then scale; then the product.
        lost_difference = lost_input + _subnormal_part(affine.mean, tiny) + tiny
        difference = np.abs(features - affine.mean)
        lost_scale = difference * _subnormal_part(affine.scale, tiny)
        lost_input = lost_difference * scale + lost_scale + tiny
        inputs = difference * scale
    lost = lost_input @ weight.T + inputs @ lost_weight.T + lost_bias + num_results * tiny
    relative = gamma(affine.num_roundings, unit_roundoff=precision.unit_roundoff)
    return np.asarray(lost * (1 + relative) * _own_slack(affine))


def _magnitude(features: Float64Array, affine: Affine, precision: Precision) -> Float64Array:
    """Return M of the module's docstring, infinity where something may overflow."""
    inputs = np.abs(features)
    with np.errstate(over="ignore", invalid="ignore"):
        if affine.mean is not None and affine.scale is not None:
            inputs = np.abs(features - affine.mean) * np.abs(affine.scale)
        magnitude = inputs @ np.abs(affine.weight).T + np.abs(affine.bias)
        # A margin of 2 covers the roundings, of which there are fewer than 1 / (2u).
        overflows = (2 * inputs > precision.largest).any(axis=1, keepdims=True)
        overflows = overflows | ~(2 * magnitude <= precision.largest)
    return np.where(overflows, np.inf, magnitude)


def _underflow(affine: Affine, precision: Precision) -> Float64Array:
    """Sum the absolute errors of products that underflow; sums never do (Higham, section 2.1)."""
    per_product = precision.half_smallest_subnormal
    count = np.full(affine.bias.shape, float(affine.weight.shape[1]))
    if affine.scale is not None:  # the scaled feature is multiplied by the weight afterwards
        count = count + np.abs(affine.weight).sum(axis=1)
    return count * per_product


def _own_slack(affine: Affine) -> float:
    """Make up for the roundings, in float64, of the bound itself: fewer than D + 16."""
    return 1 / (1 - gamma(affine.weight.shape[1] + 16, unit_roundoff=FLOAT64.unit_roundoff))


def _subnormal_part(values: Float64Array, smallest_normal: float) -> Float64Array:
    magnitude = np.abs(values)
    return np.where(magnitude < smallest_normal, magnitude, 0.0)
