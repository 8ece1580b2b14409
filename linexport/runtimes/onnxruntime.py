"""ONNX Runtime: one session on one graph."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import onnxruntime

from linexport import onnx_graph, onnx_layout
from linexport._arrays import FloatArray, FloatDType
from linexport.errors import ArtifactError, UnavailableError
from linexport.model import LinearModel
from linexport.onnx_layout import Layout
from linexport.runtimes._inputs import as_features, as_prediction

__all__ = ["Optimization", "OrtRuntime"]

Optimization = Literal["off", "full"]

_LEVELS = {
    "off": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "full": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
_PROVIDERS: dict[str, tuple[str, dict[str, str]]] = {
    "cpu": ("CPUExecutionProvider", {}),
    # TF32 keeps 10 of float32's 23 fraction bits, and is CUDA's default here.
    "cuda": ("CUDAExecutionProvider", {"use_tf32": "0"}),
}
_DTYPES: dict[str, FloatDType] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
}
_SILENT = 4  # only what is fatal: every refusal reaches the user as one of our errors


@dataclass(frozen=True, slots=True)
class OrtRuntime:
    """One inference session on one ONNX file."""

    name: str
    provider: str
    num_threads: int | None
    dtype: FloatDType
    structure: LinearModel | None
    layout: Layout | None
    """How the graph takes batches; None for the graph of the file itself."""
    session: Any = field(repr=False)
    """The onnxruntime.InferenceSession."""
    _input: str
    _num_features: int
    version: str = onnxruntime.__version__

    @classmethod
    def open(
        cls,
        data: bytes,
        *,
        num_threads: int | None = None,
        optimization: Optimization = "full",
        provider: str = "cpu",
        layout: Layout | None = None,
    ) -> "OrtRuntime":
        """Open a session on a checked ONNX file.

        Args:
            data: The file.
            num_threads: Threads within one operator; None for all cores.
            optimization: Of the graph, before it runs.
            provider: "cpu", "cuda", or the full name of an execution provider.
            layout: Evaluate the file's model in a graph for batches that lie so in memory, instead
                of the file's own graph.

        Raises:
            ArtifactError: If the file is not a single linear ONNX graph, the engine refuses it, or
                a layout is asked for a model that the graph does not state.
            UnavailableError: If the provider is not the one that really runs.
        """
        proto = onnx_graph.check(data)
        structure = onnx_graph.read(proto)
        if layout is not None:
            data, structure = _laid_out(structure, layout)
        session = _open_session(data, _options(num_threads, optimization), provider)
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type not in _DTYPES:
            raise ArtifactError(
                "The ONNX model must have one float32 or float64 input and one output, got "
                f"{[value.type for value in inputs]} and {[value.type for value in outputs]}."
            )
        settings = [f"by {layout}"] if layout is not None else []
        settings += [f"{num_threads} thread{'s'[: num_threads > 1]}"] if num_threads else []
        settings += ["not optimized"] if optimization == "off" else []
        settings += [provider] if provider != "cpu" else []
        return cls(
            name=", ".join(["onnxruntime", *settings]),
            provider=session.get_providers()[0],
            num_threads=num_threads or os.cpu_count(),
            dtype=_DTYPES[inputs[0].type],
            structure=structure,
            layout=layout,
            session=session,
            _input=inputs[0].name,
            _num_features=_width(inputs[0].shape, layout),
        )

    def predict(self, features: FloatArray) -> FloatArray:
        """Evaluate (N, D) -> (N, K).

        Raises:
            DataError: If the features are not (N, D) numbers.
            ArtifactError: If the engine refuses the batch.
        """
        order: Literal["C", "F"] = "F" if self.layout == "columns" else "C"
        batch = as_features(features, self.dtype, self._num_features, order=order)
        try:
            (prediction,) = self.session.run(
                None, {self._input: batch.T if order == "F" else batch}
            )
        except Exception as error:  # the engine's exceptions have no public base class
            raise ArtifactError(
                f"onnxruntime refuses a batch of {len(batch)} rows: {_first_line(error)}"
            ) from error
        return as_prediction(prediction if self.layout is None else prediction.T)


def _laid_out(model: LinearModel | None, layout: Layout) -> tuple[bytes, LinearModel | None]:
    """Return the graph for a layout, and what it states, read back from its bytes."""
    if model is None:
        raise ArtifactError(
            f"The ONNX file's graph is not one that linexport writes, so it cannot be laid out by "
            f"{layout}."
        )
    data = onnx_layout.write(model, layout)
    return data, onnx_layout.read(data, layout)


def _options(num_threads: int | None, optimization: Optimization) -> "onnxruntime.SessionOptions":
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads or 0
    options.graph_optimization_level = _LEVELS[optimization]
    options.log_severity_level = _SILENT
    return options


def _open_session(data: bytes, options: "onnxruntime.SessionOptions", provider: str) -> Any:
    name, settings = _PROVIDERS.get(provider, (provider, {}))
    available = onnxruntime.get_available_providers()
    if name not in available:
        raise UnavailableError(
            f"onnxruntime {onnxruntime.__version__} has no {name} here; it has "
            f"{', '.join(available)}."
        )
    try:
        session = onnxruntime.InferenceSession(data, options, providers=[(name, settings)])
    except Exception as error:  # the engine's exceptions have no public base class
        raise ArtifactError(
            f"onnxruntime {onnxruntime.__version__} refuses the file: {_first_line(error)}"
        ) from error
    if session.get_providers()[0] != name:  # it falls back to the CPU without a word
        raise UnavailableError(
            f"onnxruntime could not start {name} and would use {session.get_providers()[0]}."
        )
    session.disable_fallback()  # nor may it do so when a later batch fails
    return session


def _width(shape: Sequence[int | str | None], layout: Layout | None) -> int:
    width = shape[0 if layout == "columns" else -1] if len(shape) == 2 else None
    if not isinstance(width, int):
        raise ArtifactError(
            f"The ONNX model's input must have shape [batch, features], got {list(shape)}."
        )
    return width


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
