"""Engines on a graph that takes a table's columns. N rows, K targets."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from linexport._arrays import FloatArray, FloatDType, as_prediction
from linexport._files import first_line
from linexport.errors import ArtifactError, NotCheckedError
from linexport.formats.onnx._runtime import open_session, session_options
from linexport.model import LinearModel

__all__ = ["ColumnsRuntime", "open_columns"]

_BY_COLUMNS = "from table columns"


@dataclass(frozen=True, slots=True)
class ColumnsRuntime:
    """A graph that takes columns by name."""

    name: str
    version: str
    provider: str
    num_threads: int | None
    dtype: FloatDType
    """Of numbers and predictions."""
    structure: LinearModel | None
    """The model behind the encoding, where the graph is that of both."""
    _run: Callable[[dict[str, NDArray[Any]]], Any] = field(repr=False)

    def predict(self, features: Any) -> FloatArray:
        """Evaluate columns by name, each (N, 1), text as objects -> (N, K).

        Raises:
            ArtifactError: If the engine refuses the batch.
        """
        columns: Mapping[str, NDArray[Any]] = features
        try:
            with np.errstate(all="ignore"):  # NaN and infinity are legitimate inputs
                answer = self._run(dict(columns))[0]
        except Exception as error:  # engines fail each in their own way
            raise ArtifactError(f"{self.name} refuses a batch: {first_line(error)}") from error
        return as_prediction(answer)


def open_columns(
    data: bytes, proto: onnx.ModelProto, structure: LinearModel | None
) -> Iterator[ColumnsRuntime]:
    """Yield onnxruntime with one thread and all, optimized and not, and onnx's reference.

    Raises:
        NotCheckedError: If the file does not answer in numbers.
        ArtifactError: If an engine refuses it.
    """
    element = proto.graph.output[0].type.tensor_type.elem_type
    if element not in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE):
        raise NotCheckedError("the ONNX graph's output is neither float32 nor float64.")
    dtype: FloatDType = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(element))
    for num_threads in (1, None):
        for optimization in ("full", "off"):
            session = open_session(
                data, session_options(num_threads, optimization, takes_turns=True), "cpu"
            )
            name = [f"onnxruntime {_BY_COLUMNS}"]
            name += ["1 thread"] if num_threads else []
            name += ["not optimized"] if optimization == "off" else []
            yield ColumnsRuntime(
                ", ".join(name), onnxruntime.__version__, session.get_providers()[0],
                num_threads or os.cpu_count(),
                dtype, structure, partial(session.run, None),
            )  # fmt: skip
    try:
        evaluator = ReferenceEvaluator(proto)
    except Exception as error:  # an operator that is too old, or that it does not have
        raise ArtifactError(f"onnx's reference refuses the file: {first_line(error)}") from error
    yield ColumnsRuntime(
        f"onnx reference {_BY_COLUMNS}", onnx.__version__, "NumPy", None, dtype, structure,
        partial(evaluator.run, None),
    )  # fmt: skip
