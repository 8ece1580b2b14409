"""Settings of minibatch SGD."""

import re
from typing import Literal

from linexport._settings import setting, settings
from linexport.errors import ConfigError

__all__ = ["SGDConfig", "check_device_name"]

_DEVICES = re.compile(r"auto|cpu|cuda(:[0-9]+)?|mps")


@settings
class SGDConfig:
    """Settings of minibatch SGD; what is None is chosen, what is given is kept."""

    epochs: int | None = setting(
        default=None,
        minimum=1,
        help="Passes over the rows. Chosen: 3 as the textbook; else as many as it takes to arrive.",
    )
    batch_size: int | None = setting(
        default=None,
        minimum=1,
        help="Rows per step. Chosen: 10 as the textbook; else growing until it is all rows.",
    )
    learning_rate: float | None = setting(
        default=None,
        above=0,
        help="Step size. Chosen: 0.03 as the textbook; else from the spectrum of the features.",
    )
    momentum: float | None = setting(
        default=None,
        minimum=0,
        below=1,
        help="Part of the last step that is taken again. Chosen: 0 as the textbook; else from the "
        "spectrum, once a batch holds all rows.",
    )
    weight_decay: float = setting(
        default=0.0,
        minimum=0,
        help="L2 penalty, as in torch.optim.SGD: weight and bias times this are added to their "
        "gradients. It moves the optimum that SGD arrives at.",
    )
    standardize: bool | None = setting(
        default=None,
        help="Scale features and targets to mean 0 and variance 1 for training. Chosen: yes, but "
        "for synthetic data.",
    )
    seed: int = setting(
        default=0,
        minimum=0,
        help="Of the weights to start from and of the order of the rows.",
    )
    device: str = setting(
        default="auto",
        help="auto, cpu, cuda, cuda:N or mps; auto is CUDA where there is one, else the CPU.",
    )
    dtype: Literal["float32", "float64"] | None = setting(
        default=None,
        flag="",
        help="Precision to train in. Chosen: the artifact's as the textbook; else float64, or "
        "float32 on mps.",
    )

    def __post_init__(self) -> None:
        check_device_name(self.device)


def check_device_name(name: str) -> None:
    """Check how a device is written, not whether it is there.

    Raises:
        ConfigError: If it is not auto, cpu, cuda, cuda:N or mps.
    """
    if not _DEVICES.fullmatch(name):
        raise ConfigError(f"device must be auto, cpu, cuda, cuda:N or mps, got {name!r}.")
