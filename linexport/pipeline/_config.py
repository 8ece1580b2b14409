"""Settings of how rows are fitted, and of what is written."""

from collections.abc import Iterable
from typing import Literal

from linexport import formats
from linexport._asked import asked
from linexport._settings import setting, settings
from linexport.encoding import Encoding
from linexport.errors import ConfigError
from linexport.formats import Format
from linexport.parity import ProbeConfig

__all__ = ["ExportConfig", "FitConfig"]


def _solvers() -> Iterable[str]:
    from linexport.training import SOLVERS  # which predicting does not need

    return SOLVERS


@settings
class ExportConfig(ProbeConfig):
    """What to write, and how thoroughly to check it."""

    formats: tuple[str, ...] = setting(
        default=formats.DEFAULT_FORMATS,
        choices=lambda: formats.FORMATS,
        flag="--format",
        help="Artifacts to write.",
    )
    dtype: Literal["auto", "float32", "float64"] = setting(
        default="auto",
        help="Of what the artifacts take and give; auto takes float32 where its rounding is small "
        "beside what the model explains.",
    )
    accumulate: Literal["auto", "float32", "float64"] = setting(
        default="auto",
        help="In which they take the sum: float64 makes float32 predictions correctly rounded but "
        "for near ties, where the runtime has it. auto takes float32 where that is good enough.",
    )
    form: Literal["auto", "folded", "centred"] = setting(
        default="auto",
        help="Fold the features' mean into the bias or subtract it; auto takes the more exact.",
    )
    opset_version: int | None = setting(
        default=None,
        flag="--opset",
        help="Of the ONNX file; 13 if not given, which every runtime in use takes.",
    )
    ir_version: int | None = setting(default=None, help="Of the ONNX file; 7 if not given.")

    def __post_init__(self) -> None:
        if (self.dtype, self.accumulate) == ("float64", "float32"):
            raise ConfigError(
                f"A float64 model takes its sum in float64: use {asked(dtype='float32')}, or leave "
                "accumulate out."
            )
        chosen_formats(self)


def chosen_formats(config: ExportConfig, encoding: Encoding | None = None) -> list[Format]:
    """Return the formats to write, with their settings and what makes the model's features.

    Raises:
        ConfigError: If one cannot be written so, such as an opset that there is not.
    """
    return formats.configured(
        config.formats,
        opset_version=config.opset_version,
        ir_version=config.ir_version,
        encoding=encoding,
    )


@settings
class FitConfig:
    """How rows are fitted; what `train_and_export` takes by these names."""

    solver: str | None = setting(
        default=None,
        choices=_solvers,
        help="lstsq, least squares, finds the optimum, with its uncertainty; sgd is minibatch "
        "gradient descent. If not given: lstsq for tables, sgd for the textbook's data.",
    )
    test_fraction: float = setting(
        default=0.0,
        minimum=0,
        below=1,
        help="Part of the rows kept out of training, for honest metrics.",
    )
    seed: int = setting(default=0, minimum=0, help="Of every random choice.")
