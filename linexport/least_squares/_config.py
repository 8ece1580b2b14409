"""Settings of least squares."""

from typing import Literal, TypeAlias

from linexport._settings import setting, settings

__all__ = ["LeastSquaresConfig", "RankDeficient"]

RankDeficient: TypeAlias = Literal["error", "minimum-norm"]


@settings
class LeastSquaresConfig:
    """What least squares minimizes, and how."""

    l2: float = setting(
        default=0.0,
        minimum=0,
        help="Ridge penalty, as in Ridge: of ||y - X w - b||**2 + l2 ||w||**2, in target units "
        "squared per squared raw coefficient.",
    )
    intercept: bool = setting(default=True, help="With a bias b, which is never penalized.")
    rank_deficient: RankDeficient = setting(
        default="error",
        help="What to do with linearly dependent features: stop, or take the shortest of all w (in "
        "raw units) that fit equally well.",
    )
    single_pass: bool = setting(
        default=False,
        flag="",
        help="Sum up carefully from the first row on, which is slower, so that the rows are read "
        "only once: for a source that cannot be read again.",
    )
