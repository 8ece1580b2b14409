"""Least squares to the last digit: one pass, one small factor, a proven distance from the optimum.

N rows, D features, K targets. The objective is ||y - X w - b||**2 + l2 ||w||**2, with w in raw
feature units and the intercept b not penalized: that of scikit-learn's Ridge. docs/least-squares.md
derives the method, its error bounds and the rule by which it reads the rows again.
"""

import math
from dataclasses import replace

import numpy as np

from linexport.columns import Column
from linexport.errors import TrainingError
from linexport.fit import Fit, FitRecord, OptimumDistance, coefficients_by_target
from linexport.least_squares._config import LeastSquaresConfig, RankDeficient
from linexport.least_squares._dependence import combinations
from linexport.least_squares._normal_equations import normal_equations
from linexport.least_squares._optimum import Optimum, describe_optimum
from linexport.least_squares._passes import Combine, Solved, fit_rows
from linexport.least_squares._solution import Solution
from linexport.model import LinearModel
from linexport.rows import Rows

__all__ = ["Optimum", "fit_least_squares", "optimum"]


def optimum(
    rows: Rows,
    *,
    intercept: bool = True,
    l2: float = 0.0,
    rank_deficient: RankDeficient = "error",
    combine: Combine | None = None,
) -> Optimum:
    """Find the least-squares optimum; `combine` as in `fit_least_squares`.

    Raises:
        ConfigError: If l2 is negative.
        DataError: If there are no rows, or a weight is negative or not finite.
        TrainingError: If the features are linearly dependent and that was not allowed, or sums of
            squares are beyond float64.
    """
    config = LeastSquaresConfig(l2=l2, intercept=intercept, rank_deficient=rank_deficient)
    return _fit(rows, config, combine=combine)[1]


def fit_least_squares(
    rows: Rows,
    config: LeastSquaresConfig,
    *,
    combine: Combine | None = None,
) -> Fit:
    """Fit a linear regression by least squares.

    The model is centred, so that its numbers are the optimum's to the last bit: weight, mean, and
    the prediction at the mean. Its record has no metrics: these need another pass.

    Args:
        rows: Features, targets and, as an optional third array of a batch, weights: row i counts
            weight[i] times. Float32 rows are added up in float64.
        config: What to minimize.
        combine: Merges the factors of several processes that each read a part of the rows; must
            return the same factor in each.

    Raises:
        DataError: If there are no rows, or a weight is negative or not finite.
        TrainingError: If the features are linearly dependent and that was not allowed, or sums of
            squares are beyond float64.
    """
    from linexport.least_squares._statistics import (
        fit_statistics,  # with scipy, which SGD does not need
    )

    fit, best = _fit(rows, config, combine=combine)
    model = _model(fit, best, rows.features, rows.targets, config)
    names = [column.name for column in rows.features]
    warnings: tuple[str, ...] = ()
    if len(fit.dependent):
        warnings = (
            f"{_dependence(fit, rows, config)} Of all coefficients that fit equally well, the "
            "shortest in raw units were chosen; those of these columns mean nothing by themselves.",
        )
    return Fit(
        model=model,
        record=FitRecord(
            solver=config.name,
            rows=best.num_rows,
            coefficients=coefficients_by_target(
                names,
                [column.name for column in rows.targets],
                best.weight.tolist(),
                best.bias.tolist(),
            ),
            optimum={target.name: _distance(best, k) for k, target in enumerate(rows.targets)},
            statistics=fit_statistics(
                best,
                feature_names=names,
                target_names=[column.name for column in rows.targets],
            ),
        ),
        warnings=warnings,
    )


def _fit(
    rows: Rows,
    config: LeastSquaresConfig,
    *,
    combine: Combine | None = None,
) -> tuple[Solved, Optimum]:
    fit = fit_rows(
        rows,
        intercept=config.intercept,
        l2=config.l2,
        combine=combine,
    )
    if len(fit.dependent) and config.rank_deficient == "error":
        raise TrainingError(
            f"{_dependence(fit, rows, config)} {_remedy(fit, rows)}, or use --solver lstsq "
            "--rank-deficient minimum-norm."
        )
    if fit.solution is None:
        raise TrainingError(f"{rows.source}: no feature varies; there is nothing to fit.")
    _check_weights(fit, fit.solution, rows)
    best = describe_optimum(
        fit.factor,
        fit.units,
        fit.solution,
        fit.dependent,
        intercept=config.intercept,
        l2=config.l2,
    )
    _check_squares(fit, best, rows)
    return fit, best


def _check_weights(fit: Solved, solution: Solution, rows: Rows) -> None:
    """Refuse columns whose units are so far apart that a weight between them is no float64."""
    features, unit = solution.equations.features, fit.units.exponent
    targets = solution.equations.targets[: len(rows.targets)]
    weight = solution.weight.high[:, : len(targets)]
    _, exponent = np.frexp(weight)
    exponent = exponent + unit[targets] - unit[features][:, None]
    limits = np.finfo(np.float64)
    beyond = (weight != 0) & ((exponent <= limits.minexp) | (exponent > limits.maxexp))
    for feature, target in np.argwhere(beyond):
        raise TrainingError(
            f"{rows.source}: the weight of '{rows.features[features[feature]].name}' for "
            f"'{rows.targets[target].name}' is beyond float64; use units in which they are nearer "
            "to 1."
        )


def _check_squares(fit: Solved, best: Optimum, rows: Rows) -> None:
    """Refuse targets so large or small that their sum of squares is no float64."""
    size = fit.factor.num_features
    varies = fit.factor.minimum[size:] < fit.factor.maximum[size:]
    total = best.total_sum_of_squares
    for column, usable in zip(rows.targets, ~varies | (total > 0) & (total < np.inf), strict=True):
        if not usable:
            raise TrainingError(
                f"{rows.source}: the squares of '{column.name}' are beyond float64; "
                "use a unit in which it is nearer to 1."
            )


def _dependence(fit: Solved, rows: Rows, config: LeastSquaresConfig) -> str:
    """Say which features are dependent, and on which."""
    names = [column.name for column in rows.features]
    needed, num_rows = len(names) + config.intercept, fit.factor.num_rows
    if num_rows < needed:
        left = f" after {rows.rows_dropped} were left out" if rows.rows_dropped else ""
        of_bias = ", one of them for the bias" if config.intercept else ""
        return (
            f"{rows.source}: There are too few rows{left}: {num_rows}, where {len(names)} features "
            f"take {needed} at least{of_bias}."
        )
    constant = _constant(fit)
    sentences = [f"'{names[j]}' is constant" for j in constant]
    varying = [k for k, j in enumerate(fit.dependent) if j not in constant]
    if varying and fit.solution is not None:
        made_of = combinations(fit.solution, len(fit.dependent), fit.factor.unit_roundoff)
        independent = fit.solution.equations.features
        for k in varying:
            others = [f"'{names[j]}'" for j in independent[made_of[:, k]]]
            sentences.append(f"'{names[fit.dependent[k]]}' is a combination of {_listed(others)}")
    return f"{rows.source}: the features are linearly dependent: {'; '.join(sentences)}."


def _remedy(fit: Solved, rows: Rows) -> str:
    constant = _constant(fit)
    if constant == list(fit.dependent):
        names = ",".join(rows.features[j].name for j in constant)
        return f"Leave out what is constant with --exclude {names}"
    return "Exclude columns until none is a combination of others"


def _constant(fit: Solved) -> list[int]:
    """Return the dependent features that do not vary."""
    factor = fit.factor
    return [int(j) for j in fit.dependent if factor.minimum[j] == factor.maximum[j]]


def _listed(names: list[str]) -> str:
    if not names:
        return "a constant"
    shown = names if len(names) <= 6 else [*names[:5], f"{len(names) - 5} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _model(
    fit: Solved,
    best: Optimum,
    features: tuple[Column, ...],
    targets: tuple[Column, ...],
    config: LeastSquaresConfig,
) -> LinearModel:
    described = _described(fit, (*features, *targets))
    features, targets = described[: len(features)], described[len(features) :]
    if not config.intercept:
        return LinearModel(weight=best.weight, bias=best.bias, features=features, targets=targets)
    return LinearModel(
        weight=best.weight,
        bias=best.level,
        mean=best.mean,
        features=features,
        targets=targets,
    )


def _described(fit: Solved, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the columns with the range, mean and standard deviation of the rows."""
    factor = fit.factor
    equations, units = normal_equations(factor, intercept=True, l2=0.0)
    deviation = np.ldexp(equations.deviations / np.sqrt(units.weight_sum), units.exponent)
    return tuple(
        replace(column, minimum=low, maximum=high, mean=mean, standard_deviation=spread)
        for column, low, high, mean, spread in zip(
            columns,
            factor.minimum.tolist(),
            factor.maximum.tolist(),
            units.mean.high.tolist(),
            deviation.tolist(),
            strict=True,
        )
    )


def _distance(best: Optimum, target: int) -> OptimumDistance:
    loss = float(best.residual_sum_of_squares[target]) / best.num_rows
    standard_errors = float(best.distance_in_standard_errors[target])
    return OptimumDistance(
        loss=loss,
        loss_at_optimum=loss,
        standard_errors=None if math.isnan(standard_errors) else standard_errors,
        prediction=float(best.distance_bound[target]),
    )
