"""Models in files: by their suffix, and never by running what they hold."""

import io
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

from linexport import bundle
from linexport._files import naming, read_artifact
from linexport.errors import ArtifactError
from linexport.sources import _coefficients as coefficients
from linexport.sources._found import Found

__all__ = ["read"]

PICKLES = frozenset({".cloudpickle", ".dill", ".joblib", ".pickle", ".pkl", ".skops"})
_PROGRAM = (
    "a TorchScript or torch.export archive is a program, and loading it may run code: pass the "
    "state_dict, or the module from Python."
)


def read(path: Path) -> Found:
    """Read a model from a bundle, or from a file.

    Raises:
        ArtifactError: If it cannot be read, would run code, or holds no linear model.
    """
    if bundle.is_bundle(path):
        return _read_bundle(path)
    suffix = path.suffix.lower()
    with naming(path):
        if suffix in PICKLES:
            raise ArtifactError(
                "loading a pickled object runs the code in it: load it in Python, where you know "
                "where it comes from, and call linexport.export(model, ...) there."
            )
        if suffix == ".pt2":
            raise ArtifactError(_PROGRAM)
        if suffix not in _DECODERS:
            raise ArtifactError(
                f"the suffix does not say what it holds: {', '.join(_DECODERS)}, or a bundle's "
                "directory."
            )
    data = read_artifact(path)
    with naming(path):
        return _DECODERS[suffix](data)


def _read_bundle(path: Path) -> Found:
    model = bundle.read_bundle(path).model
    return Found(model=model, source="linexport bundle", features_named=True, targets_named=True)


def _decode_safetensors(data: bytes) -> Found:
    from linexport.sources import _safetensors as safetensors

    return safetensors.decode(data)


def _decode_onnx(data: bytes) -> Found:
    from linexport.sources import _onnx as onnx

    return onnx.decode(data)


def _decode_state_dict(data: bytes) -> Found:
    """Read what torch.save wrote of a state_dict."""
    if _is_program(data):
        raise ArtifactError(_PROGRAM)
    import torch  # here, so that other files do not pay for it

    from linexport.sources import _torch_modules as torch_modules

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about files that torch.save did not write
            tensors = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # its unpickler fails in any way, on any bytes
        first_line = str(error).strip().splitlines()[0] if str(error) else type(error).__name__
        raise ArtifactError(
            "this is not a file of tensors alone, so loading it might run code or fail: save the "
            f"state_dict with torch.save(model.state_dict(), ...) ({first_line})"
        ) from error
    if not isinstance(tensors, dict):
        raise ArtifactError(f"it holds a {type(tensors).__name__}, not a state_dict.")
    if not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise ArtifactError(
            f"it holds {', '.join(map(str, list(tensors)[:8]))}, not tensors alone: save the "
            "state_dict by itself."
        )
    return torch_modules.read_tensors(tensors)


def _is_program(data: bytes) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [name.rpartition("/")[2] for name in archive.namelist()]
    except (zipfile.BadZipFile, NotImplementedError):
        return False
    return "constants.pkl" in names or "archive_format" in names


_DECODERS: dict[str, Callable[[bytes], Found]] = {
    ".json": coefficients.decode,
    ".safetensors": _decode_safetensors,
    ".onnx": _decode_onnx,
    ".pt": _decode_state_dict,
    ".pth": _decode_state_dict,
    ".bin": _decode_state_dict,
}
