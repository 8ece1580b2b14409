"""What a statistician expects of a least-squares fit.

n rows, p coefficients beside the intercept, nu = n - p - 1 degrees of freedom (n - p without an
intercept), RSS and TSS the residual and total sums of squares, P the F distribution's or Student's.
Values are those of statsmodels' OLS, and of its WLS where rows have weights that are precisions.
Where these are frequencies, n is their sum, and values are those of OLS on rows that are repeated
so often. i is 1 with an intercept, else 0; c is 1 also where the features make up for one, as a
column of ones does. With a ridge, where coefficients are biased, what assumes the contrary is None.

    residual variance   s**2 = RSS / nu                                   [1], chapter 3
    standard error      s sqrt(((X'X)**-1)_jj)                            [1], chapter 3
    t                   estimate / standard error                         [1], chapter 4
    p-value             P(|T| > |t|) with nu degrees of freedom           [1], chapter 4
    interval            estimate -+ t_(1 - alpha / 2, nu) standard error  [1], chapter 5
    R**2                1 - RSS / TSS; TSS is around the mean with a constant and around 0
                        without, so that the two do not compare           [2]
    adjusted R**2       1 - (1 - R**2) (n - c) / nu
    F                   ((TSS - RSS) / q) / s**2, with q = p + i - c and nu degrees of freedom:
                        whether all coefficients but the constant's are 0  [1], chapter 4
    variance inflation  1 / (1 - R_j**2), R_j**2 of feature j explained by the others   [3]
    log-likelihood      -n/2 (log(2 pi) + log(RSS / n) + 1) + sum log(weight) / 2,
                        the second sum where weights are precisions
    AIC, BIC            -2 log-likelihood + 2 k, + k log(n), with k = p + i coefficients; R counts
                        the variance as one more                          [4], [5]

With a ridge, nu is n less the trace of the hat matrix [6].

[1] Seber and Lee, Linear Regression Analysis, 2nd ed., 2003. [2] Kvalseth, Cautionary note about
R**2, The American Statistician 39, 1985. [3] Marquardt, Technometrics 12, 1970. [4] Akaike, IEEE
Transactions on Automatic Control 19, 1974. [5] Schwarz, Annals of Statistics 6, 1978. [6] Hastie,
Tibshirani and Friedman, The Elements of Statistical Learning, 2nd ed., 2009, equation 3.50.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from linexport.fit import CoefficientStatistics, FitStatistics, Leverage, TargetStatistics
from linexport.least_squares._optimum import Optimum

CONFIDENCE = 0.95
"""Of the intervals of coefficients."""
MOST_FEATURES = 500
"""Whose covariance is kept: more would be megabytes of a manifest that all who predict read."""


def fit_statistics(
    optimum: Optimum,
    *,
    feature_names: Sequence[str],
    target_names: Sequence[str],
) -> FitStatistics:
    """Return the statistics of a fit; names are D and K."""
    return FitStatistics(
        rows=optimum.num_rows,
        around_mean=optimum.around_mean,
        rank=optimum.rank,
        confidence=CONFIDENCE,
        condition_number=_finite(optimum.condition_number),
        targets={
            name: _target(optimum, index, feature_names) for index, name in enumerate(target_names)
        },
        leverage=_leverage(optimum),
    )


def _leverage(optimum: Optimum) -> Leverage | None:
    """Return what tells the variance of predictions, from the covariance L C L' of the weights."""
    size, spread = len(optimum.mean), optimum.spread
    if optimum.l2 or optimum.rank < size or size > MOST_FEATURES:
        return None
    upper = np.asarray(np.linalg.qr(spread.root().T, mode="r"))
    upper *= np.where(upper.diagonal() < 0, -1.0, 1.0)[:, None]
    lower = np.ldexp(upper.T, -optimum.exponent[:, None])
    if not (np.isfinite(lower).all() and np.isfinite(spread.variances).all()):
        return None
    return Leverage(
        mean=tuple(optimum.mean.tolist()),
        at_mean=1 / optimum.weight_sum if optimum.intercept else 0.0,
        factor=tuple(tuple(row[: place + 1]) for place, row in enumerate(lower.tolist())),
    )


def _target(optimum: Optimum, index: int, feature_names: Sequence[str]) -> TargetStatistics:
    freedom, rows = optimum.degrees_of_freedom, optimum.num_rows
    residual = float(optimum.residual_sum_of_squares[index])
    total = float(optimum.total_sum_of_squares[index])
    known = bool(optimum.residuals_known[index])
    variance = residual / freedom if known and freedom > 0 else None
    r2 = 1 - residual / total if total > 0 else None
    adjusted = None
    if r2 is not None and freedom > 0:
        adjusted = 1 - (1 - r2) * (rows - optimum.around_mean) / freedom
    tested = optimum.rank - (optimum.around_mean and not optimum.intercept)
    f = _f(optimum, tested, total - residual, variance)
    likelihood = _log_likelihood(optimum, residual) if known else None
    num_coefficients = optimum.rank + int(optimum.intercept)
    intercept = None
    if optimum.intercept:
        estimate = float(optimum.bias[index])
        error = float(optimum.bias_standard_errors[index])
        intercept = _coefficient(optimum, estimate, error, math.nan)
    return TargetStatistics(
        intercept=intercept,
        features={
            name: _coefficient(optimum, estimate, error, inflation)
            for name, estimate, error, inflation in zip(
                feature_names,
                optimum.weight[index].tolist(),
                optimum.weight_standard_errors[index].tolist(),
                optimum.variance_inflation.tolist(),
                strict=True,
            )
        },
        degrees_of_freedom=freedom,
        residual_sum_of_squares=residual if known else None,
        total_sum_of_squares=total,
        residual_standard_deviation=None if variance is None else math.sqrt(variance),
        r2=r2,
        adjusted_r2=adjusted,
        f=f,
        f_p_value=None if f is None else float(special.fdtrc(tested, freedom, f)),
        log_likelihood=likelihood,
        aic=None if likelihood is None else -2 * likelihood + 2 * num_coefficients,
        bic=None if likelihood is None else -2 * likelihood + math.log(rows) * num_coefficients,
    )


def _coefficient(
    optimum: Optimum, estimate: float, error: float, inflation: float
) -> CoefficientStatistics:
    known = math.isfinite(error)
    tested = known and not optimum.l2
    t = estimate / error if tested and error > 0 else None
    freedom = optimum.degrees_of_freedom
    half_width = float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2)) * error if tested else 0.0
    return CoefficientStatistics(
        estimate=estimate,
        standard_error=error if known else None,
        t=t,
        p_value=None if t is None else 2 * float(special.stdtr(freedom, -abs(t))),
        lower=estimate - half_width if tested else None,
        upper=estimate + half_width if tested else None,
        variance_inflation=_finite(inflation),
    )


def _f(optimum: Optimum, tested: int, explained: float, variance: float | None) -> float | None:
    if optimum.l2 or not variance or not tested:
        return None
    return explained / tested / variance


def _log_likelihood(optimum: Optimum, residual: float) -> float | None:
    if optimum.l2 or not residual > 0:
        return None
    rows = optimum.num_rows
    per_row = math.log(2 * math.pi) + math.log(residual / rows) + 1
    return -rows / 2 * per_row + optimum.log_weight_sum / 2


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
