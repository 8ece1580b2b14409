"""The shortest of all coefficient vectors that fit dependent features equally well.

D features, of which some are combinations of others: each such combination is a vector of
coefficients that changes no prediction. Least squares without them gives one solution; the part of
it along those vectors is what the shortest one leaves out. Length is in the features' own units, as
in numpy.linalg.lstsq and scikit-learn.
"""

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import Float64Array
from linexport.numerics import DoubleDouble, double_double as dd


def null_vectors(
    combinations: DoubleDouble, independent: NDArray[np.intp], dependent: NDArray[np.intp]
) -> DoubleDouble:
    """Return the vectors of coefficients that change no prediction, shape (D, dependent).

    Args:
        combinations: Shape (independent, dependent): what each dependent feature is made of, in
            the features' own units.
        independent: Which features they are made of.
        dependent: The others.
    """
    size = len(independent) + len(dependent)
    vectors = dd.exact(np.zeros((size, len(dependent))))
    for part, coefficients in zip(vectors, dd.negative(combinations), strict=True):
        part[independent] = coefficients
    vectors.high[dependent, np.arange(len(dependent))] = 1.0
    return vectors


def shorten(weight: DoubleDouble, vectors: DoubleDouble) -> DoubleDouble:
    """Return weight (D, K) without its part along the vectors.

    The multiples are rounded to float64, which moves along the vectors and so no prediction; they
    are subtracted in double-double.
    """
    multiples = np.linalg.lstsq(_unit(vectors.high), weight.high, rcond=None)[0]
    multiples /= np.linalg.norm(vectors.high, axis=0)[:, None]
    shortened = weight
    for index, multiple in enumerate(multiples):
        column = DoubleDouble(*(part[:, index, None] for part in vectors))
        shortened = dd.subtract(shortened, dd.multiply(column, dd.exact(multiple[None])))
    return shortened


def shorten_rows(loadings: Float64Array, vectors: Float64Array) -> Float64Array:
    """Return what `shorten` does to the coefficients' deviations, shape (D, r)."""
    basis, _ = np.linalg.qr(_unit(vectors))
    return np.asarray(loadings - basis @ (basis.T @ loadings))


def _unit(vectors: Float64Array) -> Float64Array:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=0))
