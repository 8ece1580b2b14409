"""ONNX Runtime: one session on one graph, and what predicts in whichever process it is asked."""

import ctypes
import os
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypedDict, Unpack, final

import numpy as np
import onnxruntime

from linexport._arrays import FloatArray, FloatDType, as_features, as_prediction
from linexport._files import first_line
from linexport.errors import ArtifactError, UnavailableError
from linexport.formats import BoundRow
from linexport.formats.onnx import wire as onnx_wire
from linexport.model import LinearModel

__all__ = ["OrtEngine", "OrtRuntime"]

_PROVIDERS: dict[str, tuple[str, dict[str, str]]] = {
    "cpu": ("CPUExecutionProvider", {}),
    # TF32 keeps 10 of float32's 23 fraction bits, and is CUDA's default here.
    "cuda": ("CUDAExecutionProvider", {"use_tf32": "0"}),
}
_DTYPES: dict[str, FloatDType] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
}


class Settings(TypedDict, total=False):
    """How a session is opened."""

    num_threads: int | None
    """Threads within one operator; None for all cores."""
    optimization: Literal["off", "full"]
    """Of the graph, before it runs; full if not given."""
    provider: str
    """"cpu", which is the default, "cuda", or the full name of an execution provider."""


@dataclass(frozen=True, slots=True)
class OrtRuntime:
    """One inference session on one ONNX graph. Any number of threads may predict at once."""

    name: str
    provider: str
    num_threads: int | None
    dtype: FloatDType
    structure: LinearModel | None
    layout: onnx_wire.Layout | None
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
    def open(cls, data: bytes, **settings: Unpack[Settings]) -> "OrtRuntime":
        """Check an ONNX file, and open a session on it.

        Raises:
            ArtifactError: If the file is not a single linear ONNX graph, or the engine refuses it.
            UnavailableError: If the provider is not the one that really runs.
        """
        from linexport.formats.onnx import graph as onnx_graph  # who has checked does without onnx

        return cls.start(data, onnx_graph.read(onnx_graph.check(data)), **settings)

    @classmethod
    def start(
        cls,
        data: bytes,
        structure: LinearModel | None,
        layout: onnx_wire.Layout | None = None,
        **settings: Unpack[Settings],
    ) -> "OrtRuntime":
        """Open a session on a file that has been checked, or was written here.

        Args:
            data: The file.
            structure: The model that its graph states, if that is known.
            layout: How it takes batches; None for an exported graph.
            **settings: Those of `Settings`.

        Raises:
            ArtifactError: If the engine refuses the file.
            UnavailableError: If the provider is not the one that really runs.
        """
        num_threads, provider = settings.get("num_threads"), settings.get("provider", "cpu")
        optimization = settings.get("optimization", "full")
        session = _open_session(data, _options(num_threads, optimization), provider)
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type not in _DTYPES:
            raise ArtifactError(
                "The ONNX model must have one float32 or float64 input and one output, got "
                f"{[value.type for value in inputs]} and {[value.type for value in outputs]}."
            )
        names = [f"by {layout}"] if layout is not None else []
        names += [f"{num_threads} thread{'s'[: num_threads > 1]}"] if num_threads else []
        names += ["not optimized"] if optimization == "off" else []
        names += [provider] if provider != "cpu" else []
        used, num_features = session.get_providers()[0], _width(inputs[0].shape, layout)
        # Elsewhere a row would be moved to the device when it is bound, not when it is evaluated.
        is_bound = structure is not None and used == "CPUExecutionProvider"
        return cls(
            name=", ".join(["onnxruntime", *names]),
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
            batch = features.T if self.layout == "columns" else features
            (prediction,) = self.session.run(None, {self._input: batch})
        except Exception as error:  # the engine's exceptions have no public base class
            raise ArtifactError(
                f"onnxruntime refuses a batch of {len(features)} rows: {first_line(error)}"
            ) from error
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
        given = features.T if self.layout == "columns" else features
        answer = prediction if self.layout is None else prediction.T
        binding.bind_ortvalue_input(self._input, ort_value(given))
        binding.bind_ortvalue_output(self.session.get_outputs()[0].name, ort_value(answer))
        run = partial(self.session.run_with_iobinding, binding, _options_of_a_run())
        return BoundRow(features, prediction, run)


@final
class OrtEngine:
    """An ONNX file that can be sent to other processes, and predicts in each.

    A batch is evaluated by rows or by columns, as it lies in memory, without copying it.

    A session cannot be pickled, and its threads do not survive a fork. So it is the file that
    travels, and every process opens sessions of its own. Any number of threads may predict at
    once.
    """

    def __init__(self, data: bytes, **settings: Unpack[Settings]) -> None:
        """Check the file and open it in this process.

        Raises:
            ArtifactError: If the file is not a single linear ONNX graph, or the engine refuses it.
            UnavailableError: If the provider is not the one that really runs.
        """
        self._data, self._settings = data, settings
        self._opened: tuple[OrtRuntime, OrtRuntime] | None = self._open()
        _ENGINES.add(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the file and the settings: whoever loads it checks and opens it anew."""
        return partial(OrtEngine, self._data, **self._settings), ()

    @property
    def name(self) -> str:
        """The engine with its settings."""
        return self._here()[0].name

    @property
    def version(self) -> str:
        """Of onnxruntime."""
        return self._here()[0].version

    @property
    def provider(self) -> str:
        """The execution provider that really runs."""
        return self._here()[0].provider

    @property
    def num_threads(self) -> int | None:
        """Threads within one operator."""
        return self._here()[0].num_threads

    @property
    def dtype(self) -> FloatDType:
        """Of features and predictions."""
        return self._here()[0].dtype

    @property
    def structure(self) -> LinearModel | None:
        """The model that the file's graph states; None where it is not known."""
        return self._here()[0].structure

    def predict(self, features: FloatArray) -> FloatArray:
        """Evaluate (N, D) -> (N, K).

        Columns one after the other, as in a table, are the transpose of a (D, N) array, or an
        array in Fortran order; the predictions of the targets then lie one after the other too.

        Raises:
            DataError: If the features are not (N, D) numbers.
            ArtifactError: If the engine refuses the batch.
        """
        by_rows, by_columns = self._opened or self._here()
        flags = np.asarray(features).flags
        lies_by_rows = flags.c_contiguous or not flags.f_contiguous
        return (by_rows if lies_by_rows else by_columns).predict(features)

    def bind(self) -> BoundRow:
        """Return memory for one row, for this thread of this process alone.

        Raises:
            UnavailableError: If the provider is not the CPU, or nothing is known of the graph.
        """
        return self._here()[0].bind()

    def _here(self) -> tuple[OrtRuntime, OrtRuntime]:
        """Return this process's sessions. Two threads may open them both; the later ones stay."""
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> tuple[OrtRuntime, OrtRuntime]:
        """Open a session for batches that lie by rows, and one for those that lie by columns."""
        written = onnx_wire.stated(self._data)
        stated = None if written is None else written.model
        by_rows, by_columns = onnx_wire.layouts(stated)
        return self._start(stated, by_rows), self._start(stated, by_columns)

    def _start(self, stated: LinearModel | None, layout: onnx_wire.Layout | None) -> OrtRuntime:
        data = self._data
        if stated is not None and layout is not None:
            data = onnx_wire.write(stated, layout)
        return OrtRuntime.start(data, stated, layout, **self._settings)

    def _forget(self) -> None:
        """Leave the sessions of the parent process alone, and open others when they are needed.

        To free a session is to wait for its threads, which are not here: not even at exit.
        """
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._opened))
        self._opened = None


_ENGINES: weakref.WeakSet[OrtEngine] = weakref.WeakSet()


def _after_fork() -> None:
    for engine in _ENGINES:
        engine._forget()  # noqa: SLF001 - a friend: nobody else is to call it


os.register_at_fork(after_in_child=_after_fork)


def _options(num_threads: int | None, optimization: str) -> "onnxruntime.SessionOptions":
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads or 0
    level = "ORT_DISABLE_ALL" if optimization == "off" else "ORT_ENABLE_ALL"
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.log_severity_level = 4  # what is fatal: refusals reach the user as errors of ours
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
    name, details = _PROVIDERS.get(provider, (provider, {}))
    available = onnxruntime.get_available_providers()
    if name not in available:
        raise UnavailableError(
            f"onnxruntime {onnxruntime.__version__} has no {name} here; it has "
            f"{', '.join(available)}."
        )
    try:
        session = onnxruntime.InferenceSession(data, options, providers=[(name, details)])
    except Exception as error:  # the engine's exceptions have no public base class
        raise ArtifactError(
            f"onnxruntime {onnxruntime.__version__} refuses the file: {first_line(error)}"
        ) from error
    if session.get_providers()[0] != name:  # it falls back to the CPU without a word
        raise UnavailableError(
            f"onnxruntime could not start {name} and would use {session.get_providers()[0]}."
        )
    session.disable_fallback()  # nor may it do so when a later batch fails
    return session


def _width(shape: Sequence[int | str | None], layout: onnx_wire.Layout | None) -> int:
    width = shape[0 if layout == "columns" else -1] if len(shape) == 2 else None
    if not isinstance(width, int):
        raise ArtifactError(
            f"The ONNX model's input must have shape [batch, features], got {list(shape)}."
        )
    return width
