"""The normal equations of a factor: centred, each column in a unit near its deviation.

N rows, D features, K targets. Column j is seen as (x_j - mean_j) / 2**exponent_j: powers of two
cost no digit. The equations are (S + ridge) w = c, with S the sums of products of the features and
c theirs with the targets.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.least_squares._factor import Factor
from linexport.numerics import DoubleDouble, double_double as dd


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NormalEquations:
    """Sums of products of centred, scaled columns, and which of them explain which."""

    squares: DoubleDouble
    """Shape (D + K, D + K), elements below 1."""
    error: Float64Array
    """Shape (D + K,): element (i, j) of `squares` is off by at most error[i] * error[j]."""
    norms: Float64Array
    """Shape (D + K,): root of each column's sum of squares, taken from 0, not from the mean."""
    ridge: Float64Array
    """Shape (D + K,); 0 for the targets."""
    all_features: NDArray[np.intp]
    """The columns that may be predicted from, the first D."""
    features: NDArray[np.intp]
    """Those that are predicted from."""
    targets: NDArray[np.intp]
    """The columns to predict."""

    @property
    def deviations(self) -> Float64Array:
        """Roots of the columns' sums of squares, shape (D + K,)."""
        return np.sqrt(np.maximum(self.squares.high.diagonal(), 0.0))

    @property
    def gram(self) -> DoubleDouble:
        """S + ridge."""
        gram = self._part(self.features, self.features)
        return dd.add_float(gram, np.diag(self.ridge[self.features]))

    @property
    def moments(self) -> DoubleDouble:
        """The features' products with the targets, shape (D, K)."""
        return self._part(self.features, self.targets)

    @property
    def target_squares(self) -> DoubleDouble:
        """Shape (K,)."""
        high, low = self.squares
        return DoubleDouble(high[self.targets, self.targets], low[self.targets, self.targets])

    def without(self, columns: NDArray[np.intp]) -> "NormalEquations":
        """Return the equations with some of the features as further targets."""
        return replace(
            self,
            features=np.setdiff1d(self.features, columns),
            targets=np.concatenate([self.targets, columns]),
        )

    def _part(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> DoubleDouble:
        place = np.ix_(rows, columns)
        return DoubleDouble(self.squares.high[place], self.squares.low[place])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Units:
    """Where the centred, scaled columns lie in the data's own units; features, then targets."""

    exponent: NDArray[np.int32]
    """Shape (D + K,)."""
    mean: DoubleDouble
    """Shape (D + K,), in the columns' own units; 0 without an intercept."""
    mean_error: Float64Array
    """Shape (D + K,), in units of 2**exponent."""
    weight_sum: float
    """N, or the sum of the rows' weights."""


def normal_equations(
    factor: Factor, *, intercept: bool, l2: float
) -> tuple[NormalEquations, Units]:
    """Derive the equations from a factor that is in range.

    Args:
        factor: Of all rows.
        intercept: Whether columns are taken from their mean, or from 0.
        l2: What is added to the diagonal of S, in the features' own units.
    """
    matrix, (shift, exponent) = factor.gram.matrix, factor.frame
    unmoved = np.zeros_like(exponent)
    count = DoubleDouble(matrix.high[-1, -1], matrix.low[-1, -1])
    if intercept:
        step = dd.divide(DoubleDouble(matrix.high[:-1, -1], matrix.low[:-1, -1]), count)
        mean = dd.add(dd.exact(shift), dd.scale_by_power_of_two(step, exponent))
        mean_error = factor.gram.error[:-1] * factor.gram.error[-1] / count.high
        centred = factor.gram.sheared(unmoved, dd.negative(step))
    else:
        mean = dd.exact(np.zeros_like(shift))
        mean_error = np.zeros_like(shift)
        centred = factor.gram.sheared(unmoved, dd.exact(np.ldexp(shift, -exponent)))
    squares = DoubleDouble(centred.matrix.high[:-1, :-1], centred.matrix.low[:-1, :-1])
    ridge = np.zeros_like(shift)
    ridge[: factor.num_features] = l2
    unit = _unit_exponents(squares.high.diagonal(), exponent, ridge)
    relative = exponent - unit
    scaled = dd.scale_by_power_of_two(squares, relative[:, None] + relative)
    own_mean = np.ldexp(mean.high, -unit)
    equations = NormalEquations(
        squares=scaled,
        error=np.ldexp(centred.error[:-1], relative),
        norms=np.sqrt(np.abs(scaled.high.diagonal()) + count.high * own_mean**2),
        ridge=np.ldexp(ridge, -2 * unit),
        all_features=np.arange(factor.num_features),
        features=np.arange(factor.num_features),
        targets=np.arange(factor.num_features, len(shift)),
    )
    units = Units(
        exponent=unit,
        mean=mean,
        mean_error=np.ldexp(mean_error, relative),
        weight_sum=float(count.high),
    )
    return equations, units


def _unit_exponents(
    squares: Float64Array, exponent: NDArray[np.int32], ridge: Float64Array
) -> NDArray[np.int32]:
    """Return exponents of units in which squares + ridge are below 1; squares in 4**exponent."""
    of_squares = np.frexp(np.abs(squares))[1] + 2 * exponent
    of_ridge = np.frexp(ridge)[1]
    larger = np.where(
        ridge > 0, np.where(squares > 0, np.maximum(of_squares, of_ridge), of_ridge) + 1, of_squares
    )
    return np.asarray(-(-larger // 2), dtype=np.int32)
