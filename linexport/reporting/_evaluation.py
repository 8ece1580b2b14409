"""Predictions beside the truth, as text."""

from linexport.predicting import Evaluation, Measured, TargetEvaluation
from linexport.reporting._table import Block, Table, number

__all__ = ["evaluation_blocks"]


def evaluation_blocks(evaluation: Evaluation) -> list[Block]:
    """A table of metrics for each target, beside a constant guess, and one of residuals."""
    blocks: list[Block] = []
    for name, target in evaluation.targets.items():
        left_out = evaluation.rows_read - target.rows
        rest = f", {left_out} left out for want of a value" if left_out else ""
        blocks += [
            f"'{name}': {target.rows} rows of {evaluation.source}{rest}",
            Table(["", "value", "std. error", "always guessing the mean"], _metrics(target)),
            *_residuals(target),
        ]
    return blocks


def _metrics(target: TargetEvaluation) -> list[list[str]]:
    rows = [
        _row("RMSE", target.rmse, number(target.constant_rmse)),
        _row("MAE", target.mae),
        _row("bias (prediction less truth)", target.bias),
    ]
    return [*rows, *([] if target.r2 is None else [_row("R2", target.r2, "0")])]


def _row(name: str, measured: Measured, guess: str = "") -> list[str]:
    return [name, number(measured.value), number(measured.standard_error, digits=3), guess]


def _residuals(target: TargetEvaluation) -> list[Block]:
    found = target.residuals
    values = (
        found.minimum, found.lower_quartile, found.median, found.upper_quartile, found.maximum,
    )  # fmt: skip
    of = "" if found.rows_sampled == target.rows else f", quartiles of {found.rows_sampled} rows"
    header = ["smallest", "lower quartile", "median", "upper quartile", "largest"]
    return [
        f"Residuals (truth less prediction{of})",
        Table(header, [[number(value) for value in values]]),
    ]
