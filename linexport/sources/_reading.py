"""Telling what a source is, and having it read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from linexport.columns import Column
from linexport.errors import ModelError
from linexport.model import LinearModel
from linexport.sources import _arrays as arrays
from linexport.sources import _coefficients as coefficients
from linexport.sources._found import Found, named

__all__ = ["Imported", "read_model", "read_reference"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Imported:
    """A model from elsewhere."""

    model: LinearModel
    """Float64, which holds the source's float32 numbers exactly; with a mean where it has one."""
    source: str
    """What it came from, such as "scikit-learn Ridge"; no path."""


def read_model(
    source: Any,
    *,
    features: Sequence[Column | str] = (),
    targets: Sequence[Column | str] = (),
) -> Imported:
    """Read a linear model from anywhere.

    Args:
        source: A LinearModel; an nn.Linear or nn.Sequential, or a state_dict; a fitted scikit-learn
            regressor or Pipeline; statsmodels results; arrays or coefficients by name; an ONNX
            ModelProto; the path of a bundle, or of a file whose suffix says what it holds.
        features: Names in the order of the input, where the source has none; a Column states a
            unit or a range too. x1, x2, ... if not given.
        targets: Likewise, in the order of the output; y, or y1, y2, ... if not given.

    Raises:
        ModelError: If it is no linear model, or cannot be told to be one.
        ArtifactError: If it is a file that cannot be used.
    """
    found = _read(source)
    return Imported(model=named(found, features, targets), source=found.source)


def read_reference(source: Any) -> LinearModel:
    """Read a linear model from anywhere, in the precision that it has there.

    Raises:
        ModelError: As `read_model`.
        ArtifactError: As `read_model`.
    """
    return _read(source).model


def _read(source: Any) -> Found:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return _read_any(source)  # LinearModel refuses what is not finite


def _read_any(source: Any) -> Found:
    if isinstance(source, str | Path):
        from linexport.sources import _files as files

        return files.read(Path(source))
    if isinstance(source, LinearModel):
        return Found(model=source, source="LinearModel", features_named=True, targets_named=True)
    if isinstance(source, Mapping):
        return _read_mapping(source)
    origins = _origins(source)
    if "torch" in origins:
        from linexport.sources import _torch_modules as torch_modules

        return torch_modules.read(source)
    if "sklearn" in origins:
        from linexport.sources import _scikit_learn as scikit_learn

        return scikit_learn.read(source)
    if "statsmodels" in origins:
        from linexport.sources import _statsmodels as statsmodels

        return statsmodels.read(source)
    if type(source).__name__ == "ModelProto":
        from linexport.sources import _onnx as onnx

        return onnx.decode(source.SerializeToString())
    raise ModelError(
        f"A {type(source).__name__} is no model that is known here: docs/sources.md lists what is "
        "taken."
    )


def _read_mapping(source: Mapping[Any, Any]) -> Found:
    # R's form has a number for each name, and one of these may be weight.
    if coefficients.R_INTERCEPT in source or not arrays.is_arrays(source):
        return coefficients.read(source)
    if any("torch" in _origins(value) for value in source.values()):
        from linexport.sources import _torch_modules as torch_modules

        return torch_modules.read_tensors(source)
    return arrays.read(source)


def _origins(source: Any) -> set[str]:
    """Return the packages that a thing's class and its bases come from."""
    return {kind.__module__.partition(".")[0] for kind in type(source).__mro__}
