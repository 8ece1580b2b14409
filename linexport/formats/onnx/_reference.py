"""onnx's own evaluator: the operators' definitions in NumPy, an independent witness."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from linexport._arrays import FloatArray, FloatDType
from linexport.errors import ArtifactError
from linexport.formats import as_features, as_prediction
from linexport.formats.onnx import graph as onnx_graph
from linexport.model import LinearModel

__all__ = ["OnnxReferenceRuntime"]

_DTYPES: dict[int, FloatDType] = {
    onnx.TensorProto.FLOAT: np.dtype(np.float32),
    onnx.TensorProto.DOUBLE: np.dtype(np.float64),
}


@dataclass(frozen=True, slots=True)
class OnnxReferenceRuntime:
    """onnx.reference.ReferenceEvaluator on one ONNX file."""

    dtype: FloatDType
    structure: LinearModel | None
    _evaluator: Any = field(repr=False)
    _input: str
    _num_features: int
    name: str = "onnx reference"
    provider: str = "NumPy"
    num_threads: int | None = None
    version: str = onnx.__version__

    @classmethod
    def open(cls, data: bytes) -> "OnnxReferenceRuntime":
        """Open an evaluator on a checked ONNX file.

        Raises:
            ArtifactError: If the file is not a single linear ONNX graph.
        """
        proto = onnx_graph.check(data)
        name, dtype, num_features = _only_input(proto)
        return cls(
            dtype=dtype,
            structure=onnx_graph.read(proto),
            _evaluator=ReferenceEvaluator(proto),
            _input=name,
            _num_features=num_features,
        )

    def predict(self, features: FloatArray) -> FloatArray:
        """Evaluate (N, D) -> (N, K).

        Raises:
            DataError: If the features are not (N, D) numbers.
            ArtifactError: If the evaluator refuses the batch.
        """
        batch = as_features(features, self.dtype, self._num_features)
        try:
            with np.errstate(all="ignore"):  # NaN and infinity are legitimate inputs
                (prediction,) = self._evaluator.run(None, {self._input: batch})
        except Exception as error:  # an operator fails as NumPy does, or in its own way
            raise ArtifactError(
                f"onnx's reference refuses a batch of {len(batch)} rows: {error}"
            ) from error
        return as_prediction(prediction)


def _only_input(proto: onnx.ModelProto) -> tuple[str, FloatDType, int]:
    """Return the name, dtype and width of the graph's one input."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in constants]
    if len(inputs) != 1 or len(proto.graph.output) != 1:
        raise ArtifactError(
            f"The ONNX model must have one input and one output, got {len(inputs)} and "
            f"{len(proto.graph.output)}."
        )
    tensor = inputs[0].type.tensor_type
    if tensor.elem_type not in _DTYPES:
        raise ArtifactError("The ONNX model's input must be float32 or float64.")
    shape = tensor.shape.dim
    if len(shape) != 2 or shape[1].dim_value < 1:
        raise ArtifactError("The ONNX model's input must have shape [batch, features].")
    return inputs[0].name, _DTYPES[tensor.elem_type], shape[1].dim_value
