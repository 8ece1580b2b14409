"""The exact function that a bundle was made from, to and from the manifest."""

import numpy as np

from linexport.bundle._manifest import Manifest, Origin
from linexport.model import LinearModel
from linexport.numerics import DoubleDouble, ExactMap

__all__ = ["exact_origin", "origin_of"]


def origin_of(exact: ExactMap, model: LinearModel) -> Origin | None:
    """Return what the manifest says of the function that a model was made from.

    None where the model holds that very function, number by number.
    """
    if exact.is_float64:
        held = ExactMap.of(model)
        pairs = ((exact.weight.high, held.weight.high), (exact.bias.high, held.bias.high))
        means = [np.zeros(model.num_features) if m is None else m for m in (exact.mean, held.mean)]
        if all(np.array_equal(a, b) for a, b in (*pairs, tuple(means))):
            return None
    weight_low, bias_low = exact.weight.low, exact.bias.low
    return Origin(
        weight=tuple(map(tuple, exact.weight.high.tolist())),
        bias=tuple(exact.bias.high.tolist()),
        mean=None if exact.mean is None else tuple(exact.mean.tolist()),
        weight_low=tuple(map(tuple, weight_low.tolist())) if np.any(weight_low) else None,
        bias_low=tuple(bias_low.tolist()) if np.any(bias_low) else None,
    )


def exact_origin(manifest: Manifest) -> ExactMap | None:
    """Return the function that a bundle was made from, where it is not what the bundle holds."""
    origin = manifest.origin
    if origin is None:
        return None
    weight, bias = np.array(origin.weight, np.float64), np.array(origin.bias, np.float64)
    weight_low = np.zeros_like(weight) if origin.weight_low is None else origin.weight_low
    bias_low = np.zeros_like(bias) if origin.bias_low is None else origin.bias_low
    return ExactMap(
        weight=DoubleDouble(weight, np.asarray(weight_low, np.float64)),
        bias=DoubleDouble(bias, np.asarray(bias_low, np.float64)),
        mean=None if origin.mean is None else np.array(origin.mean, np.float64),
    )
