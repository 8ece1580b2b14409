"""Where training runs: a device's name to a torch.device that is really there."""

import torch

from linexport.errors import UnavailableError
from linexport.rows import ONE, Ranks
from linexport.sgd._config import check_device_name

__all__ = ["resolve_device"]


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
