"""Between the units and the dtype that are trained in and those of the rows that were given.

B rows, D features, K targets.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from linexport.errors import DataError
from linexport.model import LinearModel
from linexport.numerics import raw_coefficients, rescaled
from linexport.rows import Dataset

PRECISIONS = dict.fromkeys(("float16", "bfloat16", "float32"), "float32") | {"float64": "float64"}
"""What tensors are trained on in, by their dtype; for other dtypes float64."""


@dataclass(frozen=True, slots=True, eq=False)
class Scaler:
    """Takes features and targets to mean 0 and variance 1, in float64 on the CPU."""

    mean: Tensor
    scale: Tensor
    target_mean: Tensor
    target_scale: Tensor

    def apply(self, features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Scale features (B, D) and targets (B, K)."""
        return (
            (features.cpu().double() - self.mean).mul_(self.scale),
            (targets.cpu().double() - self.target_mean).mul_(self.target_scale),
        )

    def unscaled_gradients(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return those of the mean squared error in own units, by weight and bias in own units.

        With residuals r = e / target_scale and features x = z / scale + mean, they are the means
        2 E[r x] and 2 E[r], where those given are 2 E[e z] and 2 E[e].
        """
        bias = bias / self.target_scale
        weight = weight / self.scale / self.target_scale[:, None]
        return weight + bias[:, None] * self.mean, bias


def scaler_of(rows: Dataset) -> Scaler:
    """Return what takes the columns to mean 0 and variance 1; a constant one is only shifted.

    Raises:
        DataError: If a column varies too little for that.
    """
    columns = (*rows.features, *rows.targets)
    deviations = np.array([column.standard_deviation for column in columns], dtype=np.float64)
    means = np.array([column.mean for column in columns], dtype=np.float64)
    with np.errstate(divide="ignore", over="ignore"):
        scales = np.where(deviations > 0, 1 / deviations, 1.0)
    for column, scale in zip(columns, scales, strict=True):
        if not np.isfinite(scale):
            raise DataError(
                "It varies by less than float64 can divide by; give it in another unit.",
                source=rows.source,
                column=column.name,
            )
    (mean, target_mean), (scale, target_scale) = (
        np.split(numbers, [len(rows.features)]) for numbers in (means, scales)
    )
    return Scaler(*map(torch.tensor, (mean, scale, target_mean, target_scale)))


def unscaled_model(rows: Dataset, module: nn.Linear, scaler: Scaler | None) -> LinearModel:
    """Return what was trained, for features and targets in their own units."""
    # First to the CPU: mps has no float64.
    weight, bias = (parameter.detach().cpu().double().numpy() for parameter in module.parameters())
    if scaler is None:
        return LinearModel(weight=weight, bias=bias, features=rows.features, targets=rows.targets)
    mean, scale, target_mean, target_scale = (
        part.numpy()
        for part in (scaler.mean, scaler.scale, scaler.target_mean, scaler.target_scale)
    )
    return LinearModel(
        weight=rescaled(rescaled(weight, scale), 1 / target_scale[:, None]),
        bias=bias / target_scale + target_mean,
        mean=mean,
        features=rows.features,
        targets=rows.targets,
    )


def hand_over(
    module: nn.Linear,
    model: LinearModel,
    gradients: dict[str, Tensor],
    scaler: Scaler | None,
    rows: Dataset,
) -> None:
    """Make the trained module one that takes the tensors given, with its gradients.

    Args:
        module: What was trained; it becomes the model, in the columns' own units.
        model: The model.
        gradients: As they were trained with, by parameter name.
        scaler: What stood before the module.
        rows: Their tensors' dtype and device become the module's; without tensors it stays in the
            precision that it was trained in, on the CPU.
    """
    known = rows.tensor_dtype in PRECISIONS
    dtype = getattr(torch, str(rows.tensor_dtype)) if known else module.weight.dtype
    weight, bias = (gradients[name].cpu().double() for name in ("weight", "bias"))
    if scaler is not None:
        weight, bias = scaler.unscaled_gradients(weight, bias)
    numbers = zip(raw_coefficients(model), (weight, bias), module.parameters(), strict=True)
    for value, gradient, parameter in numbers:
        parameter.grad = None  # autograd lets the dtype change only without
        parameter.data = torch.tensor(value).to(dtype).to(rows.tensor_device)
        parameter.grad = gradient.to(dtype).to(rows.tensor_device)
