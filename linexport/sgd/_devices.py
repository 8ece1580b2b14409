"""Where training runs: a device's name to a torch.device that is really there."""

import re

import torch

from linexport.errors import ConfigError, UnavailableError
from linexport.rows import ONE, Ranks

__all__ = ["check_device_name", "resolve_device"]

_NAMES = re.compile(r"auto|cpu|cuda(:[0-9]+)?|mps")


def check_device_name(name: str) -> None:
    """Check how a device is written, not whether it is there.

    Raises:
        ConfigError: If it is not auto, cpu, cuda, cuda:N or mps.
    """
    if not (isinstance(name, str) and _NAMES.fullmatch(name)):
        raise ConfigError(f"device must be auto, cpu, cuda, cuda:N or mps, got {name!r}.")


def resolve_device(name: str, ranks: Ranks = ONE) -> torch.device:
    """Return the device to train on.

    `auto` is the first CUDA device, or else the CPU. It is never mps, which has no float64 and so
    cannot come as close to the optimum: mps is there for who asks for it. `auto` and `cuda` give
    each rank of a machine a device of its own; where there are fewer, `auto` is the CPU.

    Raises:
        ConfigError: If the name is none of auto, cpu, cuda, cuda:N and mps.
        UnavailableError: If this machine, or this build of PyTorch, has no such device.
    """
    check_device_name(name)
    if name == "auto":
        enough = torch.cuda.is_available() and torch.cuda.device_count() >= ranks.local_size
        return torch.device("cuda", ranks.local_rank) if enough else torch.device("cpu")
    if name.startswith("cuda"):
        return _cuda(int(name.partition(":")[2] or ranks.local_rank))
    if name == "mps" and not torch.backends.mps.is_available():
        raise UnavailableError(
            "Device mps is not available: it needs PyTorch on an Apple GPU. Use --device cpu."
        )
    return torch.device(name)


def _cuda(index: int) -> torch.device:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index < count:
        return torch.device("cuda", index)
    seen = (
        f"only {count} CUDA device{'s are' if count > 1 else ' is'}"
        if count
        else "no CUDA device is"
    )
    raise UnavailableError(
        f"Device cuda:{index} is not available: {seen} visible to PyTorch {torch.__version__}. "
        "Use --device cpu."
    )
