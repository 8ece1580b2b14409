"""Whether SGD has arrived: at the least-squares optimum, or where weight decay moves it.

N rows, D features, K targets.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from linexport._arrays import Float64Array
from linexport.least_squares import (
    Coefficientwise,
    Optimum,
    gap,
    resolved_standard_errors,
    tolerance,
)
from linexport.rows import ONE, Ranks

__all__ = ["Arrival", "parameters", "regularized"]


def parameters(module: nn.Linear) -> tuple[Float64Array, Float64Array]:
    """Return weight (K, D) and bias (K,) as float64."""
    weight, bias = (tensor.detach().to("cpu", torch.float64) for tensor in module.parameters())
    return weight.numpy(), bias.numpy()


def regularized(optimum: Optimum, features: Tensor, *, ridge: float, ranks: Ranks = ONE) -> Optimum:
    """Return the optimum with the weight that minimizes the loss with weight decay.

    With G the correlation matrix of the features, the gradient of half the loss is G (w - w*) +
    ridge * w. The bias of standardized rows is 0 at either optimum.

    Args:
        optimum: Least squares.
        features: Standardized, shape (N, D).
        ridge: Weight decay times K / 2, as the loss averages over the targets too.
        ranks: Who holds rows.
    """
    if not ridge:
        return optimum
    standardized = features.to("cpu", torch.float64)
    gram = ranks.gather((standardized.T @ standardized).numpy()).sum(axis=0)
    correlation = gram / optimum.num_rows
    slopes = (optimum.weight / optimum.scale).T
    shrunk = np.linalg.solve(correlation + ridge * np.eye(len(correlation)), correlation @ slopes)
    return replace(optimum, weight=shrunk.T * optimum.scale)


class Arrival:
    """Compares a module of standardized features and targets with where it should arrive."""

    def __init__(self, module: nn.Linear, destination: Optimum, best: Optimum) -> None:
        """Take the destination, and the least-squares optimum for its standard errors."""
        self._module = module
        self._destination = destination
        self._best = best
        self._tolerance = tolerance(best)

    def reached(self) -> bool:
        """Tell whether every coefficient is within its tolerance."""
        return bool((self._gap().largest_ratio(self._tolerance) <= 1).all())

    def standard_errors(self) -> float:
        """Return the largest distance of a coefficient; nan where no target has standard errors."""
        ratios = self._gap().largest_ratio(resolved_standard_errors(self._best))
        return float(np.fmax.reduce(ratios))

    def reduction(self) -> float:
        """Bound the factor by which the distance has to shrink, all coefficients taken together.

        The intercept is the level minus the slopes times the means of the features.
        """
        now, wanted = self._gap(), self._tolerance
        distance = np.sqrt((now.slopes**2).sum(axis=1) + now.level**2)
        offset = 1 + float(np.linalg.norm(self._best.mean * self._best.scale))
        smallest = np.minimum(wanted.slopes.min(axis=1), wanted.level)
        return float(max(1.0, (distance / np.minimum(smallest, wanted.intercept / offset)).max()))

    def _gap(self) -> Coefficientwise:
        weight, bias = parameters(self._module)
        target_scale, target_mean = self._best.target_scale, self._best.target_mean
        return gap(
            weight / target_scale[:, None], bias / target_scale + target_mean, self._destination
        )
