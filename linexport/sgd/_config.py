"""Settings of minibatch SGD."""

import re
from typing import TYPE_CHECKING, ClassVar, Literal

from linexport._settings import setting, settings
from linexport.errors import ConfigError

if TYPE_CHECKING:
    from linexport.fit import Fit, OnEpoch
    from linexport.rows import Ranks, Rows

_DEVICES = re.compile(r"auto|cpu|cuda(:[0-9]+)?|mps")


@settings
class SGDConfig:
    """Minibatch gradient descent with constant settings, by default the textbook's."""

    name: ClassVar[str] = "sgd"
    streams: ClassVar[bool] = False
    exact: ClassVar[bool] = False

    epochs: int = setting(default=3, minimum=1, help="Passes over the rows.")
    batch_size: int | None = setting(
        default=None,
        minimum=1,
        help="Rows per step; 10 if not given. A DataLoader brings its own batches.",
    )
    learning_rate: float = setting(default=0.03, above=0, help="Step size.")
    momentum: float = setting(
        default=0.0, minimum=0, below=1, help="Part of the last step that is taken again."
    )
    weight_decay: float = setting(
        default=0.0,
        minimum=0,
        help="L2 penalty, as in torch.optim.SGD: weight and bias times this are added to their "
        "gradients.",
    )
    standardize: bool | None = setting(
        default=None,
        help="Scale features and targets to mean 0 and variance 1 for training; the fit is in "
        "their own units all the same. If not given: tables and arrays are scaled; tensors, a "
        "DataLoader and synthetic data are not.",
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
    precision: Literal["float32", "float64"] | None = setting(
        default=None,
        help="To train in. If not given: the features' own for tensors, a DataLoader and synthetic "
        "data, else float64; float32 on mps.",
    )

    def __post_init__(self) -> None:
        if not _DEVICES.fullmatch(self.device):
            raise ConfigError(
                f"device must be auto, cpu, cuda, cuda:N or mps, got {self.device!r}."
            )

    def fit(self, rows: "Rows", *, ranks: "Ranks", on_epoch: "OnEpoch | None") -> "Fit":
        """Train on rows in memory.

        Raises:
            ConfigError: If a batch size is given beside a DataLoader's.
            DataError: If a column varies too little to be standardized.
            TrainingError: If it diverges.
            UnavailableError: If there is no such device, or it cannot compute in the precision.
        """
        from linexport.sgd._solver import fit_sgd  # it imports torch

        return fit_sgd(self, rows, ranks=ranks, on_epoch=on_epoch)
