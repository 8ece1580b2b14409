"""Settings of least squares."""

from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from linexport._settings import setting, settings

if TYPE_CHECKING:
    from linexport.fit import Fit, OnEpoch
    from linexport.rows import Ranks, Rows

RankDeficient: TypeAlias = Literal["error", "minimum-norm"]


@settings
class LeastSquaresConfig:
    """What least squares minimizes, and how."""

    name: ClassVar[str] = "lstsq"
    streams: ClassVar[bool] = True
    exact: ClassVar[bool] = True

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

    def fit(self, rows: "Rows", *, ranks: "Ranks", on_epoch: "OnEpoch | None") -> "Fit":  # noqa: ARG002
        """Find the optimum, to the last digit.

        Raises:
            DataError: If there are no rows.
            TrainingError: If the features are linearly dependent and that was not allowed, or sums
                of squares are beyond float64.
        """
        from linexport.least_squares._solver import fit_least_squares

        return fit_least_squares(rows, self, ranks=ranks)
