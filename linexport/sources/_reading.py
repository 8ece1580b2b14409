"""Telling what a source is, and having it read."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from linexport import bundle
from linexport._files import naming, read_artifact
from linexport.columns import Column
from linexport.errors import ArtifactError, ModelError
from linexport.model import LinearModel
from linexport.sources._found import Imported
from linexport.sources._registry import SOURCES, Source

__all__ = ["read_model", "read_reference"]

PICKLES = frozenset({".cloudpickle", ".dill", ".joblib", ".pickle", ".pkl", ".skops"})


def read_model(
    source: Any,
    *,
    features: Sequence[Column | str] = (),
    targets: Sequence[Column | str] = (),
) -> Imported:
    """Read a linear model from anywhere.

    Args:
        source: A LinearModel, or what `train`, `read_bundle`, `export` or this returned; an
            nn.Linear or nn.Sequential, or a state_dict; a fitted scikit-learn regressor or
            Pipeline; statsmodels results; arrays or coefficients by name; an ONNX ModelProto; the
            path of a bundle, or of a file whose suffix says what it holds.
        features: Names in the order of the input, where the source has none; a Column states a
            unit or a range too. x1, x2, ... if not given.
        targets: Likewise, in the order of the output; y, or y1, y2, ... if not given.

    Raises:
        ModelError: If it is no linear model, or cannot be told to be one.
        ArtifactError: If it is a file that cannot be used.
    """
    return _read(source).named(features, targets)


def read_reference(source: Any) -> LinearModel:
    """Read a linear model from anywhere, in the precision that it has there.

    Raises:
        ModelError: As `read_model`.
        ArtifactError: As `read_model`.
    """
    return _read(source).model


def _read(source: Any) -> Imported:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        # LinearModel refuses what is not finite.
        return _read_path(Path(source)) if isinstance(source, str | Path) else _read_object(source)


def _read_object(thing: Any) -> Imported:
    for known in SOURCES:
        if known.takes(thing):
            found: Imported = import_module(known.module).read(thing)
            return found
    raise ModelError(
        f"A {type(thing).__name__} is no model that is known here: docs/sources.md lists what is "
        "taken."
    )


def _read_path(path: Path) -> Imported:
    """Read a model from a bundle, or from a file, never by running what it holds.

    Raises:
        ArtifactError: If it cannot be read, would run code, or holds no linear model.
    """
    if bundle.is_bundle(path):
        return _read_object(bundle.read_bundle(path))
    with naming(path):
        known = _by_suffix(path.suffix.lower())
    data = read_artifact(path)
    with naming(path):
        found: Imported = import_module(known.module).decode(data)
        return found


def _by_suffix(suffix: str) -> Source:
    if suffix in PICKLES:
        raise ArtifactError(
            "loading a pickled object runs the code in it: load it in Python, where you know "
            "where it comes from, and call linexport.export(model, ...) there."
        )
    if suffix == ".pt2":
        raise ArtifactError(
            "a torch.export archive is a program, and loading it may run code: pass the "
            "state_dict, or the module from Python."
        )
    for known in SOURCES:
        if suffix in known.suffixes:
            return known
    suffixes = [suffix for known in SOURCES for suffix in known.suffixes]
    raise ArtifactError(
        f"the suffix does not say what it holds: {', '.join(suffixes)}, or a bundle's directory."
    )
