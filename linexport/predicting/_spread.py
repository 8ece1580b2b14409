"""How far the truth of one new row may lie from its prediction, as least squares knows it.

D features x, one target, level p. With s and nu of the fit, t Student's quantile, h the leverage,

    prediction -+ t_((1 + p) / 2, nu) s sqrt(1 + h(x)),    h(x) = at_mean + |F'(x - mean)|**2

covers a new observation, of weight 1 where rows have weights, with probability p if errors are
normal: Seber and Lee, Linear Regression Analysis, 2nd ed., 2003, section 5.3.1. It is R's
`predict(interval = "prediction")` and the obs_ci of statsmodels' `get_prediction`.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from linexport._arrays import Float64Array, FloatArray
from linexport._asked import asked
from linexport._documented import documented
from linexport.errors import ConfigError, ModelError
from linexport.fit import FitRecord, Leverage


@documented
class Interval(NamedTuple):
    """Predictions and where the truth of such rows lies; each (N, K), target units."""

    prediction: FloatArray
    lower: FloatArray
    upper: FloatArray


class Spread:
    """What a fit says of the truth around its predictions."""

    def __init__(self, record: FitRecord, target_names: Sequence[str]) -> None:
        self._record = record
        self._names = tuple(target_names)

    def around(self, prediction: FloatArray, features: Float64Array, level: float) -> Interval:
        """Return the interval around each prediction (n, K), at features (n, D)."""
        with np.errstate(over="ignore"):  # far off, an end is infinite
            half = self._half_widths(features, level)
            ends: Any = np.stack([prediction - half, prediction + half]).astype(prediction.dtype)
        return Interval(prediction, *ends)

    def require(self, level: float) -> None:
        """Raise unless there are intervals.

        Raises:
            ConfigError: If the level is not between 0 and 1.
            ModelError: If the fit does not know its uncertainty, with the reason.
        """
        self.at_no_leverage(level)

    def _half_widths(self, features: Float64Array, level: float) -> Float64Array:
        lever = self.leverage
        # A prediction from a row that lacks a value is NaN, and so is this.
        seen = (features - lever.mean) @ self._factor
        leverage = lever.at_mean + np.einsum("nd,nd->n", seen, seen)
        return np.outer(np.sqrt(1 + leverage), self.at_no_leverage(level))

    def at_no_leverage(self, level: float) -> Float64Array:
        """Return t s, half an interval's width where the leverage is 0; shape (K,), target units.

        Raises:
            ModelError, ConfigError: As `require`.
        """
        if not 0 < level < 1:
            raise ConfigError(f"The level of an interval is between 0 and 1, as 0.95, not {level}.")
        if (self._deviations > 0).all() and (self._freedom > 0).all():
            from scipy import special  # takes long to load, and predicting does without

            # Of the lower tail, in which a level next to 1 leaves more than rounding.
            quantiles: Float64Array = -special.stdtrit(self._freedom, (1 - level) / 2)
            if np.isfinite(quantiles).all():  # not so of next to no degrees of freedom
                return quantiles * self._deviations
        raise unknown(self._why())

    @property
    def leverage(self) -> Leverage:
        """What the leverage of a row is made of.

        Raises:
            ModelError: If the fit does not know.
        """
        statistics = self._record.statistics
        if statistics is None or statistics.leverage is None:
            raise unknown(self._why())
        return statistics.leverage

    @cached_property
    def _factor(self) -> Float64Array:
        """F, shape (D, D)."""
        rows = self.leverage.factor
        factor = np.zeros((len(rows), len(rows)))
        factor[np.tril_indices(len(rows))] = [value for row in rows for value in row]
        return factor

    @cached_property
    def _deviations(self) -> Float64Array:
        """Of the residuals, s, shape (K,); 0 where it is not known."""
        statistics = self._record.statistics
        if statistics is None or statistics.leverage is None:
            return np.zeros(len(self._names))
        known = (statistics.targets.get(name) for name in self._names)
        return np.array([(each and each.residual_standard_deviation) or 0.0 for each in known])

    @cached_property
    def _freedom(self) -> Float64Array:
        statistics = self._record.statistics
        assert statistics is not None, "the leverage is known"
        return np.array([statistics.targets[name].degrees_of_freedom for name in self._names])

    def _why(self) -> str:
        record = self._record
        if record.statistics is None:
            what = "numbers from elsewhere" if record.solver == "imported" else record.solver
            return f"{what} do not tell it" if what[0] == "n" else f"{what} does not tell it"
        if record.statistics.leverage is None:
            return (
                "it is kept of fits without a ridge, of independent features, at most 500 of them"
            )
        return "nothing is left of the residuals to tell it from"


def known_spread(spread: Spread | None) -> Spread:
    """Return what a predictor's fit knows of intervals.

    Raises:
        ModelError: If there is no fit.
    """
    if spread is None:
        raise unknown("the fit is in a bundle's manifest, and this is a single file")
    return spread


def unknown(why: str) -> ModelError:
    """Say that there are no intervals, and what has them."""
    return ModelError(
        f"There are no prediction intervals: the uncertainty of the fit is not known, as {why}. "
        f"Fit the table with {asked(solver='lstsq')}, or ask for no interval."
    )
