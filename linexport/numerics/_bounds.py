"""Worst-case rounding error of one affine forward pass.

N rows, D features, K targets. u is the unit roundoff of the working precision and
gamma(m) = m*u / (1 - m*u). Whatever the order of summation, with or without fused multiply-add,

    folded   y = x @ W.T + b
             |computed - exact| <= gamma(D + 1) * M + underflow
             M = |x| @ |W|.T + |b|
    centred  y = (x - mean) @ W.T + b
             |computed - exact| <= gamma(D + 2) * M + underflow
             M = |x - mean| @ |W|.T + |b|

elementwise, in target units. The derivation, the underflow terms and the bound's own rounding are
worked out in docs/bounds.md. Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd
ed., sections 2.1, 3.1. No step may run below the stated precision (TF32, bfloat16 accumulation).
Where an intermediate result may overflow there is no bound, and the functions return infinity.

A sum taken in float64 between float32 inputs and outputs has the bound of float64, and then rounds
once more, by half an ulp of float32: `rounded_result`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from linexport._arrays import Float64Array
from linexport.errors import PrecisionError
from linexport.numerics.double_double import DoubleDouble, two_sum

__all__ = [
    "BFLOAT16",
    "FLOAT16",
    "FLOAT32",
    "FLOAT64",
    "Affine",
    "ErrorBounds",
    "Idle",
    "Precision",
    "error_bounds",
    "gamma",
    "half_ulp",
    "own_slack",
    "precision_of",
    "probabilistic_gamma",
    "rounded_once",
    "rounded_result",
    "rounding_error_bound",
    "unit_roundoffs",
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


def _binary(name: str, digits: int, least: int) -> Precision:
    """Return the format of so many digits whose normal numbers are from 2**least on."""
    return Precision(
        name=name,
        digits=digits,
        unit_roundoff=2.0**-digits,
        largest=(2 - 2.0 ** (1 - digits)) * 2.0 ** (1 - least),
        smallest_normal=2.0**least,
        # Of float64, half the smallest subnormal number is no float64: rounded up.
        half_smallest_subnormal=max(2.0 ** (least - digits), 2.0**-1074),
    )


FLOAT32 = _binary("float32", 24, -126)
FLOAT64 = _binary("float64", 53, -1022)
FLOAT16 = _binary("float16", 11, -14)
BFLOAT16 = _binary("bfloat16", 8, -126)


class Idle(NamedTuple):
    """What some features add to each of some rows, all shape (K,), target units."""

    total: DoubleDouble
    magnitude: Float64Array
    """The sum of the sizes of its terms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Affine:
    """The exact numbers of an affine map, in float64 whatever precision will evaluate it."""

    weight: Float64Array
    """Shape (K, D), target units per feature unit."""
    bias: Float64Array
    """Shape (K,), target units."""
    mean: Float64Array | None = None
    """Shape (D,), feature units; None where nothing is subtracted."""
    num_idle: int = 0
    """Further features, which add the same in each of the rows that are asked about."""
    idle: "Idle | None" = None
    """What they add; None where that is nothing."""

    @property
    def num_features(self) -> int:
        """How many features a runtime takes."""
        return int(self.weight.shape[1]) + self.num_idle

    @property
    def num_roundings(self) -> int:
        """How many roundings one feature's contribution passes through."""
        return self.num_features + (1 if self.mean is None else 2)

    def differences(self, features: Float64Array) -> Float64Array:
        """Return what the weight multiplies, shape (N, D): features, less the mean where kept."""
        return features if self.mean is None else np.subtract(features, self.mean)

    def evaluate(self, features: Float64Array) -> Float64Array:
        """Evaluate (N, D) -> (N, K) in float64, within `rounding_error_bound` of the truth."""
        idle = 0.0 if self.idle is None else self.idle.total.high
        return np.asarray(self.differences(features) @ self.weight.T + self.bias + idle)


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


def unit_roundoffs(dtypes: Iterable[object]) -> Float64Array:
    """Return those of columns, by the types that NumPy, PyTorch, pandas or polars states.

    Whole numbers and all else are taken for float64: what decimal digits say of their own precision
    would be a guess.
    """
    known = {each.name: each.unit_roundoff for each in (FLOAT32, FLOAT16, BFLOAT16)}
    names = (str(dtype).rpartition(".")[2].lower() for dtype in dtypes)
    return np.array([known.get(name, FLOAT64.unit_roundoff) for name in names])


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


def probabilistic_gamma(num_roundings: int, *, unit_roundoff: float) -> float:
    """Bound the relative error of m roundings that are independent with mean zero.

    exp(lambda*sqrt(m)*u + m*u**2/(1 - u)) - 1, with lambda such that it fails with a probability of
    at most 1e-6 = 2*m*exp(-(lambda*(1 - u))**2/2). A model of rounding, not a proof.
    Source: Higham and Mary, A new approach to probabilistic rounding error analysis, SIAM J. Sci.
    Comput. 41 (2019), theorems 2.4 and 3.1.
    """
    u = unit_roundoff
    confidence = math.sqrt(2 * math.log(2 * num_roundings / 1e-6)) / (1 - u)
    exponent = confidence * math.sqrt(num_roundings) * u + num_roundings * u**2 / (1 - u)
    return math.expm1(exponent)


class ErrorBounds(NamedTuple):
    """How far a right prediction may be from the truth, each (N, K), target units.

    Infinity where an intermediate result may overflow.
    """

    worst_case: Float64Array
    """Never smaller than the true bound."""
    probabilistic: Float64Array
    """Grows with sqrt(D): information, never a verdict."""


def error_bounds(
    features: Float64Array,
    affine: Affine,
    *,
    precision: Precision,
    num_roundings: int | None = None,
) -> ErrorBounds:
    """Bound the error of every prediction that the precision allows.

    Args:
        features: Inputs as the runtime saw them, shape (N, D), in feature units.
        affine: The numbers in the artifact.
        precision: The arithmetic that the runtime claims to perform.
        num_roundings: Fewer than `affine.num_roundings` where the caller knows that the other
            operations are exact: zeros, products with powers of two.

    Raises:
        PrecisionError: If there are too many roundings for any bound.
    """
    magnitude = _magnitude(features, affine, precision)
    num_roundings, u = num_roundings or affine.num_roundings, precision.unit_roundoff
    worst_case = gamma(num_roundings, unit_roundoff=u)
    probabilistic = probabilistic_gamma(num_roundings, unit_roundoff=u)
    return ErrorBounds(
        _bound(worst_case, magnitude, affine, precision),
        _bound(probabilistic, magnitude, affine, precision),
    )


def rounding_error_bound(
    features: Float64Array,
    affine: Affine,
    *,
    precision: Precision,
    num_roundings: int | None = None,
) -> Float64Array:
    """Return the worst case of `error_bounds` alone, shape (N, K), target units.

    Raises:
        PrecisionError: If there are too many roundings for any bound.
    """
    num_roundings = num_roundings or affine.num_roundings
    relative = gamma(num_roundings, unit_roundoff=precision.unit_roundoff)
    return _bound(relative, _magnitude(features, affine, precision), affine, precision)


def half_ulp(values: Float64Array, *, precision: Precision) -> Float64Array:
    """Return the largest error of rounding each value once to the precision.

    Sharper than u * |value| by up to 2: it tells a weight from its neighbour.
    """
    _, exponent = np.frexp(values)  # 0 for zero, as for the numbers from a half to one
    spacing = np.where(values == 0, 0.0, np.ldexp(1.0, exponent - precision.digits - 1))
    return np.maximum(spacing, precision.half_smallest_subnormal)


def rounded_once(
    features: Float64Array, exact: Float64Array, affine: Affine, *, precision: Precision
) -> Float64Array:
    """Bound the error of predictions whose products are exact, shape (N, K), target units.

    The last sum rounds once. Before it a product with a power of two may underflow; and the
    difference from the mean was rounded, which is repeated here to know by how much.

    Args:
        features: Shape (N, D), each one zero (its mean where centred) or, as the runtime rounds
            the difference, a power of two away from it.
        exact: What the predictions should be, shape (N, K).
        affine: The numbers in the artifact.
        precision: The arithmetic that the runtime claims to perform.
    """
    moved = np.zeros_like(exact)
    if affine.mean is not None:
        high, low = two_sum(features, -affine.mean)
        rounded = features.astype(precision.name) - affine.mean.astype(precision.name)
        moved = (np.abs(high - rounded) + np.abs(low)) @ np.abs(affine.weight).T
        moved *= own_slack(affine.num_features + 16)
    largest = half_ulp(np.abs(exact) + moved, precision=precision)
    return np.asarray(largest + moved + precision.half_smallest_subnormal)


def rounded_result(
    bound: Float64Array, exact: Float64Array, *, precision: Precision
) -> Float64Array:
    """Bound the error of sums that are rounded once more at the end, shape (N, K), target units.

    Args:
        bound: Of the sums, in the wider precision in which they are taken, shape (N, K).
        exact: What the predictions should be, or numbers at least as large, shape (N, K).
        precision: What the sums are rounded to.

    Returns:
        The bound and half an ulp of the largest sum that it allows; infinity where that sum is
        beyond the precision's largest number.
    """
    largest = np.nextafter(np.abs(exact) + bound, np.inf)
    fits = largest <= precision.largest
    total = half_ulp(np.where(fits, largest, 0.0), precision=precision) + bound
    return np.where(fits, np.nextafter(total, np.inf), np.inf)


def _bound(
    relative: float, magnitude: Float64Array, affine: Affine, precision: Precision
) -> Float64Array:
    # Products may underflow; sums and differences never do (Higham, section 2.1).
    underflow = affine.num_features * precision.half_smallest_subnormal * (1 + relative)
    bound = (relative * magnitude + underflow) * own_slack(affine.num_features + 16)
    # Upwards once more: where the bound itself is subnormal, no relative slack makes up for it.
    return np.asarray(np.nextafter(bound, np.inf))


def _magnitude(features: Float64Array, affine: Affine, precision: Precision) -> Float64Array:
    """Return M of the module's docstring, infinity where something may overflow."""
    # (1 + u)**m < e for any m that gamma accepts; 4 also covers the magnitude's own rounding.
    limit = precision.largest / 4
    with np.errstate(over="ignore", invalid="ignore"):
        inputs = np.abs(affine.differences(features))
        magnitude = inputs @ np.abs(affine.weight).T + np.abs(affine.bias)
        magnitude += 0.0 if affine.idle is None else affine.idle.magnitude
    fits = inputs.max(axis=1) <= limit
    return np.where(fits[:, None] & (magnitude <= limit), magnitude, np.inf)


def own_slack(num_roundings: int) -> float:
    """Return the factor that makes up for so many roundings, in float64, of a bound itself."""
    return 1 / (1 - gamma(num_roundings, unit_roundoff=FLOAT64.unit_roundoff))
