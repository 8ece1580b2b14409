"""Array aliases, and what every runtime takes and gives. N = rows, D = features, K = targets."""

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from linexport.errors import DataError

Float64Array: TypeAlias = NDArray[np.float64]
FloatArray: TypeAlias = NDArray[np.float32] | NDArray[np.float64]
FloatDType: TypeAlias = np.dtype[Any]  # float32 or float64

_NARROWEST = 4  # bytes of float32, which holds narrower numbers exactly


def has_masked(values: Any) -> bool:
    """Tell whether an array, or one in a list of them, hides some of its values."""
    arrays = values if isinstance(values, list | tuple) else [values]
    return any(
        isinstance(array, np.ndarray) and hasattr(array, "mask") and np.any(array.mask)
        for array in arrays
    )


def tensor_to_numpy(tensor: Any, source: str, column: str | None = None) -> NDArray[Any]:
    """Return the numbers of a tensor, which may need gradients and be on any device.

    Raises:
        DataError: If it has none, or NumPy has no array for them: of a meta or a sparse tensor.
    """
    try:
        values = tensor.detach().cpu()
        if values.is_floating_point() and values.element_size() < _NARROWEST:
            values = values.float()  # NumPy has neither bfloat16 nor float8
        array: NDArray[Any] = values.resolve_neg().numpy()
    except (RuntimeError, TypeError) as error:
        raise DataError(
            f"A tensor of {tensor.dtype} ({tensor.layout}, on {tensor.device}) is no array; make "
            "it a dense one of float32 first.",
            source=source,
            column=column,
        ) from error
    return array


def as_features(
    values: NDArray[Any], dtype: FloatDType, num_features: int, *, order: Literal["C", "K"] = "C"
) -> FloatArray:
    """Return an (N, D) array of the artifact's dtype, a copy only where needed.

    It is contiguous, unless it may keep its order (K).

    Values that the dtype cannot hold are rounded to nearest, as IEEE 754 has it: beyond the largest
    number lies infinity.

    Raises:
        DataError: If the array is not (N, D) or not numeric.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise DataError(f"Features must be numbers, got an array of {array.dtype}.")
    if array.ndim != 2 or array.shape[1] != num_features:
        raise DataError(wrong_shape("Features", array.shape, num_features))
    with np.errstate(over="ignore"):
        return np.asarray(array, dtype=dtype, order=order)


def wrong_shape(what: str, shape: tuple[int, ...], num_features: int) -> str:
    """Say which shape features have, and how to write what was meant, where that can be told.

    An array of one axis is the one feature of many rows, if the model has one, else a row.
    """
    hint = ""
    if len(shape) == 1 == num_features:
        hint = "; with one feature, each number is a row: values.reshape(-1, 1)"
    elif shape == (num_features,):
        hint = "; a single row is values.reshape(1, -1)"
    elif len(shape) == 2 and shape[0] == num_features:
        hint = "; rows stand below one another: values.T"
    return f"{what} must have shape (rows, {num_features}), got {shape}{hint}."


def as_prediction(values: Any) -> FloatArray:
    """Return (N, K); some exporters drop the axis of a single target."""
    prediction = np.asarray(values)
    return prediction[:, None] if prediction.ndim == 1 else prediction


def pair(values: object) -> tuple[Any, Any]:
    """Return features and target of a tuple or list of the two.

    Raises:
        DataError: If it is anything else.
    """
    if not (isinstance(values, tuple | list) and len(values) == 2):
        size = f" of {len(values)}" if isinstance(values, tuple | list) else ""
        raise DataError(
            f"Expected a pair, features and target, got a {type(values).__name__}{size}."
        )
    return values[0], values[1]
