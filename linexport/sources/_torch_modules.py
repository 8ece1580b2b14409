"""A torch module, or tensors by name: an nn.Linear, alone or in an nn.Sequential.

What a module computes is decided by its class and settings, never by trying it: a class with a
`forward` of its own, or with hooks, could compute anything and is refused.
"""

import io
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy

from linexport._arrays import Float64Array
from linexport.errors import ArtifactError, ModelError
from linexport.formats import Centred, CentredInFloat64, Folded, FoldedInFloat64
from linexport.numerics import Values, batch_normalized, input_columns, linear_model
from linexport.sources import _arrays as arrays
from linexport.sources._reading import Imported

__all__ = ["decode", "read"]

_ZIP_MAGIC = b"PK\x03\x04"
_LAYERS = (nn.Linear, nn.BatchNorm1d, nn.Identity, nn.Dropout, nn.Flatten)
_NORMALISE_ROWS = ("LayerNorm", "RMSNorm", "GroupNorm", "InstanceNorm1d")


def read(module: Any) -> Imported:
    """Read a model from a module, or from a state_dict.

    Raises:
        ModelError: If it is not one of the modules whose meaning is known, or not linear.
    """
    if isinstance(module, Mapping):
        return read_tensors(module)
    if isinstance(module, Centred | Folded):
        found = read_tensors(module.state_dict(), "linexport module")
        if isinstance(module, CentredInFloat64 | FoldedInFloat64):
            return replace(found, model=replace(found.model, dtype=np.dtype(np.float32)))
        return found
    layers = list(_layers(module, "the module"))
    sizes = [_num_inputs(layer) for _, layer in layers]
    num_features = next((size for size in sizes if size is not None), None)
    if not any(isinstance(layer, nn.Linear) for _, layer in layers) or num_features is None:
        raise ModelError("The module has no nn.Linear.")
    values: Values = input_columns(num_features)
    for name, layer in layers:
        expected = _num_inputs(layer)
        if expected not in (None, values.width):
            raise ModelError(f"{name} takes {expected} values, but is given {values.width}.")
        values = _through(layer, values, name)
    kinds = [type(layer).__name__ for _, layer in layers]
    of = kinds[0] if isinstance(module, nn.Linear) else f"Sequential of {', '.join(kinds)}"
    model = linear_model(values, num_features)
    return Imported(model=model, source=f"PyTorch {of}", values=values)


def read_tensors(tensors: Mapping[str, Any], source: str = "PyTorch state_dict") -> Imported:
    """Read a model from a state_dict, or from tensors by the names of arrays.

    Raises:
        ModelError: If they are not the tensors of one linear layer.
    """
    return arrays.read(tensors, source, _float64)


def decode(data: bytes) -> Imported:
    """Read what torch.save wrote of a state_dict.

    Raises:
        ArtifactError: If loading it might run code, or it holds anything else.
        ModelError: If its tensors are not those of one linear layer.
    """
    _check_archive(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about files that torch.save did not write
            tensors = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # its unpickler fails in any way, on any bytes
        # Its own words advise to switch weights_only off, which would run what the file holds.
        called = re.search(r"GLOBAL ([\w.]+)", str(error))
        holding = f" (it names {called[1]})" if called else ""
        raise ArtifactError(
            f"this is not a file of tensors alone{holding}, so loading it might run code or fail: "
            "save the state_dict with torch.save(model.state_dict(), ...)."
        ) from error
    if not isinstance(tensors, dict):
        raise ArtifactError(f"it holds a {type(tensors).__name__}, not a state_dict.")
    if not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise ArtifactError(
            f"it holds {', '.join(map(str, list(tensors)[:8]))}, not tensors alone: save the "
            "state_dict by itself."
        )
    if sum(value.numel() for value in tensors.values()) > len(data):
        raise ArtifactError("its tensors have more elements than the file has bytes.")
    return read_tensors(tensors)


def _check_archive(data: bytes) -> None:
    """Refuse a zip archive that is a program, or that is larger when it is unpacked.

    torch.save stores what it writes as it is. What is no zip is the format before PyTorch 1.6.
    """
    if not data.startswith(_ZIP_MAGIC):
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        records = archive.infolist()
    names = {record.filename.rpartition("/")[2] for record in records}
    if names & {"constants.pkl", "archive_format"}:
        raise ArtifactError(
            "a TorchScript or torch.export archive is a program, and loading it may run code: pass "
            "the state_dict, or the module from Python."
        )
    if sum(record.file_size for record in records) > len(data):
        raise ArtifactError(
            "it is larger unpacked than the file, where torch.save compresses nothing: save the "
            "state_dict with torch.save(model.state_dict(), ...)."
        )


def _layers(module: Any, name: str) -> Iterator[tuple[str, nn.Module]]:
    """Yield the layers in the order in which they compute, each with what to call it."""
    if isinstance(module, nn.Sequential) and _is_plain(module, nn.Sequential):
        for key, layer in module.named_children():
            yield from _layers(layer, f"layer {key} ({type(layer).__name__})")
        return
    for kind in _LAYERS:
        if isinstance(module, kind) and _is_plain(module, kind):
            yield name, module
            return
    raise ModelError(_refusal(module, name))


def _is_plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Tell whether a module computes what its kind does, and nothing else."""
    return (
        type(module).forward is kind.forward
        and type(module).__call__ is nn.Module.__call__
        and "forward" not in vars(module)
        and not module._forward_hooks  # noqa: SLF001 - torch has no other way to ask
        and not module._forward_pre_hooks  # noqa: SLF001
    )


def _refusal(module: Any, name: str) -> str:
    kind = type(module).__name__
    if isinstance(module, torch.jit.ScriptModule):
        return "A TorchScript module is a program: pass the module that it was made of."
    if not isinstance(module, nn.Module):
        return (
            f"A torch {kind} is not a model: pass an nn.Linear, an nn.Sequential or a state_dict."
        )
    if kind in _NORMALISE_ROWS:
        return f"{name} is not linear: {kind} divides each row by its own deviation."
    if isinstance(module, LazyModuleMixin):
        return f"{name} is not initialised: call it on a batch, from which {kind} takes its shape."
    if isinstance(module, (*_LAYERS, nn.Sequential)):
        return (
            f"{name} has a forward of its own or hooks, so that what it computes is not known: "
            "take them off, or pass a plain nn.Linear."
        )
    if type(module).__module__.startswith("torch.nn.modules."):
        return (
            f"{name} is a {kind}: a linear model is an nn.Linear, after BatchNorm1d layers at most."
        )
    inner = [key for key, child in module.named_modules() if isinstance(child, nn.Linear)]
    such_as = f", such as its {inner[0]}" if inner else ""
    return (
        f"{name} is a {kind}, whose forward may compute anything: pass its nn.Linear or "
        f"nn.Sequential{such_as}; or write it with torch.onnx.export and pass that file."
    )


def _num_inputs(layer: nn.Module) -> int | None:
    if isinstance(layer, nn.Linear):
        return layer.in_features
    return layer.num_features if isinstance(layer, nn.BatchNorm1d) else None


def _through(layer: nn.Module, values: Values, name: str) -> Values:
    if isinstance(layer, nn.Linear):
        mixed = values.through(_float64(layer.weight, f"weight of {name}"))
        return mixed if layer.bias is None else mixed.plus(_float64(layer.bias, f"bias of {name}"))
    if isinstance(layer, nn.BatchNorm1d):
        return _normalised(layer, values, name)
    if isinstance(layer, nn.Dropout) and layer.training:
        raise ModelError(f"{name} is in training mode and drops values: call .eval() first.")
    if isinstance(layer, nn.Flatten) and layer.start_dim != 1:
        raise ModelError(f"{name} joins rows; flatten from dimension 1 on.")
    return values


def _normalised(layer: nn.BatchNorm1d, values: Values, name: str) -> Values:
    if layer.training or layer.running_mean is None or layer.running_var is None:
        raise ModelError(
            f"{name} normalises by the batch at hand, so that a row's prediction depends on its "
            "neighbours: call .eval(), and keep track_running_stats=True."
        )
    tensors = {"mean": layer.running_mean, "variance": layer.running_var}
    tensors |= {"gain": layer.weight, "shift": layer.bias} if layer.affine else {}
    numbers = {key: _float64(tensor, f"{key} of {name}") for key, tensor in tensors.items()}
    return batch_normalized(values, **numbers, epsilon=layer.eps)


def _float64(tensor: Any, name: str) -> Float64Array:
    if not isinstance(tensor, torch.Tensor):
        return arrays.as_float64(tensor, name)
    if is_lazy(tensor):
        raise ModelError(f"{name} is not initialised: call its module on a batch first.")
    if not tensor.dtype.is_floating_point or tensor.layout != torch.strided or tensor.is_meta:
        raise ModelError(f"{name} is {tensor.dtype}, {tensor.layout}: real numbers are needed.")
    # A view may repeat a few stored numbers without end.
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ModelError(f"{name} is a view that repeats its numbers: pass a copy.")
    converted: Float64Array = tensor.detach().cpu().to(torch.float64).resolve_neg().numpy()
    return converted
