"""A torch module, a program, a checkpoint, or tensors by name.

What a module computes is decided by the graph of what its forward does, never by trying it. Layers
whose forward is PyTorch's own need no graph, as their class says what they do: to import what makes
graphs takes some seconds, which nearly all linear models are spared so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList

from linexport._arrays import Float64Array
from linexport.errors import ModelError
from linexport.formats import Centred, CentredInFloat64, Folded, FoldedInFloat64
from linexport.numerics import Values, batch_normalized, input_columns, linear_model
from linexport.sources import _arrays as arrays
from linexport.sources._checkpoints import state_dict_in, state_dict_of
from linexport.sources._reading import Imported
from linexport.sources._registry import is_checkpoint
from linexport.sources._torch_program import read_program

__all__ = ["decode", "read"]

_LAYERS = (nn.Linear, nn.BatchNorm1d, nn.Identity, nn.Dropout, nn.Flatten)
_OWN = (Centred, CentredInFloat64, Folded, FoldedInFloat64)
_REMOVED = ("weight_norm", "spectral_norm")
"""What torch.nn.utils puts on by a hook and takes off by a function called remove_..."""


def read(thing: Any, *, num_features: int = 0) -> Imported:
    """Read a model from a module, a program, or a state_dict.

    Args:
        thing: Any of these.
        num_features: D, where a module might not tell it; 0 where nobody does.

    Raises:
        ModelError: If it is none of these, or not linear.
    """
    if isinstance(thing, Mapping):
        return _read_tensors(state_dict_in(thing) if is_checkpoint(thing) else thing)
    if type(thing) in _OWN and _is_plain(thing, type(thing)):
        return _read_own(thing)
    if isinstance(thing, ExportedProgram):
        return read_program(thing)
    module = _usable(thing)
    layers = list(_layers(module, "the module"))
    for name, layer in layers:
        _require_forward(layer, name)
    sizes = [size for _, layer in layers if (size := _num_inputs(layer))]
    if sizes and all(_is_known(layer) for _, layer in layers):
        return _read_layers(layers, sizes[0])
    return _read_forward(module, num_features)


def _read_tensors(tensors: Mapping[str, Any]) -> Imported:
    return arrays.read_layer(tensors, "PyTorch state_dict", _float64)


def decode(data: bytes) -> Imported:
    """Read what torch.save wrote: a state_dict, or a checkpoint with one in it.

    Raises:
        ArtifactError: If loading it might run code, or it holds anything else.
        ModelError: If its tensors are not those of one linear layer.
    """
    return _read_tensors(state_dict_of(data))


def _read_own(module: nn.Module) -> Imported:
    _require_settled(module, "the module")
    found = arrays.read(module.state_dict(), "linexport module", _float64)
    if isinstance(module, CentredInFloat64 | FoldedInFloat64):
        return replace(found, model=replace(found.model, dtype=np.dtype(np.float32)))
    return found


def _usable(thing: Any) -> nn.Module:
    """Refuse what is no module, or would compute otherwise than it does when it predicts."""
    if isinstance(thing, torch.jit.ScriptModule):
        raise ModelError(
            "A TorchScript module is a program: pass the module that it was made of; or write it "
            "with torch.onnx.export(..., dynamo=False) and pass that file."
        )
    if not isinstance(thing, nn.Module):
        raise ModelError(
            f"A torch {type(thing).__name__} is not a model: pass an nn.Module, a state_dict, or "
            "what torch.export.export or torch.onnx.export returned."
        )
    module = _unwrapped(thing)
    for path, each in module.named_modules():
        _require_settled(each, f"layer {path} ({type(each).__name__})" if path else "the module")
    return module


def _unwrapped(module: nn.Module) -> nn.Module:
    """Return what torch.compile or a data-parallel wrapper was given, which computes the same.

    Raises:
        ModelError: If the wrapper has a hook, or a forward that is not its kind's.
    """
    if isinstance(module, DataParallel):
        inner, is_plain = module.module, _is_plain(module, DataParallel)
    elif isinstance(module, DistributedDataParallel):
        inner, is_plain = module.module, _is_plain(module, DistributedDataParallel)
    elif type(module).__module__.startswith("torch._dynamo."):
        inner, is_plain = module._orig_mod, _is_compiled(module)  # noqa: SLF001 - no other way
    else:
        return module
    kind = type(module).__name__
    _require_settled(module, f"the {kind}")
    if not is_plain:
        raise ModelError(
            f"The {kind} has a forward of its own, so it may compute otherwise than the module in "
            "it: pass that module."
        )
    return _unwrapped(inner)


def _is_compiled(module: nn.Module) -> bool:
    """Tell whether a forward is the one that torch.compile put there."""
    forward = vars(module).get("forward")
    is_own = getattr(forward, "__self__", None) is module
    return is_own or hasattr(forward, "_torchdynamo_orig_callable")


def _require_settled(module: nn.Module, name: str) -> None:
    if isinstance(module, LazyModuleMixin):
        raise ModelError(f"{name} is not initialised: call it on a batch, whose shape it takes.")
    if type(module).__module__.startswith("torch.ao."):
        raise ModelError(f"{name} is quantized, so it rounds: pass the module that it was made of.")
    hooks = module._forward_hooks or module._forward_pre_hooks  # noqa: SLF001 - no other way to ask
    for hook in hooks.values():
        called = getattr(hook, "__name__", type(hook).__name__)
        raise ModelError(
            f"{name} has a hook ({called}), which may change what it computes: take it off, with "
            f"{_remover(hook)}."
        )
    if isinstance(module, ParametrizationList) and module.training and _may_change(module):
        raise ModelError(f"{name} is in training mode, and may change at each call: call .eval().")
    if isinstance(module, _BatchNorm) and (module.training or module.running_mean is None):
        raise ModelError(
            f"{name} normalises by the batch at hand, so that a row's prediction depends on its "
            "neighbours: call .eval(), and keep track_running_stats=True."
        )
    if isinstance(module, _DropoutNd) and module.training:
        raise ModelError(f"{name} is in training mode and drops values: call .eval() first.")


def _remover(hook: Any) -> str:
    """Say how a hook is taken off, which torch may have put there itself."""
    module, _, room = type(hook).__module__.rpartition(".")
    if module == "torch.nn.utils" and room == "prune":
        return f"torch.nn.utils.prune.remove(layer, '{hook._tensor_name}')"  # noqa: SLF001 - as above
    if module == "torch.nn.utils" and room in _REMOVED:
        return f"torch.nn.utils.remove_{room}(layer, '{hook.name}')"
    return "remove() of what register_forward_hook returned"


def _may_change(parametrized: ParametrizationList) -> bool:
    """Tell whether a weight may be another one next time, as that of spectral_norm in training."""
    return any(True for _ in parametrized.buffers()) or not all(map(_is_of_torch, parametrized))


def _layers(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """Yield the layers in the order in which they compute, each with what to call it."""
    if isinstance(module, nn.Sequential) and _is_plain(module, nn.Sequential):
        for key, layer in module.named_children():
            yield from _layers(layer, f"layer {key} ({type(layer).__name__})")
    else:
        yield name, module


def _require_forward(layer: nn.Module, name: str) -> None:
    """Refuse what holds layers and does not say what is computed with them, as a ModuleDict."""
    if type(layer).forward is nn.Module.forward and "forward" not in vars(layer):
        what = type(layer).__name__ if name == "the module" else name
        raise ModelError(
            f"{what} has no forward, and so computes nothing: pass the layer in it that is the "
            "model, or a module whose forward says what is computed."
        )


def _is_known(layer: nn.Module) -> bool:
    """Tell whether a layer computes what its class says."""
    if isinstance(layer, nn.Flatten) and layer.start_dim != 1:
        return False
    return any(isinstance(layer, kind) and _is_plain(layer, kind) for kind in _LAYERS)


def _is_plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Tell whether a module computes what its kind does, and nothing else."""
    return (
        type(module).forward is kind.forward
        and type(module).__call__ is nn.Module.__call__
        and "forward" not in vars(module)
    )


def _read_forward(module: nn.Module, num_features: int) -> Imported:
    """Read a module by the graph of its forward."""
    for name, tensor in module.state_dict().items():
        # A layer may keep anything beside its tensors, by get_extra_state.
        if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
            _float64(tensor, name)
    from linexport.sources._torch_export import exported  # takes a second to import

    kind = type(module).__name__
    found = read_program(exported(module, num_features), f"PyTorch {kind}")
    if any(each.training and not _is_of_torch(each) for each in module.modules()):
        raise ModelError(f"{kind} is in training mode, and may predict otherwise: call .eval().")
    return found


def _is_of_torch(module: nn.Module) -> bool:
    return type(module).__module__.startswith("torch.nn.")


def _read_layers(layers: list[tuple[str, nn.Module]], num_features: int) -> Imported:
    values: Values = input_columns(num_features)
    for name, layer in layers:
        expected = _num_inputs(layer)
        if expected not in (None, values.width):
            raise ModelError(f"{name} takes {expected} values, but is given {values.width}.")
        values = _through(layer, values, name)
    kinds = [type(layer).__name__ for _, layer in layers]
    of = kinds[0] if len(layers) == 1 else f"Sequential of {', '.join(kinds)}"
    return Imported(model=linear_model(values, num_features), source=f"PyTorch {of}", values=values)


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
    return values


def _normalised(layer: nn.BatchNorm1d, values: Values, name: str) -> Values:
    tensors = {"mean": layer.running_mean, "variance": layer.running_var}
    tensors |= {"gain": layer.weight, "shift": layer.bias} if layer.affine else {}
    numbers = {key: _float64(tensor, f"{key} of {name}") for key, tensor in tensors.items()}
    return batch_normalized(values, **numbers, epsilon=layer.eps)


def _float64(tensor: Any, name: str) -> Float64Array:
    if not isinstance(tensor, torch.Tensor):
        return arrays.as_float64(tensor, name)
    if is_lazy(tensor):
        raise ModelError(f"{name} is not initialised: call its module on a batch first.")
    if tensor.is_meta:
        raise ModelError(f"{name} is on the meta device, which holds no numbers: load them first.")
    if not tensor.dtype.is_floating_point or tensor.layout != torch.strided:
        raise ModelError(f"{name} is {tensor.dtype}, {tensor.layout}: real numbers are needed.")
    # A view may repeat a few stored numbers without end.
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ModelError(f"{name} is a view that repeats its numbers: pass a copy.")
    converted: Float64Array = tensor.detach().cpu().to(torch.float64).resolve_neg().numpy()
    return converted
