"""A linear model as a torch.nn.Module: what eager PyTorch runs and what the exporters script."""

import torch
from torch import nn
from torch.nn import functional

from linexport.model import LinearModel

__all__ = ["Centred", "Folded", "to_module"]


class Folded(nn.Module):
    """features @ weight.T + bias."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Buffer(weight)
        self.bias = nn.Buffer(bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Evaluate (N, D) -> (N, K)."""
        return functional.linear(features, self.weight, self.bias)


class Centred(nn.Module):
    """(features - mean) @ weight.T + bias."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, mean: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Buffer(weight)
        self.bias = nn.Buffer(bias)
        self.mean = nn.Buffer(mean)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Evaluate (N, D) -> (N, K)."""
        return functional.linear(features - self.mean, self.weight, self.bias)


# TorchScript writes a class's full name into its file: it is the package's, wherever code moves.
for _kind in (Folded, Centred):
    _kind.__module__ = "linexport"


def to_module(model: LinearModel) -> Centred | Folded:
    """Return the model as a module on the CPU, in evaluation mode; its arrays are copied."""
    tensors = {name: torch.tensor(array, device="cpu") for name, array in model.arrays().items()}
    kind = Folded if model.mean is None else Centred
    return kind(**tensors).eval()
