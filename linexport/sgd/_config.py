"""Settings of minibatch SGD."""

import math
from dataclasses import dataclass
from typing import Literal

from linexport.errors import ConfigError
from linexport.sgd._devices import check_device_name

__all__ = ["SGDConfig"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SGDConfig:
    """Settings of minibatch SGD; what is None is chosen, what is given is kept."""

    epochs: int | None = None
    """Passes over the rows. Chosen: 3 as the textbook; else as many as it takes to arrive."""
    batch_size: int | None = None
    """Rows per step. Chosen: 10 as the textbook; else growing until it is all rows."""
    learning_rate: float | None = None
    """Chosen: 0.03 as the textbook; else from the spectrum of the features."""
    momentum: float | None = None
    """Chosen: 0 as the textbook; else from the spectrum, once a batch holds all rows."""
    weight_decay: float = 0.0
    """As in torch.optim.SGD: weight and bias times this are added to their gradients. It moves the
    optimum that SGD arrives at."""
    standardize: bool | None = None
    """Scale features and targets to mean 0 and variance 1 for training. Chosen: yes, but for
    synthetic data."""
    seed: int = 0
    """Of the weights to start from and of the order of the rows."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps; auto is CUDA where there is one, else the CPU."""
    dtype: Literal["float32", "float64"] | None = None
    """Precision to train in. Chosen: the artifact's as the textbook; else float64, or float32 on
    mps."""

    def __post_init__(self) -> None:
        _check_count("epochs", self.epochs)
        _check_count("batch_size", self.batch_size)
        # Written so that NaN fails too.
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise ConfigError(f"learning_rate must be positive, got {self.learning_rate}.")
        if self.momentum is not None and not 0 <= self.momentum < 1:
            raise ConfigError(f"momentum must be at least 0 and below 1, got {self.momentum}.")
        if not 0 <= self.weight_decay < math.inf:
            raise ConfigError(f"weight_decay must be 0 or positive, got {self.weight_decay}.")
        if not (isinstance(self.seed, int) and 0 <= self.seed < 2**63):
            raise ConfigError(f"seed must be an integer from 0 to 2**63 - 1, got {self.seed!r}.")
        if self.dtype not in (None, "float32", "float64"):
            raise ConfigError(f"dtype must be float32 or float64, got {self.dtype!r}.")
        check_device_name(self.device)


def _check_count(name: str, count: int | None) -> None:
    if count is not None and not (isinstance(count, int) and count >= 1):
        raise ConfigError(f"{name} must be a whole number of at least 1, got {count!r}.")
