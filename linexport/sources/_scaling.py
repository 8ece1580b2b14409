"""Names by which people keep what is done to features, or to the target, beside a model's numbers.

Whoever leaves such a number out has another model.
"""

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["is_scaling", "scaling_beside"]

_SCALING = frozenset({
    "center", "centre", "mean", "means", "mu", "norm", "normalization", "normalize", "normalized",
    "normalizer", "scale", "scaler", "scalers", "scales", "scaling", "sd", "sigma", "standardize",
    "standardized", "standardizer", "std", "stddev", "stdev", "stds", "var", "variance",
})  # fmt: skip
_OF = frozenset({
    "data", "dict", "feature", "features", "input", "inputs", "label", "labels", "output",
    "outputs", "params", "state", "stats", "target", "targets", "train", "x", "y",
})  # fmt: skip
"""What stands beside these in a name that means nothing else; `mean_loss` does."""


def is_scaling(name: str) -> bool:
    """Tell a name such as `x_mean` or `scaler`, but not `mean_loss`."""
    parts = {part for part in re.split(r"[^a-z]+", name.lower()) if part}
    return bool(parts & _SCALING) and parts <= _SCALING | _OF


def scaling_beside(thing: Mapping[str, Any]) -> list[str]:
    """Return the names of a checkpoint's numbers that scale something.

    The state of a GradScaler of PyTorch scales gradients, and is empty where it is switched off.
    """
    return [
        str(name)
        for name, value in thing.items()
        if is_scaling(str(name))
        and not isinstance(value, bool | str | type(None))
        and not (isinstance(value, Mapping) and (not value or "growth_factor" in value))
    ]
