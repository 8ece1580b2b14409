"""What training returns."""

from dataclasses import dataclass

import torch
from torch import nn

from linexport.manifest import FitRecord
from linexport.model import LinearModel

__all__ = ["TrainingResult"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainingResult:
    """A fit, how it came about and how good it is."""

    model: LinearModel
    """The fit in float64, with each column's training range; with a scaler if one was used."""
    record: FitRecord
    """Settings, coefficients in raw units, metrics, distance from the optimum."""
    module: nn.Module | None = None
    """The trained torch module, where the solver trains one; where features were standardized, it
    takes and gives standardized values."""
    gradients: dict[str, torch.Tensor] | None = None
    """The last minibatch's gradients by parameter name, where the solver has them."""
    warnings: tuple[str, ...] = ()
    """Sentences for the user: what fell short and what to do about it."""
