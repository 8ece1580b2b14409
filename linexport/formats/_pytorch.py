"""What PyTorch's formats share: the module, the runtime, zip archives, telling ours from others.

PyTorch's archives are written so that the same records give the same bytes. What its own writer
leaves open is settled here: records are sorted by name and stored without compression (the output
of zlib depends on its version), carry no time, and start at a multiple of 64 bytes, as PyTorch's
do, so that tensors can be mapped into memory.
"""

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
import torch
from torch import nn
from torch.nn import functional

from linexport._arrays import FloatArray, FloatDType, as_features, as_prediction
from linexport.errors import ArtifactError
from linexport.formats._format import Format, encoded
from linexport.model import LinearModel

__all__ = [
    "Centred",
    "CentredInFloat64",
    "Folded",
    "FoldedInFloat64",
    "TorchRuntime",
    "eager",
    "extra_files",
    "pack",
    "read_metadata",
    "reproduces",
    "to_module",
    "unpack",
]

FOLDER = "archive"
"""What PyTorch calls the top folder of a file that it writes to memory."""
METADATA_RECORD = "linexport.json"
"""The extra file that carries the metadata; `torch.jit.load` and `torch.export.load` return it."""
ALIGNMENT = 64
"""Bytes; PyTorch's kFieldAlignment."""

_EXTRA_FOLDER = "extra/"
_LOCAL_HEADER_BYTES = 30
_PADDING_ID = b"FB"
_UNWANTED = (
    ".data/serialization_id",  # a hash over the records, the dropped ones included
    ".debug_pkl",  # where in which file of this machine each line of code stood
)
"""Ends of the names of records that no loader needs."""


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
        """Of features and predictions."""
        return self._model.dtype

    @property
    def structure(self) -> LinearModel | None:
        """The model that it is known to hold."""
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


def extra_files(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return metadata as the extra file that PyTorch's writers take, always written alike."""
    return {METADATA_RECORD: encoded(dict(metadata))}


def example(load: str, model: LinearModel) -> list[str]:
    """Return lines of Python that predict with what an expression loads."""
    return [
        "import torch",
        "",
        f"module = {load}",
        f"prediction = module(torch.zeros((1, {model.num_features}), dtype=torch.{model.dtype}))",
    ]


def reproduces(kind: Format, data: bytes, model: LinearModel) -> bool:
    """Tell whether a file is, byte for byte, what a format writes for a model.

    Loading such a file runs whatever it holds, so it is trusted only if it is known to hold nothing
    else. The metadata are taken from the file itself, which is not unpickled for that.
    """
    metadata = read_metadata(data)
    return metadata is not None and kind.write(model, metadata) == data


def unpack(archive: bytes) -> dict[str, bytes]:
    """Return what PyTorch wrote, by name, without the top folder and what no loader needs."""
    with zipfile.ZipFile(io.BytesIO(archive)) as records:
        return {
            name.partition("/")[2]: records.read(name)
            for name in records.namelist()
            if not name.endswith(_UNWANTED)
        }


def pack(records: Mapping[str, bytes]) -> bytes:
    """Write records into an archive that PyTorch's loaders accept."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression=zipfile.ZIP_STORED) as archive:
        for name in sorted(records):
            info = zipfile.ZipInfo(f"{FOLDER}/{name}", date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # Unix, also where Python would say otherwise
            info.external_attr = 0o644 << 16
            info.extra = _padding(buffer.tell() + _LOCAL_HEADER_BYTES + len(info.filename))
            archive.writestr(info, records[name])
    return buffer.getvalue()


def read_metadata(archive: bytes) -> dict[str, str] | None:
    """Return the metadata of a file that `pack` may have written; None if it did not.

    The file may be hostile: it is read as a plain zip, nothing in it is unpickled or unpacked.
    """
    name = f"{FOLDER}/{_EXTRA_FOLDER}{METADATA_RECORD}"
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as records:
            info = records.getinfo(name)
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > len(archive):
                return None
            return msgspec.json.decode(records.read(info), type=dict[str, str])
    except Exception:  # zipfile raises a dozen kinds on damaged files; none of them matters here
        return None


def _padding(data_start: int) -> bytes:
    """Return the extra field that moves a record's data to the next multiple of ALIGNMENT."""
    header = len(_PADDING_ID) + 2
    length = -(data_start + header) % ALIGNMENT
    return _PADDING_ID + length.to_bytes(2, "little") + b"Z" * length
