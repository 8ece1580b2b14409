"""What a solver returns, and what is written of it.

The record's parts are msgspec's structs: a dozen dataclasses take as long to define as a fifth of
onnxruntime takes to load, and whoever predicts from a bundle reads its manifest.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from linexport._digits import FEWEST_DIGITS, Written, formula, written_coefficients
from linexport._documented import documented
from linexport._shown import Result

if TYPE_CHECKING:
    import torch

    from linexport.columns import Column
    from linexport.encoding import Encoding
    from linexport.model import LinearModel

__all__ = [
    "CoefficientStatistics",
    "Coefficients",
    "EpochEnd",
    "Fit",
    "FitRecord",
    "FitStatistics",
    "Fitness",
    "Gradients",
    "Leverage",
    "LimitOf",
    "Metrics",
    "OnEpoch",
    "OptimumDistance",
    "Setting",
    "TargetStatistics",
    "Weighting",
    "WeightsKind",
    "as_text",
    "coefficients_by_target",
    "loss_unit",
]

Setting = str | int | float | bool | None
RECORDED_LOSSES = 100
"""Epochs whose loss a bundle keeps: more would be most of its manifest."""

WeightsKind: TypeAlias = Literal["precision", "frequency"]
"""One over the variance of a row's error, up to a common factor; or how often the row occurred."""


class Record(msgspec.Struct, frozen=True):
    """Part of what is written of a fit."""

    def __init_subclass__(cls) -> None:
        documented(cls)


class Weighting(Record, frozen=True, kw_only=True):
    """Which column weights the rows, and what it says of them."""

    column: str
    kind: WeightsKind


class Coefficients(Record, frozen=True, kw_only=True):
    """One target's fit in raw feature units, float64."""

    intercept: float
    """Target units."""
    features: dict[str, float]
    """Target units per feature unit, by feature name."""


class Metrics(Record, frozen=True, kw_only=True):
    """How far predictions of the float64 fit are from one target's values.

    Means are over the rows of the part; where rows have weights, sums of weights times values, over
    the sum of the weights. docs/training.md, "Metrics", says which functions elsewhere agree.
    """

    rows: int
    """Of weight above 0; the sum of the weights where these are frequencies."""
    rmse: float
    """Root of the mean squared error, target units."""
    mae: float | None
    """Mean absolute error, target units; None where it would have taken one more pass over rows
    that are not in memory."""
    r2: float | None
    """1 - SSE / SST. SST is around the mean of the part's own targets; around 0, in a test part
    too, for a fit whose statistics are not around the mean, for lack of an intercept. None where
    SST is 0."""


class OptimumDistance(Record, frozen=True, kw_only=True):
    """How far one target's fit is from the least-squares optimum on the training rows."""

    loss: float
    """Mean squared error of the fit, target units squared: the square of the metrics' `rmse`."""
    loss_at_optimum: float
    standard_errors: float | None
    """Largest coefficient distance, in standard errors; None without degrees of freedom or where
    the data fit exactly."""
    prediction: float
    """The most that a prediction in the training range is off by, from that of the exact optimum;
    a bound, target units."""


class CoefficientStatistics(Record, frozen=True, kw_only=True):
    """One coefficient in raw units. None where it is not defined."""

    estimate: float
    standard_error: float | None
    """None without degrees of freedom, or where rounding hides its first six digits."""
    t: float | None
    """None also where the fit is exact."""
    p_value: float | None
    """Two-sided, for the coefficient being 0."""
    lower: float | None
    """Of the interval with the confidence stated."""
    upper: float | None
    variance_inflation: float | None
    """1 where the feature is uncorrelated with all others; None where it is infinite, and for the
    intercept."""


class TargetStatistics(Record, frozen=True, kw_only=True):
    """The fit of one target. None where it is not defined."""

    intercept: CoefficientStatistics | None
    features: dict[str, CoefficientStatistics]
    degrees_of_freedom: float
    """nu, a whole number without a ridge."""
    residual_sum_of_squares: float | None
    """Target units squared; None, with all that follows from it, where rounding hides its first six
    digits: of rows that fit nearly exactly, read from a pipe, or nearly dependent with a ridge."""
    total_sum_of_squares: float
    """Around the mean, or around 0: see `around_mean`."""
    residual_standard_deviation: float | None
    """s, target units: of a row of weight 1, where rows have weights that are precisions."""
    r2: float | None
    """None where the target does not vary."""
    adjusted_r2: float | None
    f: float | None
    """None also where the fit is exact."""
    f_p_value: float | None
    log_likelihood: float | None
    """None where the fit is exact."""
    aic: float | None
    bic: float | None


class Leverage(Record, frozen=True, kw_only=True):
    """What the variance of predictions is over s**2: `at_mean` + v'v, with v = F'(x - mean)."""

    mean: tuple[float, ...]
    """D, feature units; 0 without an intercept."""
    at_mean: float
    """One over the sum of the rows' weights; 0 without an intercept."""
    factor: tuple[tuple[float, ...], ...]
    """The rows of F, lower triangular, up to the diagonal; one over feature units."""


class FitStatistics(Record, frozen=True, kw_only=True):
    """The fit of all targets."""

    rows: int
    """n: rows of weight above 0; the sum of the weights where these are frequencies."""
    around_mean: bool = True
    """Whether total sums of squares, R2 and F are around the mean; otherwise around 0, for lack of
    an intercept and of features that make up for one, as a column of ones does."""
    rank: int
    """p; less than the number of features where some are combinations of others."""
    confidence: float
    """Of the intervals."""
    condition_number: float | None
    """2-norm, of the standardized features; None where they are dependent."""
    targets: dict[str, TargetStatistics]
    leverage: Leverage | None = None
    """None with a ridge, dependent features or more than 500, or where it is not known."""


LimitOf: TypeAlias = Literal["residuals", "spread", "size"]
_PARTS: dict[LimitOf, str] = {
    "residuals": "a hundredth of its residuals",
    "spread": "a 10,000th of the spread of its predictions",
    "size": "a 10,000th of its size",
}


class Fitness(Record, frozen=True, kw_only=True):
    """Whether an artifact's rounding is small beside what the model explains, of one target.

    docs/bounds.md, "Small enough", derives the rule.
    """

    rounding: float
    """What export, inputs and runtime move predictions by, as the rule counts it; target units."""
    limit: float
    """The most that is small enough, target units."""
    limit_of: LimitOf
    """What the limit is a part of: a hundredth of the residuals' standard deviation, a 10,000th of
    the spread of predictions over the range or, where nothing varies, of their size."""
    good_enough: bool
    """Whether the rounding is within the limit."""

    @property
    def fraction(self) -> float:
        """The rounding as a part of the limit."""
        return self.rounding / self.limit

    def described(self, target: str) -> str:
        """Say both in words."""
        return (
            f"rounding may move '{target}' by {self.rounding:.2g}, where {self.limit:.2g} "
            f"({_PARTS[self.limit_of]}) is small enough"
        )


class FitRecord(Record, frozen=True, kw_only=True):
    """How the model came about."""

    solver: str
    """Its name, or imported where the numbers came from elsewhere."""
    rows: int
    """Rows trained on, counted as in the metrics."""
    weights: Weighting | None = None
    """None where each row counts once."""
    rows_dropped: int = 0
    """Rows left out for a missing or non-finite value, as asked."""
    settings: dict[str, Setting] = {}
    """The solver's settings as used, defaults included."""
    coefficients: dict[str, Coefficients] = {}
    """By target name."""
    metrics: dict[str, dict[str, Metrics]] = {}
    """By part (training, test), then by target name."""
    optimum: dict[str, OptimumDistance] = {}
    """By target name."""
    losses: tuple[float, ...] = ()
    """After each epoch, or the last RECORDED_LOSSES of them: as Fit.losses."""
    statistics: FitStatistics | None = None
    """What least squares knows of the uncertainty; None for other solvers."""


@documented
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Gradients:
    """Of a minibatch's mean squared error, where its step was taken from, in the columns' units."""

    weight: "torch.Tensor"
    """Shape (K, D), target units times feature units."""
    bias: "torch.Tensor"
    """Shape (K,), target units."""
    epoch: int
    """Counted from 1."""
    minibatch: int
    """Its place in that epoch, counted from 1."""
    rows: int
    """In it."""


@documented
@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class Fit(Result):
    """A fit, how it came about and how good it is; all of it in the columns' own units."""

    model: "LinearModel"
    """The fit in float64, with each column's training range; centred where the solver centres."""
    record: FitRecord
    """Settings, coefficients in raw units, metrics, distance from the optimum. A solver says what
    it alone knows: the rows, settings that it chose itself, statistics; train() adds the rest."""
    encoding: "Encoding | None" = None
    """What makes the features of a table's columns; None where they are its columns."""
    module: "torch.nn.Linear | None" = None
    """The fit as a layer of torch, where the solver trains one: it takes the tensors trained on, in
    their dtype and where they lie. Its parameters' `grad` are those of `gradients`."""
    gradients: Gradients | None = None
    """The last minibatch's, where the solver has them."""
    losses: tuple[float, ...] = ()
    """After each epoch, where there are any: mean squared error over all training rows and targets,
    in `loss_unit`."""
    remedy: str = ""
    """What would bring the fit nearer to the least-squares optimum, for a sentence to the user."""
    warnings: tuple[str, ...] = ()
    """Sentences for the user: what fell short and what to do about it."""

    @property
    def coefficients(self) -> dict[str, Coefficients]:
        """By target name."""
        return self.record.coefficients

    @property
    def loss_unit(self) -> str:
        """Of `losses`, such as "USD squared"."""
        return loss_unit(self.model.targets)

    def __repr__(self) -> str:
        fit, columns = self.record, self.model.features
        lines = [f"{name} = {formula(as_text(fit, name, columns))}" for name in fit.coefficients]
        return "\n  ".join([f"Fit by {fit.solver} on {fit.rows} rows", *lines])


class EpochEnd(Record, frozen=True, kw_only=True):
    """One pass over the training rows is done."""

    epoch: int
    """Counted from 1."""
    epochs: int
    """How many there will be."""
    loss: float
    """Mean squared error over all training rows and targets, target units squared."""
    rows_per_second: float
    """Of this epoch, the evaluation of the loss included."""
    seconds_left: float
    """The epochs to come at this epoch's pace."""


OnEpoch: TypeAlias = Callable[[EpochEnd], None]


def loss_unit(targets: "Iterable[Column]") -> str:
    """Name the unit of a mean squared error."""
    unit, *others = {column.unit for column in targets}
    return f"{(not others and unit) or 'target units'} squared"


def as_text(
    fit: FitRecord, target: str, features: "Sequence[Column]", fewest: int = FEWEST_DIGITS
) -> Written:
    """Write one target's coefficients in as many digits as it takes to predict with them."""
    found, seen = fit.coefficients[target], fit.metrics.get("training", {}).get(target)
    rmse = seen.rmse if seen else None
    return written_coefficients(found.intercept, found.features, features, rmse, fewest=fewest)


def coefficients_by_target(
    feature_names: Sequence[str],
    target_names: Sequence[str],
    weight: Sequence[Sequence[float]],
    bias: Sequence[float],
) -> dict[str, Coefficients]:
    """Name the numbers of weight (K, D) and bias (K,), which are in raw feature units."""
    rows = [dict(zip(feature_names, row, strict=True)) for row in weight]
    return {
        target: Coefficients(intercept=intercept, features=row)
        for target, intercept, row in zip(target_names, bias, rows, strict=True)
    }
