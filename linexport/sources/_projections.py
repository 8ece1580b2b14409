"""scikit-learn's transformers that combine values by a matrix, and what they made them of.

Each follows the `transform` of its class; where that subtracts a mean behind the product, the mean
is subtracted before it, which is the same map.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from linexport.numerics import Mixed, Values
from linexport.sources._estimators import fitted, numbers

__all__ = ["INVERSES", "PROJECTIONS"]


def _principal(step: Any, values: Values) -> Mixed:
    """Return (x - mean) @ components.T, each over its deviation where that is whitened."""
    made = values.plus(-numbers(step, "mean_")).through(numbers(step, "components_"))
    if not step.whiten:
        return made
    roots = _deviations(step)
    return made.over(np.maximum(roots, np.finfo(roots.dtype).eps).astype(np.float64))


def _deviations(step: Any) -> NDArray[np.floating]:
    """Return the roots of the variances, rounded to the precision that these have."""
    return np.asarray(np.sqrt(np.asarray(fitted(step, "explained_variance_"))))


def _of_principal(step: Any, values: Mixed) -> Mixed:
    if step.whiten:
        values = values.times(_deviations(step).astype(np.float64))
    return values.through(numbers(step, "components_").T).plus(numbers(step, "mean_"))


def _components(step: Any, values: Values) -> Mixed:
    return values.through(numbers(step, "components_"))


def _of_components(step: Any, values: Mixed) -> Mixed:
    return values.through(numbers(step, "components_").T)


def _independent(step: Any, values: Values) -> Mixed:
    """Return x @ components.T; without whitening, nothing is subtracted."""
    components = numbers(step, "components_")
    return (values.plus(-numbers(step, "mean_")) if step.whiten else values).through(components)


def _of_independent(step: Any, values: Mixed) -> Mixed:
    made = values.through(numbers(step, "mixing_"))
    return made.plus(numbers(step, "mean_")) if step.whiten else made


def _factors(step: Any, values: Values) -> Mixed:
    """Return the factors' expected values; their covariance is worked out in float64, as there.

    Source: Barber, Bayesian Reasoning and Machine Learning, equation 21.1.15.
    """
    components = numbers(step, "components_")
    scaled = components / numbers(step, "noise_variance_")
    covariance = linalg.inv(np.eye(len(components)) + scaled @ components.T)
    return (
        values.plus(-numbers(step, "mean_"))
        .through(scaled)
        .through(np.asarray(covariance.T, np.float64))
    )


PROJECTIONS: dict[str, Callable[[Any, Values], Mixed]] = {
    "FactorAnalysis": _factors,
    "FastICA": _independent,
    "GaussianRandomProjection": _components,
    "IncrementalPCA": _principal,
    "PCA": _principal,
    "SparseRandomProjection": _components,
    "TruncatedSVD": _components,
}
INVERSES: dict[str, Callable[[Any, Mixed], Mixed]] = {
    "FastICA": _of_independent,
    "IncrementalPCA": _of_principal,
    "PCA": _of_principal,
    "TruncatedSVD": _of_components,
}
