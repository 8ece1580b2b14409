"""A linear model as a torch.nn.Module: what eager PyTorch runs and what the exporters script."""

import torch
from torch import nn
from torch.nn import functional

from linexport.model import LinearModel

__all__ = ["FoldedModule", "StandardizedModule", "to_module"]


class FoldedModule(nn.Module):
    """features @ weight.T + bias."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Buffer(weight)
        self.bias = nn.Buffer(bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Evaluate (N, D) -> (N, K)."""
        return functional.linear(features, self.weight, self.bias)


class StandardizedModule(nn.Module):
    """((features - mean) * scale) @ weight.T + bias."""

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor, mean: torch.Tensor, scale: torch.Tensor
    ) -> None:
        super().__init__()
        self.weight = nn.Buffer(weight)
        self.bias = nn.Buffer(bias)
        self.mean = nn.Buffer(mean)
        self.scale = nn.Buffer(scale)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Evaluate (N, D) -> (N, K)."""
        return functional.linear((features - self.mean) * self.scale, self.weight, self.bias)


# TorchScript writes a class's full name into its file, which is not to change when code moves.
for _kind in (FoldedModule, StandardizedModule):
    _kind.__module__ = "linexport.module"


def to_module(model: LinearModel) -> FoldedModule | StandardizedModule:
    """Return the model as a module on the CPU, in evaluation mode; its arrays are copied."""
    tensors = {name: torch.tensor(array, device="cpu") for name, array in model.arrays().items()}
    kind = StandardizedModule if model.standardized else FoldedModule
    return kind(**tensors).eval()
