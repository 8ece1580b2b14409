"""onnx's own evaluator: the operators' definitions in NumPy, an independent witness."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from linexport import onnx_graph
from linexport._arrays import FloatArray, FloatDType
from linexport.errors import ArtifactError
from linexport.model import LinearModel
from linexport.runtimes._inputs import as_features, as_prediction

__all__ = ["OnnxReferenceRuntime"]


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
        if len(proto.graph.input) != 1:
            raise ArtifactError(f"The ONNX model has {len(proto.graph.input)} inputs, not one.")
        tensor = proto.graph.input[0].type.tensor_type
        return cls(
            dtype=np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)),
            structure=onnx_graph.read(proto),
            _evaluator=ReferenceEvaluator(proto),
            _input=proto.graph.input[0].name,
            _num_features=tensor.shape.dim[1].dim_value,
        )

    def predict(self, features: FloatArray) -> FloatArray:
        """Evaluate (N, D) -> (N, K).

        Raises:
            DataError: If the features are not (N, D) numbers.
        """
        batch = as_features(features, self.dtype, self._num_features)
        with np.errstate(all="ignore"):  # NaN and infinity are legitimate inputs
            (prediction,) = self._evaluator.run(None, {self._input: batch})
        return as_prediction(prediction)
