"""Settings of synthetic data, and of what becomes of the rows of a table."""

from collections.abc import Iterable
from typing import Literal

from linexport._asked import asked
from linexport._settings import setting, settings
from linexport.errors import ConfigError
from linexport.fit import WeightsKind

FILLS = ("mean", "median", "zero")
"""What stands for a missing number."""
LEVELS = ("level", "reference")
"""What a missing category is."""
REFUSALS = ("drop", "error")
"""Rows that lack a value are left out, or refused."""


@settings
class SyntheticConfig:
    """How many rows are drawn, and how; what `synthesize` takes by these names."""

    num_rows: int = setting(default=1000, minimum=1, help="Rows to draw.")
    noise_std: float = setting(
        default=0.01, minimum=0, help="Standard deviation of what is added to the target."
    )
    seed: int = setting(default=0, minimum=0, help="Of the random numbers.")


@settings
class DataConfig:
    """What is done with the rows of a table; what `read_data` takes by these names.

    Levels and fills are found in the rows, and then stay.
    """

    categorical: tuple[str, ...] | None = setting(
        default=None,
        metavar="NAME[,NAME...]|auto",
        help="Columns whose values are levels, each a feature of 0 and 1; auto for those of text "
        "and truth values with at most 50, and fewer than rows.",
    )
    reference: tuple[str, ...] | None = setting(
        default=None,
        metavar="NAME=LEVEL|none",
        help="The level that the others are compared with; the most frequent if not given, none "
        "for a feature of each level, which takes a ridge.",
    )
    missing: tuple[str, ...] = setting(
        default=("error",),
        metavar="[NAME=]WHAT",
        help="A missing value: error, drop (its row), for numbers mean, median or zero, for "
        "categories level (of its own) or reference; of one column or of all.",
    )
    missing_indicator: bool = setting(
        default=False,
        help="One more feature of 0 and 1 for each column whose missing values are filled.",
    )
    unknown: Literal["error", "reference"] = setting(
        default="error", help="What becomes of a level that occurs only when predicting."
    )
    date: tuple[str, ...] | None = setting(
        default=None,
        metavar="NAME=days-since:DATE",
        help="A column of dates, as the days since one, such as 2020-01-01.",
    )
    weights_kind: WeightsKind = setting(
        default="precision",
        help="What weights say of a row: precision, one over the variance of its error; frequency, "
        "how often it occurred. Coefficients are the same; p-values and intervals are not.",
    )

    def __post_init__(self) -> None:
        for value in self.missing:
            what = value.rpartition("=")[2]
            if what not in (*FILLS, *LEVELS, *REFUSALS):
                raise ConfigError(
                    f"missing must be {_either((*REFUSALS, *FILLS, *LEVELS))}, got {what!r}."
                )

    def require_weights(self, weights: str | None) -> None:
        """Refuse a kind of weights where there are none."""
        if weights is None and self.weights_kind != "precision":
            raise ConfigError(
                f"The weights' kind is given, but no weights: pass {asked(weights=...)} too."
            )

    @property
    def encodes(self) -> bool:
        """Whether anything is asked for that numbers as they are do not have."""
        whats = {value.rpartition("=")[2] for value in self.missing}
        return bool(
            self.categorical or self.reference or self.date or self.missing_indicator
        ) or not whats <= {*REFUSALS}


def _either(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}"
