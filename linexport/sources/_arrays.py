"""Plain arrays by name, as people keep them and as a state_dict has them.

    weight   (K, D), or (D,) of a single target
    bias     (K,), or a number; 0 where there is none
    mean     (D,), 0 where there is none
    scale    (D,), 1 where there is none: ((x - mean) * scale) @ weight.T + bias

A common prefix, as in `linear.weight` and `linear.bias`, does not matter.

A state_dict has names too, but who gave them meant other things by them: a module divides by its
`scale` as likely as not. Of one only a weight and a bias are taken, as nn.Linear has them.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linexport import bundle
from linexport._arrays import Float64Array, has_masked
from linexport.errors import ModelError
from linexport.model import LinearModel
from linexport.numerics import input_columns, linear_model
from linexport.sources._reading import Imported

__all__ = ["as_float64", "decode", "read", "read_layer"]

LARGEST_HEADER = 1 << 20
"""Bytes of a safetensors file; two tensors need a hundred, the rest is for notes that others keep
in the file."""

_NAMES = frozenset({"weight", "bias", "mean", "scale"})
_LAYER = frozenset({"weight", "bias"})
"""What nn.Linear calls its tensors."""
_OWN = frozenset({"weight", "bias", "mean"})
"""What a bundle's weights.safetensors holds, if it is centred; docs/format.md."""
_AS_ARRAYS = (
    "Pass the module itself, from Python; or NumPy arrays by the names weight, bias, mean and "
    "scale, if ((x - mean) * scale) @ weight.T + bias is meant."
)


def read(
    arrays: Mapping[str, Any],
    source: str = "arrays",
    convert: Callable[[Any, str], Float64Array] | None = None,
    *,
    names: frozenset[str] = _NAMES,
) -> Imported:
    """Read a model, in float32 where all its numbers are and nothing is computed of them.

    Args:
        arrays: Numbers by name.
        source: What they came from.
        convert: Makes an array of float64 of numbers and their name; what NumPy can if not given.
        names: Those that may be there.

    Raises:
        ModelError: If the names are not those of one linear layer, or the shapes do not fit.
    """
    _require_no_dump(arrays)
    convert = convert or as_float64
    numbers = {name: convert(array, name) for name, array in _without_prefix(arrays, names).items()}
    scale = numbers.pop("scale", None)
    in_float32 = all(str(getattr(a, "dtype", "")).endswith("float32") for a in arrays.values())
    if in_float32 and scale is None:
        numbers = {name: array.astype(np.float32) for name, array in numbers.items()}
    weight = np.atleast_2d(numbers["weight"])
    if weight.ndim != 2 or 0 in weight.shape:
        raise ModelError(f"weight must have shape (targets, features), got {weight.shape}.")
    if len(weight) > 1 == weight.shape[1] and np.size(numbers.get("bias", 0)) != len(weight):
        raise ModelError(_as_column(len(weight)))
    bias = np.atleast_1d(numbers.get("bias", np.zeros(len(weight), weight.dtype)))
    model = LinearModel(weight=weight, bias=bias, mean=numbers.get("mean"))
    if scale is not None:
        model = _unscaled(weight, bias, numbers.get("mean"), scale)
    return Imported(model=model, source=source)


def read_layer(
    tensors: Mapping[str, Any], source: str, convert: Callable[[Any, str], Float64Array]
) -> Imported:
    """Read a state_dict, which is that of one nn.Linear if anything.

    Raises:
        ModelError: If the names, or the shapes, are those of other layers.
    """

    def converted(tensor: Any, name: str) -> Float64Array:
        values = convert(tensor, name)
        if name == "weight" and values.ndim == 1:
            raise ModelError(
                f"weight has shape {values.shape}, where nn.Linear has (targets, features): the "
                f"names do not say what another layer does with it. {_AS_ARRAYS}"
            )
        return values

    return read(tensors, source, converted, names=_LAYER)


def decode(data: bytes) -> Imported:
    """Read a model from a safetensors file that may be anything: ours, or with a state_dict.

    Raises:
        ArtifactError: If it is damaged, or holds numbers of another type.
        ModelError: If its numbers are not those of a linear model.
    """
    numbers = bundle.decode_arrays(data, largest_header=LARGEST_HEADER, narrow=True)
    names = _OWN if numbers.keys() == _OWN else _LAYER
    return read(numbers, source="safetensors", names=names)


def _require_no_dump(arrays: Mapping[str, Any]) -> None:
    """Refuse what XGBoost's get_dump writes of gblinear, which is not all that it predicts with."""
    if list(arrays) != ["bias", "weight"] or not all(isinstance(a, list) for a in arrays.values()):
        return
    if arrays["weight"] and not isinstance(arrays["weight"][0], list):
        raise ModelError(
            "This is as XGBoost's get_dump writes gblinear: rounded, and without base_score. Write "
            "booster.save_model('model.json'), and pass that. If it is not XGBoost's, write "
            '"weight" before "bias".'
        )


def _as_column(size: int) -> str:
    """Say why a weight of shape (D, 1) is not taken: X @ w has it so, a layer the other way."""
    return (
        f"weight has shape ({size}, 1), which as (targets, features) means {size} targets of one "
        f'feature: for one target of {size} features pass {{"weight": weight.T, "bias": 0.0}}, of '
        f'shape (1, {size}); for {size} targets pass {{"weight": weight, "bias": [0.0] * {size}}}, '
        "with the biases there are."
    )


def _unscaled(
    weight: Float64Array, bias: Float64Array, mean: Float64Array | None, scale: Float64Array
) -> LinearModel:
    """Multiply a scale into the weight."""
    values = input_columns(weight.shape[1])
    if scale.shape != (values.width,):
        raise ModelError(f"scale must have shape ({values.width},), got {scale.shape}.")
    values = values if mean is None else values.plus(-mean)
    return linear_model(values.times(scale).through(weight).plus(bias), values.width)


def as_float64(array: Any, name: str, *, to_nearest: bool = False) -> Float64Array:
    """Return numbers in float64, which holds float32 and narrower ones exactly.

    Args:
        array: The numbers.
        name: Of them, for messages.
        to_nearest: Whether a whole number beyond 2^53 is rounded, as one in JSON is.

    Raises:
        ModelError: If they are no real numbers, masked, or more precise than float64.
    """
    if has_masked(array):
        raise ModelError(f"{name} has masked values; a model is made of known numbers.")
    try:
        values = np.asarray(array)
    except ValueError as error:  # rows of different lengths
        raise ModelError(f"{name} is no array of numbers: {error}.") from error
    if values.dtype.kind not in "fiu" or values.dtype.itemsize > 8:
        raise ModelError(
            f"{name} is {values.dtype}; it must be real numbers, at most as wide as float64."
        )
    converted: Float64Array = values.astype(np.float64)
    if not to_nearest and values.dtype.kind in "iu":
        _require_held(values, converted, name)
    return converted


def _require_held(values: NDArray[Any], converted: Float64Array, name: str) -> None:
    """Refuse whole numbers of which float64 loses digits."""
    large = np.abs(converted) >= 2.0**53
    for whole, held in zip(values[large], converted[large], strict=True):
        if int(whole) != int(held):
            raise ModelError(
                f"{name} has the whole number {whole}, of which float64 has {int(held)}: if that "
                f"will do, pass numpy.asarray({name}, float)."
            )


def _without_prefix(arrays: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """Take names without the prefix that a module around the layer gave them."""
    parts = [str(name).rpartition(".") for name in arrays]
    prefixes = {prefix for prefix, _, _ in parts}
    plain = {name: array for (_, _, name), array in zip(parts, arrays.values(), strict=True)}
    if len(prefixes) == 1 and {"weight"} <= plain.keys() <= names:
        return plain
    raise ModelError(_other_names(arrays, plain.keys(), names))


def _other_names(arrays: Mapping[str, Any], plain: Collection[str], names: frozenset[str]) -> str:
    """Say why these are not the names of one linear model."""
    listed = ", ".join(sorted(map(str, arrays))[:8]) or "nothing"
    if "running_mean" in plain or "running_var" in plain:
        return (
            f"Found {listed}: a BatchNorm, whose epsilon is not among these numbers. Pass the "
            "module itself, from Python."
        )
    scaling = [name for name in ("mean", "scale") if name in plain]
    if names != _NAMES and scaling:
        return (
            f"Found {listed}: the names do not say what is done with {' and '.join(scaling)}; a "
            f"module may subtract, multiply, divide, or do nothing. {_AS_ARRAYS}"
        )
    if names != _NAMES:
        return (
            f"Found {listed}: a state_dict is taken for that of one nn.Linear, so it has one "
            "weight, with or without a bias, and nothing else. Pass the module itself, from "
            'Python; or, of one layer alone, {"weight": w, "bias": b}.'
        )
    return (
        f"Found {listed}: a linear model is one weight, with or without a bias, a mean and a "
        f'scale, by these names: pass {{"weight": w, "bias": b}}, or of several layers the module '
        "itself, from Python. They mean ((x - mean) * scale) @ weight.T + bias, so that what "
        "divides, such as std, is the scale 1 / std."
    )
