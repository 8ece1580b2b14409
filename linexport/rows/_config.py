"""Settings of synthetic data."""

from linexport._settings import setting, settings

__all__ = ["SyntheticConfig"]


@settings
class SyntheticConfig:
    """How many rows are drawn, and how; what `synthesize` takes by these names."""

    num_rows: int = setting(default=1000, minimum=1, help="Rows to draw.")
    noise_std: float = setting(
        default=0.01, minimum=0, help="Standard deviation of what is added to the target."
    )
    seed: int = setting(default=0, minimum=0, help="Of the random numbers.")
