"""ONNX Runtime: one session on one graph."""

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import onnxruntime

from linexport._arrays import FloatArray, FloatDType, as_features, as_prediction
from linexport.errors import ArtifactError, UnavailableError
from linexport.formats import BoundRow
from linexport.formats.onnx.wire import Layout
from linexport.model import LinearModel

__all__ = ["Optimization", "OrtRuntime", "layouts"]

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
    _row_shape: tuple[int, int] | None
    """(1, D), if one row can be evaluated in memory that is bound once."""
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
        from linexport.formats.onnx import (
            graph as onnx_graph,  # whoever has checked the file does without onnx
        )

        structure = onnx_graph.read(onnx_graph.check(data))
        return cls.start(
            data,
            structure,
            num_threads=num_threads,
            optimization=optimization,
            provider=provider,
        )

    @classmethod
    def start(
        cls,
        data: bytes,
        structure: LinearModel | None,
        layout: Layout | None = None,
        *,
        num_threads: int | None = None,
        optimization: Optimization = "full",
        provider: str = "cpu",
    ) -> "OrtRuntime":
        """Open a session on a file that has been checked, or was written here.

        Args:
            data: The file.
            structure: The model that its graph states, if that is known.
            layout: How it takes batches; None for an exported graph.
            num_threads: As for `open`.
            optimization: As for `open`.
            provider: As for `open`.

        Raises:
            ArtifactError: If the engine refuses the file.
            UnavailableError: If the provider is not the one that really runs.
        """
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
        used, num_features = session.get_providers()[0], _width(inputs[0].shape, layout)
        # Elsewhere a row would be moved to the device when it is bound, not when it is evaluated.
        is_bound = structure is not None and used == "CPUExecutionProvider"
        return cls(
            name=", ".join(["onnxruntime", *settings]),
            provider=used,
            num_threads=num_threads or os.cpu_count(),
            dtype=_DTYPES[inputs[0].type],
            structure=structure,
            layout=layout,
            session=session,
            _input=inputs[0].name,
            _num_features=num_features,
            _row_shape=(1, num_features) if is_bound else None,
        )

    def predict(self, features: FloatArray) -> FloatArray:
        """Evaluate (N, D) -> (N, K).

        Raises:
            DataError: If the features are not (N, D) numbers.
            ArtifactError: If the engine refuses the batch.
        """
        is_exact = type(features) is np.ndarray and features.dtype is self.dtype
        if not (is_exact and features.shape == self._row_shape):
            order: Literal["C", "F"] = "F" if self.layout == "columns" else "C"
            features = as_features(features, self.dtype, self._num_features, order=order)
        try:
            if features.shape == self._row_shape:
                return self._predict_row(features)
            return self._predict_batch(features)
        except Exception as error:  # the engine's exceptions have no public base class
            raise ArtifactError(
                f"onnxruntime refuses a batch of {len(features)} rows: {_first_line(error)}"
            ) from error

    def _predict_batch(self, features: FloatArray) -> FloatArray:
        batch = features.T if self.layout == "columns" else features
        (prediction,) = self.session.run(None, {self._input: batch})
        return as_prediction(prediction if self.layout is None else prediction.T)

    def _predict_row(self, features: FloatArray) -> FloatArray:
        """Evaluate (1, D) -> (1, K) in memory that this thread has bound once."""
        try:
            row: BoundRow = self._own.row
        except AttributeError:
            row = self._own.row = self.bind()
        row.features[...] = features
        row.run()
        return row.prediction.copy()

    def bind(self) -> BoundRow:
        """Return memory for one row, for one thread: to evaluate it takes half the time or less.

        Raises:
            UnavailableError: If the provider is not the CPU, or nothing is known of the graph.
        """
        if self.structure is None or self._row_shape is None:
            raise UnavailableError("Memory is bound on the CPU, for graphs that linexport writes.")
        features = np.empty(self._row_shape, self.dtype)
        prediction = np.empty((1, self.structure.num_targets), self.dtype)
        binding, ort_value = self.session.io_binding(), onnxruntime.OrtValue.ortvalue_from_numpy
        binding.bind_ortvalue_input(
            self._input, ort_value(features.T if self.layout == "columns" else features)
        )
        binding.bind_ortvalue_output(
            self.session.get_outputs()[0].name,
            ort_value(prediction if self.layout is None else prediction.T),
        )
        run = partial(self.session.run_with_iobinding, binding, _options_of_a_run())
        return BoundRow(features, prediction, run)


def layouts(model: LinearModel | None) -> tuple[Layout | None, Layout | None]:
    """Tell which graphs predict for batches by rows and by columns; None is the file's own.

    By rows a graph of one target is better turned round, and its predictions lie in memory as
    those of the file's do. With more targets neither is so.
    """
    if model is None:
        return None, None
    return ("rows" if model.num_targets == 1 else None), "columns"


def _options(num_threads: int | None, optimization: Optimization) -> "onnxruntime.SessionOptions":
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads or 0
    options.graph_optimization_level = _LEVELS[optimization]
    options.log_severity_level = _SILENT
    # Its kernels for the matrix unit of arm64 (SME) clamp every sum to the largest finite number.
    options.add_session_config_entry("mlas.disable_kleidiai", "1")
    return options


def _options_of_a_run() -> "onnxruntime.RunOptions":
    """Return the defaults, made once: without them the engine makes them at every run.

    They are read for the one entry at every run too, and a missing one costs an exception there;
    an empty one says the same.
    """
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("gpu_graph_id", "")
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
