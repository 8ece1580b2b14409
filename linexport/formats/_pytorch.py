"""PyTorch: eager modules, TorchScript archives and torch.export archives."""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from linexport._arrays import FloatArray, FloatDType
from linexport.errors import ArtifactError
from linexport.formats._inputs import as_features, as_prediction
from linexport.formats._module import to_module
from linexport.model import LinearModel

__all__ = ["TorchRuntime"]


@dataclass(frozen=True, slots=True)
class TorchRuntime:
    """A callable from tensor to tensor, whichever way PyTorch came by it."""

    name: str
    dtype: FloatDType
    structure: LinearModel | None
    _module: Callable[[torch.Tensor], torch.Tensor] = field(repr=False)
    _num_features: int
    provider: str = "cpu"
    num_threads: int | None = field(default_factory=torch.get_num_threads)
    version: str = str(torch.__version__)  # a subclass of str, which JSON encoders refuse

    @classmethod
    def eager(cls, model: LinearModel) -> "TorchRuntime":
        """Run the model's module as Python runs it."""
        module = to_module(model)
        structure = LinearModel.from_arrays({name: t.numpy() for name, t in module.named_buffers()})
        return cls("pytorch", model.dtype, structure, module, model.num_features)

    @classmethod
    def torchscript(cls, data: bytes, model: LinearModel, *, reproduced: bool) -> "TorchRuntime":
        """Load a TorchScript archive, which may run code: only bytes that are trusted.

        Args:
            data: The archive.
            model: What it should hold; gives dtype and width.
            reproduced: Whether the exporter writes exactly these bytes for the model, so that
                their structure is known.

        Raises:
            ArtifactError: If it is no TorchScript archive.
        """
        try:
            with warnings.catch_warnings():  # torch.jit is deprecated; docs/format.md says so
                warnings.simplefilter("ignore")
                module = torch.jit.load(  # type: ignore[no-untyped-call]
                    io.BytesIO(data), map_location="cpu"
                ).eval()
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]  # what comes before is its own traceback
            raise ArtifactError(f"PyTorch refuses the TorchScript archive: {reason}") from error
        structure = model if reproduced else None
        return cls("torchscript", model.dtype, structure, module, model.num_features)

    @classmethod
    def exported(cls, data: bytes, model: LinearModel, *, reproduced: bool) -> "TorchRuntime":
        """Load a torch.export archive, which may run code: only bytes that are trusted.

        Raises:
            ArtifactError: If it is no torch.export archive.
        """
        try:
            module = torch.export.load(io.BytesIO(data)).module()
        except Exception as error:  # it tries several readers, the last of them pickle
            raise ArtifactError("PyTorch refuses the torch.export archive.") from error
        structure = model if reproduced else None
        return cls("torch.export", model.dtype, structure, module, model.num_features)

    def predict(self, features: FloatArray) -> FloatArray:
        """Evaluate (N, D) -> (N, K).

        Raises:
            DataError: If the features are not (N, D) numbers.
            ArtifactError: If the module refuses the batch.
        """
        batch = as_features(features, self.dtype, self._num_features)
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
