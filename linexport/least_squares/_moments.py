"""What rows say of each column by itself. D features and, behind them, K targets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.numerics import DoubleDouble


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Extent:
    """How many rows there are, and from where to where their columns reach."""

    num_features: int
    """D."""
    num_rows: int
    """Rows whose weight is not 0; the sum of the weights where these are frequencies."""
    log_weight_sum: float
    """The sum of the logarithms of weights that are precisions; 0 without them."""
    minimum: Float64Array
    """Shape (D + K,), in the columns' own units; infinity where there are no rows."""
    maximum: Float64Array
    """Shape (D + K,); -infinity where there are no rows."""
    unit_roundoff: Float64Array
    """Shape (D + K,): of the number format that each column came in."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Moments:
    """Means, deviations and units, and which columns are to predict which."""

    all_features: NDArray[np.intp]
    """The columns that may be predicted from, the first D."""
    features: NDArray[np.intp]
    """Those that are predicted from."""
    targets: NDArray[np.intp]
    """The columns to predict."""
    exponent: NDArray[np.int32]
    """Shape (D + K,): the columns are in units of 2**exponent, near their deviations."""
    mean: DoubleDouble
    """Shape (D + K,), in the columns' own units; 0 without an intercept."""
    mean_error: Float64Array
    """Shape (D + K,), in units of 2**exponent."""
    deviations: Float64Array
    """Shape (D + K,): roots of the columns' sums of squares around the mean, in these units."""
    weight_sum: float
    """N, or the sum of the rows' weights."""

    @property
    def standard_deviations(self) -> Float64Array:
        """Of the columns, in their own units, shape (D + K,)."""
        deviations = self.deviations / np.sqrt(self.weight_sum)
        return np.asarray(np.ldexp(deviations, self.exponent))
