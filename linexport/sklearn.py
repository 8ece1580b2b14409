"""`LinearRegressor`, linexport's least squares as an estimator of scikit-learn.

It needs the extra `linexport[sklearn]`. N rows, D features, K targets.
"""

import warnings
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    check_non_negative,
    validate_data,
)

import linexport
from linexport._arrays import Float64Array
from linexport.columns import Column, default_columns
from linexport.errors import ConfigError

__all__ = ["LinearRegressor"]

_OURS = {"l2": "alpha", "intercept": "fit_intercept"}
"""What scikit-learn calls settings."""


class LinearRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Ordinary least squares or ridge regression, solved to the last digit, that exports itself.

    Minimizes ||y - X w - b||**2 + alpha ||w||**2, as `Ridge` does. Sums are taken in double-double,
    so that columns far from zero, or nearly dependent, cost no digits.

    Args:
        alpha: Ridge penalty, at least 0; the bias is never penalized.
        fit_intercept: With a bias b.
        rank_deficient: "minimum-norm" takes the shortest w of those that fit equally well, as
            `LinearRegression` does; "error" refuses linearly dependent features, by their names.

    Attributes:
        coef_: Shape (D,), or (K, D) where y is a matrix.
        intercept_: A float, or shape (K,); 0 without a bias.
        stderr_: Shape of `coef_`: standard errors, NaN where none is defined.
        intercept_stderr_: Shape of `intercept_`.
        fit_: The `linexport.Fit`, with all statistics.
        n_features_in_: D.
        feature_names_in_: Shape (D,), where X has names that are text.

    Example:
        >>> from linexport.sklearn import LinearRegressor
        >>> model = LinearRegressor().fit([[0.0], [1.0], [2.0]], [4.0, 6.0, 8.0])
        >>> float(model.coef_[0]), float(model.intercept_)
        (2.0, 4.0)
    """

    def __init__(
        self,
        *,
        alpha: float = 0.0,
        fit_intercept: bool = True,
        rank_deficient: str = "minimum-norm",
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.rank_deficient = rank_deficient

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Fit to rows.

        Args:
            X: Shape (N, D), finite; a data frame's names become those of the features.
            y: Shape (N,) or (N, K), finite.
            sample_weight: Shape (N,), at least 0: each a precision, the inverse of a variance.

        Raises:
            ValueError: If rows or settings cannot be used.
            TrainingError: If features are linearly dependent and `rank_deficient` is "error".
        """
        rows = self._rows(X, y, sample_weight, least=2)
        self._state: linexport.State | None = None
        return self._take(linexport.train(rows, solver=self._settings()))

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Fit to these rows and to those of all calls before, as `fit` would to all of them.

        What is kept of rows are exact sums (`linexport.State`), of a size that depends on D and K
        alone; in whatever order and portions rows come, the fit is the same to the last bit.

        Args:
            X: As for `fit`; the first call needs rows that differ, any other one row.
            y: As for `fit`.
            sample_weight: As for `fit`, in each call or in none.

        Raises:
            ValueError: As `fit`.
            TrainingError: As `fit`.

        After `fit`, which keeps no sums of its rows, it begins anew, with a warning.
        """
        state = getattr(self, "_state", None)
        if state is None and hasattr(self, "fit_"):
            warnings.warn(
                "fit keeps no sums of its rows, so partial_fit leaves them out and begins anew: "
                "give all rows to partial_fit.",
                stacklevel=2,
            )
        first = state is None
        rows = self._rows(X, y, sample_weight, least=2 if first else 1, reset=first)
        self._state = linexport.State() if state is None else state
        return self._take(self._state.update(rows).fit(self._settings()))

    def predict(self, X: Any) -> Float64Array:  # noqa: N803
        """Predict, in float64: (N, D) -> (N,) or (N, K), as y was."""
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=np.float64)
        model = self.fit_.model
        centred = rows if model.mean is None else rows - model.mean
        predicted = centred @ model.weight.T + model.bias
        return np.asarray(predicted[:, 0] if self._one_target else predicted)

    def export(
        self,
        output: str | Path,
        *,
        config: "linexport.ExportConfig | None" = None,
        overwrite: bool = False,
    ) -> "linexport.Exported":
        """Write a proven bundle, as `linexport.export` does, with the statistics of the fit.

        Raises:
            LinexportError: As `linexport.export`.
        """
        check_is_fitted(self)
        return linexport.export(self.fit_, output, config=config, overwrite=overwrite)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "fit_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.input_tags.sparse = False
        return tags

    def _settings(self) -> "linexport.LeastSquaresConfig":
        try:
            return linexport.LeastSquaresConfig(
                l2=self.alpha,
                intercept=self.fit_intercept,
                rank_deficient=self.rank_deficient,  # type: ignore[arg-type]  # checked there
            )
        except ConfigError as error:
            theirs = _OURS.get(error.setting, error.setting)
            raise ConfigError(error.problem, setting=theirs) from error

    def _rows(
        self,
        X: Any,  # noqa: N803
        y: Any,
        sample_weight: Any,
        *,
        least: int,
        reset: bool = True,
    ) -> "linexport.Dataset":
        """Check what scikit-learn's users may pass, by scikit-learn's own means."""
        named = getattr(y, "name", None)
        X, y = validate_data(  # noqa: N806
            self,
            X,
            y,
            reset=reset,
            dtype=(np.float64, np.float32),
            multi_output=True,
            y_numeric=True,
            ensure_min_samples=least,
        )
        self._one_target = y.ndim == 1
        targets = y.reshape(len(y), -1)
        roundoff = [np.finfo(part.dtype).eps / 2 for part in (X, targets.astype(X.dtype))]
        self._target_named = self._one_target and isinstance(named, str) and bool(named)
        names = [named] if self._target_named else None
        return linexport.Dataset(
            feature_values=X.astype(np.float64),
            target_values=targets.astype(np.float64),
            features=_columns("x", X.shape[1], getattr(self, "feature_names_in_", None)),
            targets=_columns("y", targets.shape[1], names),
            source="X, y",
            unit_roundoff=np.repeat(roundoff, [X.shape[1], targets.shape[1]]),
            **_weighting(sample_weight, y),
        ).described()

    def _take(self, fit: "linexport.Fit") -> Self:
        self.fit_ = fit
        found = list(fit.coefficients.values())
        assert fit.record.statistics is not None  # least squares always has them
        tested = list(fit.record.statistics.targets.values())
        self.coef_ = self._shaped([list(each.features.values()) for each in found])
        self.intercept_ = self._shaped([each.intercept for each in found])
        self.stderr_ = self._shaped([[_error(s) for s in t.features.values()] for t in tested])
        self.intercept_stderr_ = self._shaped([_error(t.intercept) for t in tested])
        return self

    def _shaped(self, by_target: list[Any]) -> Any:
        values = np.array(by_target, np.float64)
        return values[0] if self._one_target else values


def _weighting(sample_weight: Any, y: Any) -> dict[str, Any]:
    if sample_weight is None:
        return {}
    weights = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weights.ndim != 1:
        raise ValueError(f"sample_weight must have shape (rows,), got {weights.shape}.")
    check_consistent_length(weights, y)
    check_non_negative(weights, "sample_weight")
    if not weights.any():
        raise ValueError(
            "sample_weight is zero in every row: give one row at least a weight above 0."
        )
    return {
        "weights": weights,
        "weighting": linexport.Weighting(column="sample_weight", kind="precision"),
    }


def _columns(prefix: str, count: int, names: Any) -> tuple[Column, ...]:
    if names is None:
        return default_columns(prefix, count)
    return tuple(Column(name=name) for name in names)


def _error(statistics: "linexport.CoefficientStatistics | None") -> float:
    error = None if statistics is None else statistics.standard_error
    return np.nan if error is None else error
