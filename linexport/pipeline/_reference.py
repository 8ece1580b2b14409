"""The model that a single artifact should be, in the artifact's own precision."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from linexport import bundle
from linexport._files import naming, read_artifact
from linexport.errors import ArtifactError, ConfigError
from linexport.formats import Runtime
from linexport.formats.onnx import OrtRuntime
from linexport.model import LinearModel
from linexport.numerics import artifact_model
from linexport.pipeline._files import is_bundle


def read_reference(path: Path) -> LinearModel:
    """Read the model of a bundle or of a safetensors file.

    Raises:
        ArtifactError: If it is damaged or no linear model.
        ConfigError: If it is neither.
    """
    if path.suffix == ".safetensors":
        data = read_artifact(path)
        with naming(path):
            return bundle.decode_weights(data)
    if not is_bundle(path) or path.is_file():
        raise ConfigError(
            f"{path}: a reference is a bundle's directory or a .safetensors file with the model's "
            "numbers."
        )
    return bundle.read_bundle(path).model


def in_precision_of(
    opened: Callable[[LinearModel], Runtime], model: LinearModel
) -> tuple[LinearModel, tuple[str, ...]]:
    """Return the reference in the precision that an artifact computes in, and what that changed.

    Args:
        opened: Opens the artifact; a TorchScript or .pt2 file claims the dtype of the model it
            is given, so it is asked for one row to learn whether it really takes that.
        model: The reference as it was read.

    Raises:
        ModelError: If a number is too large for the artifact's dtype.
    """
    if _computes_in(opened(model), model):
        return model, ()
    if model.dtype == np.float32:
        other = model.widened()
        note = "The float32 reference was taken as float64, which holds it exactly."
    else:
        other = artifact_model(model, np.dtype(np.float32), model.form)
        note = "The float64 reference was rounded to float32."
    return (other, (note,)) if _computes_in(opened(other), other) else (model, ())


def require_shape(runtime: OrtRuntime, model: LinearModel, path: Path) -> None:
    """Refuse a reference that is the model of something else.

    Raises:
        ConfigError: If the ONNX file states other numbers of features or targets.
    """
    inputs, outputs = runtime.session.get_inputs(), runtime.session.get_outputs()
    stated = (inputs[0].shape[1], _num_targets(outputs[0].shape) or model.num_targets)
    if stated != (model.num_features, model.num_targets):
        raise ConfigError(
            f"{path}: the model has {_count(*stated)}, the reference "
            f"{_count(model.num_features, model.num_targets)}: name the reference of this model."
        )


def _count(num_features: int, num_targets: int) -> str:
    return (
        f"{num_features} feature{'s'[: num_features != 1]} and "
        f"{num_targets} target{'s'[: num_targets != 1]}"
    )


def _num_targets(shape: list[int | str | None]) -> int | None:
    """Targets by an output's stated shape; None where it does not say."""
    return shape[1] if len(shape) == 2 and isinstance(shape[1], int) else None


def _computes_in(runtime: Runtime, model: LinearModel) -> bool:
    if runtime.dtype != model.dtype:
        return False
    try:
        answer = runtime.predict(np.zeros((1, model.num_features), model.dtype))
    except ArtifactError:
        return False
    return answer.dtype == model.dtype
