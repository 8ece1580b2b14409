"""Settings of predicting a table."""

from typing import Literal, TypeAlias

from linexport._settings import setting, settings

CheckRange: TypeAlias = Literal["off", "warn", "error"]
"""What becomes of a row outside the range of the training data, where a linear model extrapolates:
nothing that was proven about the fit holds there, however exactly the prediction is computed."""
Missing: TypeAlias = Literal["error", "nan"]
"""Whether a row that lacks a value is refused, or predicted as NaN."""


@settings
class PredictConfig:
    """How a table is predicted and written; what `predict_table` takes by these names."""

    part_format: Literal["csv", "tsv", "parquet"] | None = setting(
        default=None, flag="--format", help="Of parts; that of each input if not given."
    )
    resume: bool = setting(default=False, help="Leave parts as they are that are done already.")
    num_threads: int | None = setting(
        default=1,
        minimum=1,
        flag="--threads",
        help="Of onnxruntime, at most all cores; reading and writing take others.",
    )
    names: tuple[str, ...] | None = setting(
        default=None,
        flag="--name",
        metavar="NAME",
        help="Of the prediction's column, once for each target; if not given the target's, or "
        "predicted_TARGET beside a column that is kept.",
    )
    interval: float | None = setting(
        default=None,
        above=0,
        below=1,
        metavar="LEVEL",
        help="Add columns NAME_lower and NAME_upper, between which the truth lies with this "
        "probability, where the fit knows its uncertainty.",
    )
    missing: Missing = setting(
        default="error",
        help="What to do with a row that lacks a value: stop, or predict it as NaN.",
    )
    check_range: CheckRange = setting(
        default="off",
        help="What to do with a row outside the training range: nothing, say so, or stop.",
    )


@settings
class EvaluateConfig:
    """How predictions are held against the truth; what `evaluate` takes by these names."""

    missing: Missing = setting(
        default="error",
        help="What to do with a row that lacks a feature: stop, or leave it out.",
    )
