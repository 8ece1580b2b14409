"""Settings of synthetic data, and of what becomes of rows that lack a value."""

from typing import Literal, TypeAlias

from linexport._settings import setting, settings
from linexport.errors import ConfigError

MissingInFit: TypeAlias = Literal["error", "drop"]
"""Whether a row that lacks a value is refused, or left out of a fit."""


@settings
class SyntheticConfig:
    """How many rows are drawn, and how; what `synthesize` takes by these names."""

    num_rows: int = setting(default=1000, minimum=1, help="Rows to draw.")
    noise_std: float = setting(
        default=0.01, minimum=0, help="Standard deviation of what is added to the target."
    )
    seed: int = setting(default=0, minimum=0, help="Of the random numbers.")


def check_missing(missing: str) -> None:
    """Raise ConfigError unless it is one of the two."""
    if missing not in ("error", "drop"):
        raise ConfigError(f"missing must be 'error' or 'drop', got {missing!r}.")
