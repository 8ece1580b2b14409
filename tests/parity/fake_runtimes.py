"""Runtimes with something wrong about them, around a right one."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from linexport.formats._format import Runtime
from linexport.formats.onnx import graph as onnx_graph
from linexport.formats.onnx._runtime import OrtRuntime
from linexport.model import LinearModel


@dataclass
class FakeRuntime:
    """Predicts by a function of a model and features, and states whatever structure it is given."""

    model: LinearModel
    function: Callable[[LinearModel, np.ndarray], Any]
    name: str = "fake"
    version: str = "1.0"
    provider: str = "imagination"
    num_threads: int | None = None
    structure: LinearModel | None = None

    @property
    def dtype(self) -> np.dtype:
        return self.model.dtype

    def predict(self, features: np.ndarray) -> Any:
        return self.function(self.model, features)


@dataclass
class AlteredRuntime:
    """onnxruntime, its inputs or predictions altered."""

    model: LinearModel
    before: Callable[[np.ndarray], np.ndarray] = lambda features: features
    after: Callable[[np.ndarray], Any] = lambda prediction: prediction
    name: str = "altered"
    version: str = "1.0"
    provider: str = "imagination"
    num_threads: int | None = 1
    inner: Runtime = field(init=False)

    def __post_init__(self) -> None:
        self.inner = OrtRuntime.start(onnx_graph.write(self.model), self.model, num_threads=1)

    @property
    def dtype(self) -> np.dtype:
        return self.model.dtype

    @property
    def structure(self) -> LinearModel | None:
        return self.inner.structure

    def predict(self, features: np.ndarray) -> Any:
        return self.after(self.inner.predict(self.before(features)))


class FlushingRuntime:
    """Another runtime, run in a thread whose floating-point unit takes subnormals for zero."""

    def __init__(self, inner: Runtime) -> None:
        self.inner = inner
        self._thread = ThreadPoolExecutor(1, initializer=torch.set_flush_denormal, initargs=(True,))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def predict(self, features: np.ndarray) -> np.ndarray:
        return self._thread.submit(self.inner.predict, features).result()


def numpy_predict(model: LinearModel, features: np.ndarray) -> np.ndarray:
    """The model in NumPy, as it stands."""
    inputs = np.asarray(features, model.dtype)
    with np.errstate(all="ignore"):
        if model.mean is not None:
            inputs = inputs - model.mean
        return (inputs @ model.weight.T + model.bias).astype(model.dtype)


def truncated(bits: int) -> Callable[[np.ndarray], np.ndarray]:
    """Keep so many bits of each number's fraction: bfloat16 has 7, TF32 10."""

    def change(features: np.ndarray) -> np.ndarray:
        integer, fraction = (np.int32, 23) if features.dtype == np.float32 else (np.int64, 52)
        if features.dtype.kind != "f":
            return features
        mask = ~((1 << (fraction - bits)) - 1)
        return (np.ascontiguousarray(features).view(integer) & integer(mask)).view(features.dtype)

    return change
