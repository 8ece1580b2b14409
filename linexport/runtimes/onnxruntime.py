"""ONNX Runtime: one session on one graph."""

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

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


class _Row(NamedTuple):
    """Room for one row, bound to a session; for one thread at a time."""

    features: FloatArray
    """Shape (1, D)."""
    prediction: FloatArray
    """Shape (1, K)."""
    binding: Any
    """The session's onnxruntime.IOBinding to both."""


@dataclass(frozen=True, slots=True)
class OrtRuntime:
    """One inference session on one ONNX graph. Any number of threads may predict at once."""

    name: str
    provider: str
    num_threads: int | None
    dtype: FloatDType
    structure: LinearModel | None
    layout: Layout | None
    """How the graph takes batches; None for the graph of a file as it is."""
    session: Any = field(repr=False)
    """The onnxruntime.InferenceSession."""
    _input: str
    _num_features: int
    _own: threading.local = field(default_factory=threading.local, repr=False)
    """Each thread's room for one row."""
    version: str = onnxruntime.__version__

    @classmethod
    def open(
        cls,
        data: bytes,
        *,
        num_threads: int | None = None,
        optimization: Optimization = "full",
        provider: str = "cpu",
    ) -> "OrtRuntime":
        """Open a session on a checked ONNX file.

        Args:
            data: The file.
            num_threads: Threads within one operator; None for all cores.
            optimization: Of the graph, before it runs.
            provider: "cpu", "cuda", or the full name of an execution provider.

        Raises:
            ArtifactError: If the file is not a single linear ONNX graph, or the engine refuses it.
            UnavailableError: If the provider is not the one that really runs.
        """
        structure = onnx_graph.read(onnx_graph.check(data))
        return cls._start(data, structure, None, num_threads, optimization, provider)

    @classmethod
    def laid_out(
        cls,
        model: LinearModel,
        layout: Layout,
        *,
        num_threads: int | None = None,
        provider: str = "cpu",
    ) -> "OrtRuntime":
        """Open a session on a model's graph for batches that lie so in memory.

        Raises:
            UnavailableError: If the provider is not the one that really runs.
        """
        data = onnx_layout.write(model, layout)
        stated = onnx_layout.read(data, layout)
        return cls._start(data, stated, layout, num_threads, "full", provider)

    @classmethod
    def _start(
        cls,
        data: bytes,
        structure: LinearModel | None,
        layout: Layout | None,
        num_threads: int | None,
        optimization: Optimization,
        provider: str,
    ) -> "OrtRuntime":
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
            if len(batch) == 1 and self._takes_bound_rows:
                return self._predict_row(batch)
            (prediction,) = self.session.run(
                None, {self._input: batch.T if order == "F" else batch}
            )
        except Exception as error:  # the engine's exceptions have no public base class
            raise ArtifactError(
                f"onnxruntime refuses a batch of {len(batch)} rows: {_first_line(error)}"
            ) from error
        return as_prediction(prediction if self.layout is None else prediction.T)

    @property
    def _takes_bound_rows(self) -> bool:
        """On other providers a row is moved to the device when it is bound, not when it is run."""
        return self.structure is not None and self.provider == "CPUExecutionProvider"

    def _predict_row(self, features: FloatArray) -> FloatArray:
        """Evaluate (1, D) -> (1, K) in memory bound once, which halves the time that it takes."""
        row: _Row | None = getattr(self._own, "row", None)
        if row is None:
            row = self._own.row = self._bound_row()
        row.features[...] = features
        self.session.run_with_iobinding(row.binding)
        return row.prediction.copy()

    def _bound_row(self) -> _Row:
        assert self.structure is not None
        features = np.empty((1, self._num_features), self.dtype)
        prediction = np.empty((1, self.structure.num_targets), self.dtype)
        given, answered = features, prediction
        if self.layout is not None:
            answered = prediction.T
        if self.layout == "columns":
            given = features.T
        binding = self.session.io_binding()
        ort_value = onnxruntime.OrtValue.ortvalue_from_numpy
        binding.bind_ortvalue_input(self._input, ort_value(given))
        binding.bind_ortvalue_output(self.session.get_outputs()[0].name, ort_value(answered))
        return _Row(features, prediction, binding)


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
