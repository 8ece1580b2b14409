"""What is found of rows, however it was found.

D features, K targets, in the units of the columns' moments.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.least_squares._moments import Extent, Moments
from linexport.least_squares._uncertainty import NEGLIGIBLE, Uncertainty
from linexport.numerics import DoubleDouble


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Answer(ABC):
    """w, how far it may be from the optimum, and what the rows say about it."""

    equations: Moments
    """Of the columns, around the mean with an intercept and around 0 without."""
    weight: DoubleDouble
    """w, shape (features, targets)."""
    residual_squares: Float64Array
    """Sums of squared residuals, shape (K,); 0 where the data fit exactly."""
    residual_squares_error: Float64Array
    """Shape (K,)."""
    distance: Float64Array
    """Bound on the distance from the optimum, shape (K,): see `Uncertainty.reach`."""
    uncertainty: Uncertainty
    """Of the weights, over the residual variance."""

    @property
    def residuals_known(self) -> NDArray[np.bool_]:
        """Whether the residual sums of squares are known to a millionth, shape (K,)."""
        return np.asarray(self.residual_squares_error <= NEGLIGIBLE * self.residual_squares)

    @abstractmethod
    def degrees_of_freedom(self, available: int) -> float:
        """Return those of the residuals, of those that were there before a weight was fitted."""

    @property
    def rank(self) -> int:
        """How many features are independent, centred where there is an intercept."""
        return len(self.equations.features)

    @abstractmethod
    def variance_inflation(self, made_of: NDArray[np.bool_]) -> Float64Array:
        """Return the diagonal of the inverse of the correlation matrix, shape (D,).

        Infinite for a dependent feature and those that it is made of; nan with a ridge.
        """

    @abstractmethod
    def extreme_eigenvalues(self) -> tuple[float, float]:
        """Return the smallest that is not 0, and the largest, of the correlation matrix."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Solved:
    """What was found of the rows, once it is good enough."""

    extent: Extent
    answer: Answer | None
    """Its equations name the features that are independent; None if none is."""
    dependent: NDArray[np.intp]
    """The other features: combinations of those before them. They are the answer's last targets,
    so that its weight tells which."""
    made_of: NDArray[np.bool_]
    """Shape (independent, dependent): which features each of them is a combination of."""
    too_few_rows: str
    """What is to say where there are fewer rows than coefficients that no ridge determines."""
    around_mean: Moments
    """Of the columns, whether or not there is an intercept."""
    tells_constant: bool
    """Whether a constant is fitted: by the intercept, or by the features, some combination of
    which is the same number in every row."""
