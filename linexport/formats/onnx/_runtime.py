"""ONNX Runtime: one session on one graph."""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

import numpy as np
import onnxruntime

from linexport._arrays import FloatArray, FloatDType, as_features, as_prediction
from linexport._files import first_line
from linexport.errors import ArtifactError, UnavailableError
from linexport.formats import BoundRow
from linexport.formats.onnx import wire as onnx_wire
from linexport.model import LinearModel

if TYPE_CHECKING:
    from linexport.numerics import CorrectRounding

__all__ = ["OrtRuntime", "Settings"]

_PROVIDERS: dict[str, tuple[str, dict[str, str]]] = {
    "cpu": ("CPUExecutionProvider", {}),
    # TF32 keeps 10 of float32's 23 fraction bits, and is CUDA's default here.
    "cuda": ("CUDAExecutionProvider", {"use_tf32": "0"}),
}
_DTYPES: dict[str, FloatDType] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
}
_LARGEST_BATCH = 2**18
"""Numbers at a time that are widened to float64, where the sum is taken so: 2 MiB, which stay in
cache. With 2**22 a row of 10 took twice the time, and with 2**15 as well."""


class Settings(TypedDict, total=False):
    """How a session is opened."""

    num_threads: int | None
    """Threads within one operator; None for all cores."""
    optimization: Literal["off", "full"]
    """Of the graph, before it runs; full if not given."""
    provider: str
    """"cpu", which is the default, "cuda", or the full name of an execution provider."""
    takes_turns: bool
    """Whether other sessions predict between its batches: then its threads sleep meanwhile, where
    by default they wait awake."""


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
    _rounding: "CorrectRounding | None"
    """For a graph that leaves its sums in float64 under a float32 model."""
    _own: threading.local = field(default_factory=threading.local, repr=False)
    """Each thread's room for one row."""
    version: str = onnxruntime.__version__

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
        options = session_options(
            num_threads, optimization, takes_turns=settings.get("takes_turns", False)
        )
        session = open_session(data, options, provider)
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
            _rounding=_rounding(structure) if layout is not None else None,
        )

    def predict(self, features: FloatArray) -> FloatArray:
        """Evaluate (N, D) -> (N, K).

        Raises:
            DataError: If the features are not (N, D) numbers.
            ArtifactError: If the engine refuses the batch.
        """
        is_exact = type(features) is np.ndarray and features.dtype is self.dtype
        if not (is_exact and features.shape == self._row_shape):
            features = as_features(features, self.dtype, self._num_features, order="K")
        try:
            if features.shape == self._row_shape:
                return self._predict_row(features)
            if self._rounding is None or features.size <= _LARGEST_BATCH:
                return self._predict_batch(features)
            step = max(1, _LARGEST_BATCH // self._num_features)
            starts = range(0, len(features), step)
            return np.concatenate([self._predict_batch(features[i : i + step]) for i in starts])
        except Exception as error:  # the engine's exceptions have no public base class
            raise ArtifactError(
                f"onnxruntime refuses a batch of {len(features)} rows: {first_line(error)}"
            ) from error

    def _predict_batch(self, features: FloatArray) -> FloatArray:
        batch = np.ascontiguousarray(features.T if self.layout == "columns" else features)
        (answer,) = self.session.run(None, {self._input: batch})
        prediction = as_prediction(answer if self.layout is None else answer.T)
        return prediction if self._rounding is None else self._rounding(features, prediction)

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
        sums = prediction if self._rounding is None else np.empty(prediction.shape, np.float64)
        binding, ort_value = self.session.io_binding(), onnxruntime.OrtValue.ortvalue_from_numpy
        given = features.T if self.layout == "columns" else features
        answer = sums if self.layout is None else sums.T
        binding.bind_ortvalue_input(self._input, ort_value(given))
        binding.bind_ortvalue_output(self.session.get_outputs()[0].name, ort_value(answer))
        run: Callable[[], None] = partial(
            self.session.run_with_iobinding, binding, _options_of_a_run()
        )
        if self._rounding is not None:
            run = partial(_run_and_round, run, self._rounding, features, sums, prediction)
        return BoundRow(features, prediction, run)


def _rounding(structure: LinearModel | None) -> "CorrectRounding | None":
    """Return what rounds a model's float64 sums, if its predictions are narrower."""
    if structure is None or structure.accumulate == structure.dtype:
        return None
    from linexport.numerics import CorrectRounding, affine_of  # most models do without

    return CorrectRounding(affine_of(structure))


def _run_and_round(
    run: Callable[[], None],
    rounding: "CorrectRounding",
    features: FloatArray,
    sums: FloatArray,
    prediction: FloatArray,
) -> None:
    run()
    prediction[...] = rounding(features, sums)


def session_options(
    num_threads: int | None, optimization: str, *, takes_turns: bool
) -> "onnxruntime.SessionOptions":
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads or 0
    level = "ORT_DISABLE_ALL" if optimization == "off" else "ORT_ENABLE_ALL"
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.log_severity_level = 4  # what is fatal: refusals reach the user as errors of ours
    # Its kernels for the matrix unit of arm64 (SME) clamp every sum to the largest finite number.
    options.add_session_config_entry("mlas.disable_kleidiai", "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(not takes_turns)))
    return options


def _options_of_a_run() -> "onnxruntime.RunOptions":
    """Return the defaults, made once: without them the engine makes them at every run.

    They are read for the one entry at every run too, and a missing one costs an exception there;
    an empty one says the same.
    """
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("gpu_graph_id", "")
    return options


def open_session(data: bytes, options: "onnxruntime.SessionOptions", provider: str) -> Any:
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
