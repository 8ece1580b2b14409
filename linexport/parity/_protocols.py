"""What the parity check compares with.

N rows, D features, K targets.
"""

from typing import NamedTuple, Protocol

from linexport._arrays import Float64Array, FloatArray
from linexport.model import LinearModel

__all__ = ["ExactPrediction", "ExactReference"]


class ExactPrediction(NamedTuple):
    """The true predictions, high + low, known to within error; each (N, K), target units."""

    high: Float64Array
    low: Float64Array
    error: Float64Array


class ExactReference(Protocol):
    """A model evaluated far more precisely than any runtime does."""

    @property
    def model(self) -> LinearModel:
        """The numbers that define what is right."""
        ...

    def predict(self, features: FloatArray) -> ExactPrediction:
        """Evaluate (N, D) finite features."""
        ...
