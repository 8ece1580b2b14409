"""A model as a module of PyTorch, and the runtime that evaluates one."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional

from linexport._arrays import FloatArray, FloatDType, as_features, as_prediction
from linexport.errors import ArtifactError
from linexport.model import LinearModel

__all__ = [
    "Centred",
    "CentredInFloat64",
    "Folded",
    "FoldedInFloat64",
    "TorchRuntime",
    "eager",
    "to_module",
]


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


class FoldedInFloat64(Folded):
    """Folded, with the sum in float64 between float32 features and predictions."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Evaluate (N, D) -> (N, K)."""
        total = functional.linear(features.to(torch.float64), self.weight, self.bias)
        return total.to(torch.float32)


class CentredInFloat64(Centred):
    """Centred, with difference and sum in float64 between float32 features and predictions."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Evaluate (N, D) -> (N, K)."""
        centred = features.to(torch.float64) - self.mean
        return functional.linear(centred, self.weight, self.bias).to(torch.float32)


# TorchScript writes a class's full name into its file: it is the package's, wherever code moves.
for _kind in (Folded, Centred, FoldedInFloat64, CentredInFloat64):
    _kind.__module__ = "linexport"


def to_module(model: LinearModel) -> Centred | Folded:
    """Return the model as a module on the CPU, in evaluation mode; its arrays are copied."""
    tensors = {name: torch.tensor(array, device="cpu") for name, array in model.arrays().items()}
    if model.accumulate == model.dtype:
        kind = Folded if model.mean is None else Centred
    else:
        kind = FoldedInFloat64 if model.mean is None else CentredInFloat64
    return kind(**tensors).eval()


@dataclass(frozen=True, slots=True)
class TorchRuntime:
    """A callable from tensor to tensor, whichever way PyTorch came by it."""

    name: str
    _model: LinearModel = field(repr=False)
    """What it should hold; gives dtype and width."""
    _module: Callable[[torch.Tensor], torch.Tensor] = field(repr=False)
    stated: bool = field(kw_only=True)
    """Whether it is known to hold that model."""
    provider: str = "cpu"
    num_threads: int | None = field(default_factory=torch.get_num_threads)
    version: str = str(torch.__version__)  # a subclass of str, which JSON encoders refuse

    @property
    def dtype(self) -> FloatDType:
        return self._model.dtype

    @property
    def structure(self) -> LinearModel | None:
        return self._model if self.stated else None

    def predict(self, features: FloatArray) -> FloatArray:
        """Evaluate (N, D) -> (N, K).

        Raises:
            DataError: If the features are not (N, D) numbers.
            ArtifactError: If the module refuses the batch.
        """
        batch = as_features(features, self.dtype, self._model.num_features)
        if not batch.flags.writeable:  # torch.from_numpy warns of arrays it must not write to
            batch = batch.copy()
        try:
            with torch.inference_mode():
                prediction = self._module(torch.from_numpy(batch)).numpy()
        except Exception as error:  # a foreign module may raise, or return, whatever it likes
            raise ArtifactError(
                f"{self.name} fails on a batch of {len(batch)} rows: {error}"
            ) from error
        return as_prediction(prediction)


def eager(model: LinearModel) -> TorchRuntime:
    """Return the model's module as Python runs it, stating the numbers that it really holds."""
    module = to_module(model)
    arrays = {name: tensor.numpy() for name, tensor in module.named_buffers()}
    held = LinearModel.from_arrays(arrays, dtype=model.dtype)
    return TorchRuntime("pytorch", held, module, stated=True)
