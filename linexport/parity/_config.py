"""Settings of the parity check."""

from linexport._settings import setting, settings

__all__ = ["DEFAULT_PROBE_ROWS", "ProbeConfig"]

DEFAULT_PROBE_ROWS = 1024


@settings
class ProbeConfig:
    """How thoroughly to check."""

    probe_rows: int = setting(
        default=DEFAULT_PROBE_ROWS,
        minimum=1,
        help="Rows of the largest batch that parity is checked with.",
    )
    probe_seed: int = setting(default=0, minimum=0, help="Of the random rows of that check.")
