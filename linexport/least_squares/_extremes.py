"""The largest eigenvalue of a matrix that is known by its products with vectors.

Lanczos' method, each vector made orthogonal to all before it, twice. With z the last number of the
eigenvector of the tridiagonal matrix, the largest eigenvalue of that is off by at most

    r = beta |z|,    and by about r**2 / gap,    gap = its distance from the next.

It takes products in the order of 50, where all eigenvalues take 4/3 D**3 operations, half of them
at the speed of memory.

Source: Parlett, The Symmetric Eigenvalue Problem, 1980, sections 11.7 and 13.2.
"""

from collections.abc import Callable

import numpy as np

from linexport._arrays import Float64Array

_RESOLVED = 2.0**-44
"""The error at which to stop, relative to the eigenvalue."""
_STEPS_PER_LOOK = 4


def largest_eigenvalue(product: Callable[[Float64Array], Float64Array], size: int) -> float:
    """Return the largest eigenvalue of a symmetric matrix, of which one at least is above 0.

    Args:
        product: The matrix times a vector; both of shape (D,).
        size: D.
    """
    basis, diagonal, beside = np.empty((0, size)), np.empty(0), np.empty(0)
    vector = np.random.default_rng(0).standard_normal(size)  # any that is orthogonal to none
    while True:
        vector /= np.linalg.norm(vector)
        basis = np.vstack([basis, vector])
        vector = product(vector)
        diagonal = np.append(diagonal, basis[-1] @ vector)
        for _ in range(2):
            vector = vector - basis.T @ (basis @ vector)
        beside = np.append(beside, np.linalg.norm(vector))
        last = len(basis) == size or beside[-1] <= _RESOLVED * np.abs(diagonal).max()
        if last or len(basis) % _STEPS_PER_LOOK == 0:
            value, error = _ritz(diagonal, beside)
            if last or error <= _RESOLVED * value:
                return value


def _ritz(diagonal: Float64Array, beside: Float64Array) -> tuple[float, float]:
    """Return the largest eigenvalue of the tridiagonal matrix, and how far it is off."""
    tridiagonal = np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
    values, vectors = np.linalg.eigh(tridiagonal)
    residual = float(beside[-1] * abs(vectors[-1, -1]))
    gap = float(values[-1] - values[-2]) if len(values) > 1 else 0.0
    return float(values[-1]), residual if gap <= residual else residual**2 / gap
