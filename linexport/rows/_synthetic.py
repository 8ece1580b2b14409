"""Synthetic rows of a known linear model.

N rows, D features, K targets: features ~ N(0, 1), target = features @ weight.T + bias +
N(0, noise_std**2). The defaults are the example of Zhang et al., Dive into Deep Learning, chapter
on linear regression: w = (2, -3.4), b = 4.2, 1000 rows, noise 0.01.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from linexport._arrays import Float64Array
from linexport.columns import default_columns
from linexport.errors import ConfigError, DataError
from linexport.rows._config import SyntheticConfig
from linexport.rows._dataset import Dataset
from linexport.rows._inputs import as_array

if TYPE_CHECKING:
    import torch


def synthesize(
    weight: Any = (2.0, -3.4),
    bias: Any = 4.2,
    num_rows: int = 1000,
    noise_std: float = 0.01,
    seed: int = 0,
) -> Dataset:
    """Draw rows whose true weight and bias are known.

    Every number is a float32, so that training in either dtype sees the same data; the target is
    computed in float64 from the rounded features, then rounded once.

    Args:
        weight: Shape (D,), or (K, D) for K targets; numbers, an array or a tensor.
        bias: A number, which all targets share, or shape (K,).
        num_rows: N, at least 1.
        noise_std: Standard deviation of the noise, in target units; 0 or more.
        seed: Of NumPy's PCG64; the same seed gives the same bits.

    Raises:
        ConfigError: If an argument is outside this, or a target passes float32's range.
    """
    true_weight, true_bias = _parameters(weight, bias)
    SyntheticConfig(num_rows=num_rows, noise_std=noise_std, seed=seed)
    num_targets, num_features = true_weight.shape
    random = np.random.Generator(np.random.PCG64(seed))
    features = _rounded(random.standard_normal((num_rows, num_features)))
    target = random.standard_normal((num_rows, num_targets)) * noise_std + true_bias
    for feature in range(num_features):  # not a matrix product, whose bits depend on the machine
        target += features[:, feature, np.newaxis] * true_weight[:, feature]
    with np.errstate(over="ignore"):
        target = _rounded(target)
    if not np.isfinite(target).all():
        raise ConfigError("weight, bias or noise_std is too large: a target is beyond float32.")
    return Dataset(
        feature_values=features,
        target_values=target,
        features=default_columns("x", num_features),
        targets=default_columns("y", num_targets),
        source="synthetic data",
        tensor_dtype="float32",
        true_weight=true_weight,
        true_bias=true_bias,
    ).described()


def synthetic_data(
    weight: Any = (2.0, -3.4),
    bias: Any = 4.2,
    num_rows: int = 1000,
    noise_std: float = 0.01,
    seed: int = 0,
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Draw the rows of `synthesize` as float32 tensors: features (N, D) and target (N, K).

    Raises:
        ConfigError: As `synthesize`.
    """
    import torch

    dataset = synthesize(weight, bias, num_rows, noise_std, seed)
    return (
        torch.from_numpy(dataset.feature_values.astype(np.float32)),
        torch.from_numpy(dataset.target_values.astype(np.float32)),
    )


def _parameters(weight: Any, bias: Any) -> tuple[Float64Array, Float64Array]:
    try:
        true_weight = as_array(weight, "weight").astype(np.float64)
        true_bias = as_array(bias, "bias").astype(np.float64)
    except DataError as error:
        raise ConfigError(str(error)) from error
    if true_weight.ndim == 1:
        true_weight = true_weight[np.newaxis]
    if true_weight.ndim != 2 or 0 in true_weight.shape:
        raise ConfigError(
            f"weight must have shape (features,) or (targets, features), got {true_weight.shape}."
        )
    num_targets = len(true_weight)
    if true_bias.shape not in ((), (num_targets,)):
        raise ConfigError(
            f"bias must be one number or {num_targets}, one for each target, got shape "
            f"{true_bias.shape}."
        )
    true_bias = np.broadcast_to(true_bias, num_targets).copy()
    if not (np.isfinite(true_weight).all() and np.isfinite(true_bias).all()):
        raise ConfigError("weight and bias must be finite.")
    return true_weight, true_bias


def _rounded(values: Float64Array) -> Float64Array:
    """Round to the nearest float32, kept as float64."""
    return values.astype(np.float32).astype(np.float64)
