"""What rows must have for a fit: enough of them, and weights that can be added up."""

from linexport._asked import asked
from linexport.errors import TrainingError
from linexport.least_squares._config import LeastSquaresConfig
from linexport.rows import Rows


def weights_beyond_float64(rows: Rows) -> TrainingError:
    """Say that sums overflow, whatever the frame."""
    return TrainingError(
        f"{rows.source}: the rows' weights are too large or too far apart for float64 sums; divide "
        "them by the largest."
    )


def require_enough(rows: Rows, num_rows: int, config: LeastSquaresConfig) -> None:
    """Check that there are as many rows as coefficients, or that it does not matter.

    Raises:
        TrainingError: If not.
    """
    few = too_few_rows(rows, num_rows, config)
    if few and config.rank_deficient == "error":
        if num_rows + rows.rows_kept_out >= num_coefficients(rows, config):
            raise TrainingError(f"{few} A smaller {asked(test_fraction=...)} keeps out fewer.")
        raise TrainingError(
            f"{few} Use fewer with {asked(exclude=...)}, or a ridge, as with "
            f"{asked(solver='lstsq', l2=1)}, or "
            f"{asked(solver='lstsq', rank_deficient='minimum-norm')}."
        )


def too_few_rows(rows: Rows, num_rows: int, config: LeastSquaresConfig) -> str:
    """Say so where there are fewer rows than coefficients that no ridge determines, else nothing.

    Args:
        rows: All of them, read once.
        num_rows: How many count.
        config: What is fitted.
    """
    needed = num_coefficients(rows, config)
    if num_rows >= needed or config.l2 > 0:
        return ""
    left = f" after {rows.rows_dropped} were left out" if rows.rows_dropped else ""
    if rows.rows_kept_out:
        left += f"{' and' if left else ' after'} {rows.rows_kept_out} were kept out for the test"
    of_bias = ", one of them for the bias" if config.intercept else ""
    return (
        f"{rows.source}: There are too few rows{left}: {num_rows}, where {len(rows.features)} "
        f"features take {needed} at least{of_bias}."
    )


def num_coefficients(rows: Rows, config: LeastSquaresConfig) -> int:
    """Return how many each target takes."""
    return len(rows.features) + config.intercept
