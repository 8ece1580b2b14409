"""Least squares to the last digit: one pass, one small factor, a proven distance from the optimum.

N rows, D features, K targets. The objective is ||y - X w - b||**2 + l2 ||w||**2, with w in raw
feature units and the intercept b not penalized: that of scikit-learn's Ridge. docs/least-squares.md
derives the method, its error bounds and the rule by which it reads the rows again.
"""

import math
from dataclasses import replace

import numpy as np

from linexport._asked import asked
from linexport.columns import Column
from linexport.errors import TrainingError
from linexport.fit import Fit, FitRecord, OptimumDistance, coefficients_by_target
from linexport.least_squares._answer import Answer, Solved
from linexport.least_squares._config import LeastSquaresConfig, RankDeficient
from linexport.least_squares._dual import fit_few_rows
from linexport.least_squares._enough import num_coefficients
from linexport.least_squares._few_rows import first_rows
from linexport.least_squares._optimum import Optimum, describe_optimum
from linexport.least_squares._passes import fit_rows
from linexport.least_squares._summed import SummedRows
from linexport.numerics import FLOAT64
from linexport.rows import ONE, Ranks, Rows


def optimum(
    rows: Rows,
    *,
    intercept: bool = True,
    l2: float = 0.0,
    rank_deficient: RankDeficient = "error",
    ranks: Ranks = ONE,
) -> Optimum:
    """Find the least-squares optimum of the rows of all ranks.

    Raises:
        ConfigError: If l2 is negative.
        DataError, TrainingError: As `fit_least_squares`.
    """
    config = LeastSquaresConfig(l2=l2, intercept=intercept, rank_deficient=rank_deficient)
    return _fit(rows, config, ranks)[1]


def fit_least_squares(rows: Rows, config: LeastSquaresConfig, *, ranks: Ranks = ONE) -> Fit:
    """Fit a linear regression by least squares.

    The model is centred, so that its numbers are the optimum's to the last bit: weight, mean, and
    the prediction at the mean. Its record has no metrics: these need another pass.

    Args:
        rows: Features, targets and, as an optional third array of a batch, weights. Float32 rows
            are added up in float64.
        config: What to minimize.
        ranks: Who holds rows; the fit is the same on each.

    Raises:
        DataError: If there are no rows.
        TrainingError: If the features are linearly dependent and that was not allowed, or sums of
            squares are beyond float64.
    """
    # It imports scipy, which SGD does not need.
    from linexport.least_squares._statistics import fit_statistics

    fit, best = _fit(rows, config, ranks)
    columns, size = _described(fit, (*rows.features, *rows.targets)), len(rows.features)
    model = best.model(columns[:size], columns[size:])
    warnings: tuple[str, ...] = ()
    if best.rank < size:
        warnings = (
            f"{_dependence(fit, rows)} Of all coefficients that fit equally well, the "
            "shortest in raw units were chosen; those of these columns mean nothing by themselves.",
        )
    return Fit(
        model=model,
        record=FitRecord(
            solver=config.name,
            rows=best.num_rows,
            coefficients=coefficients_by_target(
                model.feature_names, model.target_names, best.weight.tolist(), best.bias.tolist()
            ),
            optimum={name: _distance(best, k) for k, name in enumerate(model.target_names)},
            statistics=fit_statistics(
                best, feature_names=model.feature_names, target_names=model.target_names
            ),
        ),
        warnings=warnings,
    )


def _fit(rows: Rows, config: LeastSquaresConfig, ranks: Ranks) -> tuple[Solved, Optimum]:
    fit = _solved(rows, config, ranks)
    if len(fit.dependent) and config.rank_deficient == "error":
        shortest = asked(solver="lstsq", rank_deficient="minimum-norm")
        raise TrainingError(f"{_dependence(fit, rows)} {_remedy(fit, rows)} {shortest}.")
    if fit.answer is None:
        raise TrainingError(f"{rows.source}: no feature varies; there is nothing to fit.")
    _check_weights(fit.answer, rows)
    best = describe_optimum(fit, fit.answer, config)
    _check_squares(fit, best, rows)
    return fit, best


def _solved(rows: Rows, config: LeastSquaresConfig, ranks: Ranks) -> Solved:
    """Solve as many equations as there are features or, if they are fewer, rows.

    Rows of several ranks, or known by their sums, make the former in any case.
    """
    if ranks.size > 1 or isinstance(rows, SummedRows):
        return fit_rows(rows, config, ranks)
    first = first_rows(rows, num_coefficients(rows, config))
    fit = fit_few_rows(rows, config, first) if first.are_all and first.num_rows else None
    return fit or fit_rows(rows, config, ranks, first.batches)


def _check_weights(answer: Answer, rows: Rows) -> None:
    """Refuse columns whose units are so far apart that a weight between them is no float64."""
    equations = answer.equations
    features, unit = equations.features, equations.exponent
    targets = equations.targets[: len(rows.targets)]
    weight = answer.weight.high[:, : len(targets)]
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
    size = fit.extent.num_features
    varies = fit.extent.minimum[size:] < fit.extent.maximum[size:]
    total = best.total_sum_of_squares
    known = np.isfinite(total) & np.isfinite(best.residual_sum_of_squares)
    for column, usable in zip(rows.targets, known & (~varies | (total > 0)), strict=True):
        if not usable:
            raise TrainingError(
                f"{rows.source}: the squares of '{column.name}' are beyond float64; "
                "use a unit in which it is nearer to 1."
            )


def _dependence(fit: Solved, rows: Rows) -> str:
    """Say which features are dependent, and on which."""
    if fit.too_few_rows:
        return fit.too_few_rows
    names = [column.name for column in rows.features]
    constant = _constant(fit)
    sentences = [f"'{names[j]}' is constant" for j in constant]
    varying = [k for k, j in enumerate(fit.dependent) if j not in constant]
    if varying and fit.answer is not None:
        independent = fit.answer.equations.features
        for k in varying:
            involved = [fit.dependent[k], *independent[fit.made_of[:, k]]]
            first, *others = (f"'{names[j]}'" for j in involved)
            rounded = (fit.extent.unit_roundoff[involved] > FLOAT64.unit_roundoff).any()
            within = ", within the rounding of the format that they came in" if rounded else ""
            sentences.append(f"{first} is a combination of {_listed(others)}{within}")
    if fit.answer is None:  # there is none to be a combination of
        as_weighted = "" if rows.weighting is None else ", as the rows weigh"
        sentences += [
            f"'{names[fit.dependent[k]]}' is constant but for rounding{as_weighted}"
            for k in varying
        ]
    return f"{rows.source}: the features are linearly dependent: {'; '.join(sentences)}."


def _remedy(fit: Solved, rows: Rows) -> str:
    """Say what to do, up to the option that takes the shortest weights."""
    names, constant = [column.name for column in rows.features], _constant(fit)
    if rows.encoding is not None:
        columns = {column.name: column for column in rows.encoding.columns}
        names = list(rows.encoding.feature_columns)
        for j in sorted(fit.dependent):
            if getattr(columns[names[j]], "reference", "") is None:
                return (
                    f"Compare levels with one of them, not with none, or add {asked(l2=1)}, or use"
                )
        if all(j in constant and hasattr(columns[names[j]], "levels") for j in fit.dependent):
            return "No row that is trained on has such a level: take it for the reference with"
    names = list(dict.fromkeys(names[j] for j in sorted(fit.dependent)))
    what = "what is constant" if constant == sorted(fit.dependent) else "what others tell"
    return f"Leave out {what} with {asked(exclude=names)}, or use"


def _constant(fit: Solved) -> list[int]:
    """Return the dependent features that do not vary."""
    extent = fit.extent
    return [int(j) for j in fit.dependent if extent.minimum[j] == extent.maximum[j]]


def _listed(names: list[str]) -> str:
    if not names:
        return "a constant"
    shown = names if len(names) <= 6 else [*names[:5], f"{len(names) - 5} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _described(fit: Solved, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the columns with the range, mean and standard deviation of the rows."""
    return tuple(
        replace(column, minimum=low, maximum=high, mean=mean, standard_deviation=spread)
        for column, low, high, mean, spread in zip(
            columns,
            fit.extent.minimum.tolist(),
            fit.extent.maximum.tolist(),
            fit.around_mean.mean.high.tolist(),
            fit.around_mean.standard_deviations.tolist(),
            strict=True,
        )
    )


def _distance(best: Optimum, target: int) -> OptimumDistance:
    loss = float(best.loss[target])
    standard_errors = float(best.distance_in_standard_errors[target])
    return OptimumDistance(
        loss=loss,
        loss_at_optimum=loss,
        standard_errors=None if math.isnan(standard_errors) else standard_errors,
        prediction=float(best.distance_bound[target]),
    )
