"""The value that every layer speaks: a linear model as plain arrays and names."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import FloatArray, FloatDType
from linexport._documented import documented
from linexport._shown import Shown
from linexport.columns import Column, default_columns
from linexport.errors import ModelError

__all__ = ["LinearModel"]


@documented
@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class LinearModel(Shown):
    """K linear functions of D features, in one of two forms.

    It means the exact real number W (x - mean) + b where *centred*, W x + b where *folded*. The
    arrays are read-only, contiguous and of one dtype, in which the sum is taken; a model is valid
    from birth.
    """

    weight: FloatArray
    """Shape (K, D), target units per feature unit."""
    bias: FloatArray
    """Shape (K,), target units: the prediction at the mean where centred, at 0 where folded."""
    mean: FloatArray | None = None
    """Shape (D,), feature units; None where folded."""
    features: tuple[Column, ...] = ()
    """D columns, in the order of the input; x1, x2, ... if not given."""
    targets: tuple[Column, ...] = ()
    """K columns, in the order of the output; y, or y1, y2, ... if not given."""
    dtype: FloatDType = cast("FloatDType", None)  # noqa: RUF009 - replaced at birth
    """Of input and output: the arrays' if not given, or float32 where those are float64."""

    def __post_init__(self) -> None:
        weight = np.asarray(self.weight)
        dtype = weight.dtype.newbyteorder("=")
        if dtype not in (np.float32, np.float64):
            raise ModelError(f"weight must be float32 or float64, got {weight.dtype}.")
        outside = dtype if self.dtype is None else np.dtype(self.dtype).newbyteorder("=")
        if outside not in (dtype, np.float32):
            allowed = "float32" if dtype == np.float32 else "float32 or float64"
            raise ModelError(f"dtype must be {allowed} with {dtype} numbers, got {outside}.")
        object.__setattr__(self, "dtype", outside)
        if weight.ndim != 2 or 0 in weight.shape:
            raise ModelError(f"weight must have shape (targets, features), got {weight.shape}.")
        num_targets, num_features = weight.shape
        self._freeze("weight", dtype, (num_targets, num_features))
        self._freeze("bias", dtype, (num_targets,))
        if self.mean is not None:
            self._freeze("mean", dtype, (num_features,))
        self._name("features", num_features, "x")
        self._name("targets", num_targets, "y")

    def __repr__(self) -> str:
        shape = f"{self.num_features} features -> {self.num_targets} targets"
        return f"LinearModel({shape}, {self.dtype}, {self.form})"

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        *,
        features: Sequence[Column | str] = (),
        targets: Sequence[Column | str] = (),
        dtype: FloatDType | None = None,
    ) -> "LinearModel":
        """Make a model of the arrays that `arrays()` returns, by name; columns may be mere names.

        The dtype is that of input and output: the arrays' if not given.

        Raises:
            ModelError: If they are not weight and bias, with mean or without, or do not fit
                together.
        """
        if arrays.keys() not in ({"weight", "bias"}, {"weight", "bias", "mean"}):
            raise ModelError(
                f"The numbers are {', '.join(sorted(arrays)) or 'missing'}; weight and bias are "
                "needed, with mean or without."
            )
        return cls(
            weight=arrays["weight"],
            bias=arrays["bias"],
            mean=arrays.get("mean"),
            features=_columns(features),
            targets=_columns(targets),
            dtype=cast("FloatDType", dtype),
        )

    @property
    def accumulate(self) -> FloatDType:
        """In which the sum is taken: the arrays' dtype, as wide as that of the output or wider."""
        return self.weight.dtype

    @property
    def num_features(self) -> int:
        """D."""
        return int(self.weight.shape[1])

    @property
    def num_targets(self) -> int:
        """K."""
        return int(self.weight.shape[0])

    @property
    def feature_names(self) -> tuple[str, ...]:
        """D names, in the order of the input."""
        return tuple(column.name for column in self.features)

    @property
    def target_names(self) -> tuple[str, ...]:
        """K names, in the order of the output."""
        return tuple(column.name for column in self.targets)

    @property
    def form(self) -> Literal["folded", "centred"]:
        """Whether the mean is part of the bias or kept apart."""
        return "folded" if self.mean is None else "centred"

    def arrays(self) -> dict[str, FloatArray]:
        """Return the numbers by name: weight, bias and, where centred, mean."""
        arrays = {"weight": self.weight, "bias": self.bias}
        return arrays if self.mean is None else arrays | {"mean": self.mean}

    def same_function(self, other: "LinearModel") -> bool:
        """Tell whether both hold the same bits, and take and give the same dtype."""
        return self.dtype == other.dtype and self.same_numbers(other)

    def same_numbers(self, other: "LinearModel") -> bool:
        """Tell whether both hold the same bits; names, input and output do not matter."""
        ours, theirs = self.arrays(), other.arrays()
        return ours.keys() == theirs.keys() and all(
            ours[name].dtype == theirs[name].dtype
            and ours[name].shape == theirs[name].shape
            and ours[name].tobytes() == theirs[name].tobytes()
            for name in ours
        )

    def widened(self) -> "LinearModel":
        """Return the same numbers in float64, which holds float32 exactly, input and output too."""
        arrays = {name: array.astype(np.float64) for name, array in self.arrays().items()}
        return LinearModel.from_arrays(arrays, features=self.features, targets=self.targets)

    def with_columns(self, features: Sequence[Column], targets: Sequence[Column]) -> "LinearModel":
        """Return the same numbers under other names.

        Raises:
            ModelError: If there are not D features and K targets, or a name occurs twice.
        """
        return replace(self, features=tuple(features), targets=tuple(targets))

    def _freeze(self, name: str, dtype: FloatDType, shape: tuple[int, ...]) -> None:
        # A copy in the machine's byte order that nobody else can write to.
        array = np.array(getattr(self, name), order="C", copy=True)
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        if array.dtype != dtype or array.shape != shape:
            raise ModelError(
                f"{name} must be {dtype} of shape {shape}, "
                f"got {array.dtype} of shape {array.shape}."
            )
        wrong = np.argwhere(~np.isfinite(array))
        if len(wrong):
            place = tuple(int(index) for index in wrong[0])
            raise ModelError(f"{name} has the value {array[place]} at {place}; it must be finite.")
        array.flags.writeable = False
        object.__setattr__(self, name, array)

    def _name(self, field: str, count: int, prefix: str) -> None:
        columns = tuple(getattr(self, field)) or default_columns(prefix, count)
        if len(columns) != count:
            raise ModelError(f"{count} {field} need {count} names, got {len(columns)}.")
        if len({column.name for column in columns}) != count:
            ((twice, _),) = Counter(column.name for column in columns).most_common(1)
            raise ModelError(f"Two {field} are named '{twice}'; rename one.")
        object.__setattr__(self, field, columns)


def _columns(columns: Sequence[Column | str]) -> tuple[Column, ...]:
    return tuple(Column(name=c) if isinstance(c, str) else c for c in columns)
