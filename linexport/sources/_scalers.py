"""What scikit-learn's scalers make of each value on its own, and of a target that they scaled."""

from typing import Any, NamedTuple

import numpy as np

from linexport.errors import ModelError
from linexport.numerics import Values
from linexport.sources._estimators import fitted, kind_of, numbers

__all__ = ["SCALERS"]


class _Scaler(NamedTuple):
    """How a kind of scaler names its numbers, and the settings that leave them out.

    x becomes (x - center) / divisor; or the other way round x * divisor + center.
    """

    center: str | None
    divisor: str
    with_center: str = ""
    with_divisor: str = ""
    stretches: bool = False

    def applied(self, scaler: Any, values: Values, *, back: bool = False) -> Values:
        """Return what a scaler makes of values, or what it made them of.

        Raises:
            ModelError: If it is not fitted, or not linear.
        """
        if getattr(scaler, "clip", False):
            raise ModelError(
                f"{kind_of(scaler)}(clip=True) is not linear: it holds values at the ends of the "
                "range. Set clip=False and fit again."
            )
        # A step left out may have left numbers nevertheless.
        width = int(fitted(scaler, "n_features_in_"))
        has_center = getattr(scaler, self.with_center, True)
        center = np.zeros(width)
        if self.center and has_center:
            center = numbers(scaler, self.center)
        has_divisor = getattr(scaler, self.with_divisor, True)
        divisor = numbers(scaler, self.divisor) if has_divisor else np.ones(width)
        if back != self.stretches:
            return values.times(divisor).plus(center)
        if not np.all(divisor):
            raise ModelError(f"{kind_of(scaler)}.{self.divisor} is 0, by which it divides.")
        return values.plus(-center).over(divisor)


SCALERS = {
    "StandardScaler": _Scaler("mean_", "scale_", "with_mean", "with_std"),
    "MinMaxScaler": _Scaler("min_", "scale_", stretches=True),
    "MaxAbsScaler": _Scaler(None, "scale_"),
    "RobustScaler": _Scaler("center_", "scale_", "with_centering", "with_scaling"),
}
