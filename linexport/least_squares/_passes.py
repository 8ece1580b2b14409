"""From rows to their solution, in as many passes as the answer needs and in constant memory.

N rows, D features, K targets, P = D + K + 1. The first rows are summed carefully, all others as
fast as BLAS can. If then the bound on the error of the answer is not negligible, the rows are read
again, more carefully.
"""

from dataclasses import dataclass

import numpy as np

from linexport._arrays import Float64Array, FloatArray
from linexport.errors import DataError
from linexport.least_squares._answer import Solved
from linexport.least_squares._config import LeastSquaresConfig
from linexport.least_squares._dependence import solve_independent, try_solve
from linexport.least_squares._enough import (
    require_enough,
    too_few_rows,
    weights_beyond_float64,
)
from linexport.least_squares._factor import (
    CAREFUL,
    Factor,
    Frame,
    Gram,
    first_frame,
    merged,
)
from linexport.least_squares._few_rows import Batches
from linexport.least_squares._normal_equations import NormalEquations, normal_equations
from linexport.least_squares._residuals import measured
from linexport.least_squares._solution import Solution, refined
from linexport.least_squares._split import GramSum, add_plain_gram, add_split_gram
from linexport.least_squares._summed import SummedRows
from linexport.numerics import FLOAT64, double_double as dd
from linexport.rows import Ranks, Rows

_CAREFUL_START = 2**20
"""The first rows, up to so many products of two columns, are summed carefully in any case: that
takes some milliseconds, and small data never need a second pass. Measured, as are the sizes of
blocks below: about 1 MB, with rows enough that adding up the blocks' results costs little."""
_BLOCK_ELEMENTS = 2**17
_BLOCK_ROWS = (1024, 8192)
_CAREFUL_BLOCK_ROWS = (1024, 2048)
_TERMS = (512, 128)
"""Products summed within BLAS: fewer cost speed, more cost the bound on its error. The second is
for tables wider than _FEW_COLUMNS, whose sums are long in computing anyway; their answers are good
enough without a second pass at a thousand columns and noise of 3% of the deviation (measured)."""
_FEW_COLUMNS = 128
_WEIGHTED_TAIL = 4 * FLOAT64.unit_roundoff
"""What rounding leaves of a number times the root of its row's weight, relative to the product: u
each of the number itself, the product and the root, and what these make of each other."""
_MOST_REFINEMENTS = 2
"""The first knows residuals to all digits but of data that fit exactly, whose bias it corrects."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How to read the rows."""

    frame: Frame | None = None
    """None to derive it from the first rows."""
    num_slices: int = 0
    """See `add_split_gram`; 0 for BLAS's own products, but for the first rows."""


class Accumulator:
    """Adds up batches of rows into a factor."""

    def __init__(
        self, num_features: int, num_targets: int, plan: Plan, *, frequencies: bool = False
    ) -> None:
        """Take what the rows' weights are, where they have any: frequencies or precisions."""
        self._num_features = num_features
        self._num_columns = num_columns = num_features + num_targets + 1
        self._plan = plan
        self._frame = plan.frame
        self._total = GramSum(num_columns)
        self._squared_error = np.zeros(num_columns)
        self._num_slices = CAREFUL
        self._num_rows = self._sum_of_frequencies = 0
        self._frequencies = frequencies
        self._log_weight_sum = 0.0
        self._minimum = np.full(num_columns - 1, np.inf)
        self._maximum = np.full(num_columns - 1, -np.inf)
        careful_rows = _CAREFUL_START // num_columns**2
        self._careful_start = careful_rows if careful_rows >= num_columns else 0
        size = _BLOCK_ELEMENTS // num_columns
        self._block_rows = int(np.clip(size, *_BLOCK_ROWS))
        self._careful_block_rows = int(np.clip(size, *_CAREFUL_BLOCK_ROWS))
        self._terms = _TERMS[num_columns > _FEW_COLUMNS]
        self._buffer = np.empty((num_columns, self._block_rows))

    def add(
        self, features: FloatArray, targets: FloatArray, weights: FloatArray | None = None
    ) -> None:
        """Add finite rows: features (n, D), targets (n, K), weights (n,) that are not negative."""
        if weights is not None and not weights.all():
            kept = weights != 0
            features, targets, weights = features[kept], targets[kept], weights[kept]
        if not len(features):
            return
        start = 0
        while start < len(features):
            num_slices, size = self._next_block()
            block = slice(start, start + size)
            self._add_block(
                features[block],
                targets[block],
                None if weights is None else weights[block],
                num_slices,
            )
            start += size

    def factor(self, unit_roundoff: Float64Array | None = None) -> Factor:
        """Return the factor of the rows added so far.

        Args:
            unit_roundoff: Shape (D + K,), of the format that each column came in; float64's if
                not given.
        """
        zeros = np.zeros(self._num_columns - 1)
        matrix = self._total.total()
        # The bound on the rounding of the running sum, as GramSum states it.
        rounding = 2.01 * self._total.num_terms * FLOAT64.unit_roundoff**2
        error = np.sqrt(self._squared_error + rounding * matrix.high.diagonal())
        return Factor(
            num_features=self._num_features,
            num_slices=self._num_slices,
            frame=self._frame or Frame(zeros, zeros.astype(np.int32)),
            gram=Gram(matrix, error),
            num_rows=self._sum_of_frequencies if self._frequencies else self._num_rows,
            log_weight_sum=self._log_weight_sum,
            minimum=self._minimum,
            maximum=self._maximum,
            unit_roundoff=zeros + FLOAT64.unit_roundoff if unit_roundoff is None else unit_roundoff,
        )

    def _next_block(self) -> tuple[int, int]:
        """Return slices and rows of the next block."""
        if self._plan.num_slices == 0 and self._num_rows >= self._careful_start:
            return 0, self._block_rows
        rows = self._careful_block_rows
        if self._num_rows < self._careful_start:
            return CAREFUL, min(rows, self._careful_start - self._num_rows)
        return self._plan.num_slices, rows

    def _add_block(
        self,
        features: FloatArray,
        targets: FloatArray,
        weights: FloatArray | None,
        num_slices: int,
    ) -> None:
        num_rows = len(features)
        values = self._buffer[:, :num_rows]
        values[: self._num_features] = features.T
        values[self._num_features : -1] = targets.T
        columns = values[:-1]
        np.minimum(self._minimum, columns.min(axis=1), out=self._minimum)
        np.maximum(self._maximum, columns.max(axis=1), out=self._maximum)
        self._num_rows += num_rows
        self._num_slices = min(self._num_slices, num_slices)
        if self._frame is None:
            self._frame = first_frame(columns)
        if weights is not None:
            weights = weights.astype(np.float64)
            if self._frequencies:
                self._sum_of_frequencies += int(weights.sum())
            else:
                self._log_weight_sum += float(np.log(weights).sum())
        # Where the frame turns out not to fit, sums overflow; Factor.in_range() tells.
        with np.errstate(over="ignore", invalid="ignore"):
            if num_slices == 0:
                self._add_plain(values, weights)
            else:
                self._add_split(values, weights, num_slices)

    def _add_plain(self, values: Float64Array, weights: Float64Array | None) -> None:
        assert self._frame is not None
        columns = values[:-1]
        np.subtract(columns, self._frame.shift[:, None], out=columns)
        if self._frame.exponent.any():
            np.ldexp(columns, -self._frame.exponent[:, None], out=columns)
        values[-1] = 1.0
        if weights is not None:
            np.multiply(values, np.sqrt(weights), out=values)
        self._squared_error += add_plain_gram(self._total, values, self._terms)

    def _add_split(
        self, values: Float64Array, weights: Float64Array | None, num_slices: int
    ) -> None:
        assert self._frame is not None
        shift, exponent = self._frame.shift[:, None], -self._frame.exponent[:, None]
        columns = dd.scale_by_power_of_two(dd.two_sum(values[:-1], -shift), exponent)
        ones = np.ones((1, values.shape[1]))
        high = np.vstack([columns.high, ones])
        tail = np.vstack([columns.low, 0 * ones])
        if weights is not None:
            root = dd.square_root(weights)
            weighted, low = dd.two_product(high, root.high)
            tail = tail * root.high + low + high * root.low
            high = weighted
        self._squared_error += add_split_gram(
            self._total,
            high,
            tail if tail.any() else None,
            num_slices,
            tail_bound=FLOAT64.unit_roundoff if weights is None else _WEIGHTED_TAIL,
        )


def fit_rows(
    rows: Rows, config: LeastSquaresConfig, ranks: Ranks, batches: Batches | None = None
) -> Solved:
    """Read the rows, and again until the distance from the optimum is known to be negligible.

    Rows that can be read but once are summed carefully from the first.

    Args:
        rows: All of them, or this rank's.
        config: What to minimize.
        ranks: Who holds rows.
        batches: Of the rows, if they are being read already.

    Raises:
        DataError: If there are no rows.
        TrainingError: If there are too few rows to tell the coefficients, and none was to be
            chosen; if the weights are too large to be added up.
    """
    plan = Plan(num_slices=CAREFUL if rows.read_once else 0)
    while True:
        factor = _factor(rows, plan, ranks, batches)
        batches = None
        if not factor.num_rows:
            raise DataError("There are no rows to fit.", source=rows.source)
        # Counted before anything is solved: to find the dependent features would take long.
        require_enough(rows, factor.num_rows, config)
        num_slices, frame = plan.num_slices, factor.better_frame()
        if factor.in_range():
            equations = normal_equations(factor, intercept=config.intercept, l2=config.l2)
            if config.intercept:  # else statistics ask for the equations around the mean
                factor = factor.without_sums()
            solved = _solved(factor, equations, rows, config, ranks)
            if solved is not None:
                return solved
            del equations  # its memory is needed to read the rows again
            num_slices = CAREFUL
        elif plan.frame is not None:
            raise weights_beyond_float64(rows)
        plan = Plan(frame=frame, num_slices=num_slices)
        del factor


def _solved(
    factor: Factor,
    equations: NormalEquations,
    rows: Rows,
    config: LeastSquaresConfig,
    ranks: Ranks,
) -> Solved | None:
    """Return the solution, refined by the rows if need be; None if it takes better sums.

    Without an intercept, the features tell a constant if they are dependent once their means are
    taken from them, and were not before.
    """
    careful, dependent = factor.num_slices == CAREFUL, np.empty(0, dtype=np.intp)
    if careful:
        solution, dependent = solve_independent(equations)
    else:
        solution = try_solve(equations)
        if solution is None or not solution.is_resolved():
            return None
    if solution is not None:
        solution = _refined(solution, factor, rows, config, ranks)
        if not careful and not _accurate(solution, factor, config):
            return None
    around_mean, tells_constant = equations, config.intercept
    if not config.intercept:
        around_mean = normal_equations(factor, intercept=True, l2=0.0)
        tells_constant = solution is None or try_solve(around_mean.without(dependent)) is None
    return Solved(
        extent=factor,
        answer=solution,
        dependent=dependent,
        made_of=(
            np.empty((0, 0), dtype=bool)
            if solution is None
            else solution.combinations(len(dependent))
        ),
        too_few_rows=too_few_rows(rows, factor.num_rows, config),
        around_mean=around_mean,
        tells_constant=tells_constant,
    )


def _refined(
    solution: Solution, factor: Factor, rows: Rows, config: LeastSquaresConfig, ranks: Ranks
) -> Solution:
    """Return the solution refined by what rows that can be read again tell, where it needs that."""
    careful = factor.num_slices == CAREFUL
    if rows.read_once and not isinstance(rows, SummedRows):
        return solution
    for _ in range(_MOST_REFINEMENTS):
        known = solution.residuals_known[: len(rows.targets)].all()
        if known and (careful or _accurate(solution, factor, config)):
            break
        solution = refined(solution, measured(solution, rows, ranks))
    return solution


def _accurate(solution: Solution, factor: Factor, config: LeastSquaresConfig) -> bool:
    freedom = factor.num_rows - len(solution.factor.matrix) - int(config.intercept)
    return solution.is_accurate(degrees_of_freedom=freedom)


def _factor(rows: Rows, plan: Plan, ranks: Ranks, batches: Batches | None) -> Factor:
    """Return the factor of the rows of all ranks."""
    if isinstance(rows, SummedRows):
        return rows.factor()
    return merged(_read(rows, plan, rows.batches() if batches is None else batches), ranks)


def _read(rows: Rows, plan: Plan, batches: Batches) -> Factor:
    frequencies = rows.weighting is not None and rows.weighting.kind == "frequency"
    accumulator = Accumulator(len(rows.features), len(rows.targets), plan, frequencies=frequencies)
    for batch in batches:
        accumulator.add(*batch)
    return accumulator.factor(rows.unit_roundoff)
