"""Which ONNX files are run here: those of operators that are known, and that make no more of a row.

None of the operators loops, calls out or reads a file.
"""

import math

import onnx

from linexport.errors import NotCheckedError
from linexport.formats.onnx._sizes import require_small

__all__ = ["require_runnable"]

_KNOWN_OPERATORS = {
    "": {
        "Add", "BatchNormalization", "Cast", "Clip", "Concat", "Constant", "Div", "Equal",
        "Flatten", "Gemm", "Identity", "IsNaN", "MatMul", "Max", "Min", "Mul", "Neg", "Not", "Relu",
        "Reshape", "Squeeze", "Sub", "Transpose", "Unsqueeze", "Where",
        "CastLike", "ConstantOfShape", "Conv", "DequantizeLinear", "Dropout", "Einsum", "Expand",
        "GlobalAveragePool", "Pad", "Tile",
        # No linear model needs these, or seldom; what they make of rows is tried, not understood.
        "Abs", "Ceil", "Elu", "Exp", "Floor", "Gather", "HardSigmoid", "LeakyRelu", "Log", "Mean",
        "PRelu", "Pow", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Round",
        "Selu", "Shape", "Sigmoid", "Sign", "Slice", "Softplus", "Split", "Sqrt", "Sum", "Tanh",
    },
    "ai.onnx.ml": {"ArrayFeatureExtractor", "FeatureVectorizer", "Imputer", "LabelEncoder",
                   "LinearRegressor", "Normalizer", "Scaler"},
}  # fmt: skip
"""What exporters build a linear model of, and what is put around one, by mistake or not, so that
the parity check can tell. None of them loops, calls out, reads a file, or makes much of little."""
_OF_COLUMNS = (
    ": it encodes a table's columns; `linexport export FILE -o BUNDLE --format onnx-columns` reads "
    "it, and writes such a file that is proven"
)


def require_runnable(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return a checked file's model, if it is one to run.

    Raises:
        NotCheckedError: If it has operators beyond those known, or makes too much of a row.
    """
    for node in proto.graph.node:
        encodes = node.op_type == "OneHotEncoder" or _fills(node)
        if encodes or node.op_type not in _KNOWN_OPERATORS.get(node.domain, ()):
            domain = f" of {node.domain}" if node.domain else ""
            remedy = _OF_COLUMNS if encodes else ""
            raise NotCheckedError(
                f"the ONNX file has the operator {node.op_type}{domain}, which is not run here"
                f"{remedy}."
            )
    require_small(proto)
    return proto


def _fills(node: onnx.NodeProto) -> bool:
    """Tell whether it puts numbers for NaN, which a linear model predicts as NaN."""
    return node.op_type == "Imputer" and any(
        math.isnan(attribute.f)
        for attribute in node.attribute
        if attribute.name == "replaced_value_float"
    )
