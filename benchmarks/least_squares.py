"""Least squares in memory, against the solvers people use.

    python benchmarks/least_squares.py [rounds]

Each size and dtype: all solvers in alternation on the same arrays, medians, ratio to ours, and the
correct digits of the worst coefficient against a careful pass. The limit is one product X'X in
float64: what any solver does that keeps float64's digits. Fails if ours is not TARGET times as fast
as scikit-learn's LinearRegression and takes more than NEAR times the limit, or if a solver with as
many digits is faster.
"""

import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
import polars_ds
import statsmodels.api
from _timing import rounds_asked
from sklearn.linear_model import LinearRegression, Ridge

from linexport.columns import default_columns
from linexport.fit import Fit
from linexport.least_squares import LeastSquaresConfig
from linexport.rows import ONE

TARGET = 5.0
NEAR = 2.5
"""Of the limit, where scikit-learn's float32 is itself less than TARGET times slower: there 500
features in float32 take LinearRegression four products' time."""
SIZES = ((1_000_000, 10), (10_000_000, 10), (1_000_000, 100), (200_000, 500))
LIMIT = "X'X in float64, the limit"
SLOW = 30.0
"""Seconds after which a peer is not asked again at this size."""


class Problem(NamedTuple):
    """The same rows as each solver wants them."""

    features: np.ndarray
    target: np.ndarray
    frame: pl.DataFrame


Solver = Callable[[Problem], np.ndarray]


class Rows:
    """Arrays as least squares reads them, in their own dtype."""

    source = "benchmark"
    rows_dropped = 0
    rows_kept_out = 0
    notes = ()
    features_named = True
    weighting = None
    encoding = None

    def __init__(
        self, features: np.ndarray, target: np.ndarray, *, read_once: bool = False
    ) -> None:
        self.arrays = features, target[:, None]
        self.read_once = read_once
        self.features = default_columns("x", features.shape[1])
        self.targets = default_columns("y", 1)
        roundoff = np.finfo(features.dtype).eps / 2
        self.unit_roundoff = np.full(features.shape[1] + 1, roundoff)

    def batches(self) -> Iterator[tuple[np.ndarray, ...]]:
        """Yield everything at once."""
        yield self.arrays


def fitted(rows: Rows) -> Fit:
    return LeastSquaresConfig().fit(rows, ranks=ONE, on_epoch=None)


def ours(problem: Problem) -> np.ndarray:
    rows = Rows(problem.features, problem.target)
    return coefficients(fitted(rows))


def coefficients(result: Fit) -> np.ndarray:
    return np.array(list(result.record.coefficients["y"].features.values()))


def scikit_learn(problem: Problem) -> np.ndarray:
    return np.asarray(LinearRegression().fit(problem.features, problem.target).coef_)


def scikit_learn_cholesky(problem: Problem) -> np.ndarray:
    ridge = Ridge(alpha=1e-12, solver="cholesky")
    return np.asarray(ridge.fit(problem.features, problem.target).coef_)


def numpy_lstsq(problem: Problem) -> np.ndarray:
    ones = np.ones((len(problem.features), 1), problem.features.dtype)
    with_ones = np.hstack([problem.features, ones])
    return np.asarray(np.linalg.lstsq(with_ones, problem.target)[0][:-1])


def statsmodels_ols(problem: Problem) -> np.ndarray:
    with_ones = statsmodels.api.add_constant(problem.features)
    return np.asarray(statsmodels.api.OLS(problem.target, with_ones).fit().params)[1:]


def polars_ds_lin_reg(problem: Problem) -> np.ndarray:
    names = problem.frame.columns[:-1]
    expression = polars_ds.lin_reg(*names, target="y", add_bias=True)
    return np.asarray(problem.frame.select(expression).item().to_numpy()[:-1])


def product_alone(problem: Problem) -> np.ndarray:
    values = problem.features.astype(np.float64, copy=False)
    product = values.T @ values
    return np.full_like(product[0], np.nan)  # it solves nothing, and so has no digits


SOLVERS: dict[str, Solver] = {
    "linexport lstsq": ours,
    "scikit-learn LinearRegression": scikit_learn,
    "scikit-learn Ridge(cholesky)": scikit_learn_cholesky,
    "numpy lstsq": numpy_lstsq,
    "statsmodels OLS": statsmodels_ols,
    "polars-ds lin_reg": polars_ds_lin_reg,
    LIMIT: product_alone,
}


def problem(num_rows: int, num_features: int, dtype: str) -> tuple[Problem, np.ndarray]:
    """Return rows with noise, and the answer that a careful pass over them finds."""
    random = np.random.default_rng(0)
    features = random.standard_normal((num_rows, num_features), np.float32).astype(dtype)
    weight = random.standard_normal(num_features)
    noise = random.standard_normal(num_rows)
    target = (features.astype(np.float64) @ weight + 3 + noise).astype(dtype)
    frame = pl.DataFrame(features).with_columns(y=target)
    careful = fitted(Rows(features, target, read_once=True))
    return Problem(features, target, frame), coefficients(careful)


def digits(found: np.ndarray, true: np.ndarray) -> float:
    worst = np.abs(found.astype(np.float64) - true).max() / np.abs(true).max()
    if np.isnan(worst):
        return np.nan
    return float(min(15.95, -np.log10(worst))) if worst > 0 else 15.95


def main() -> None:
    rounds = rounds_asked(3)
    missed = []
    for num_rows, num_features in SIZES:
        for dtype in ("float64", "float32"):
            missed += run(num_rows, num_features, dtype, rounds)
    if missed:
        sys.exit("missed: " + "; ".join(missed))


def run(num_rows: int, num_features: int, dtype: str, rounds: int) -> list[str]:
    given, weight = problem(num_rows, num_features, dtype)
    seconds: dict[str, list[float]] = {name: [] for name in SOLVERS}
    accuracy = {}
    for _ in range(rounds):
        for name, solver in SOLVERS.items():
            if seconds[name] and seconds[name][0] > SLOW:
                continue
            start = time.perf_counter()
            found = solver(given)
            seconds[name].append(time.perf_counter() - start)
            accuracy[name] = digits(found, weight)
    print(f"{num_rows:,} x {num_features}, {dtype}")
    base = float(np.median(seconds["linexport lstsq"]))
    ratios = {name: float(np.median(times)) / base for name, times in seconds.items()}
    for name, ratio in ratios.items():
        median = float(np.median(seconds[name]))
        print(f"  {name:<32}{median:>9.3f} s{ratio:>8.1f} x{accuracy[name]:>7.1f} digits")
    label = f"{num_rows:,} x {num_features} {dtype}"
    missed = []
    near = 1 / ratios[LIMIT]
    if ratios["scikit-learn LinearRegression"] < TARGET and near > NEAR:
        missed.append(f"{label}: {ratios['scikit-learn LinearRegression']:.1f} x LinearRegression")
    for name, ratio in ratios.items():
        if ratio < 1 and accuracy[name] >= accuracy["linexport lstsq"]:
            missed.append(f"{label}: {name} is faster")
    return missed


if __name__ == "__main__":
    main()
