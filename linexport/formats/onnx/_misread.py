"""What onnx's own evaluator reads in another way than ONNX says, so that it is no witness there."""

from collections.abc import Callable

import onnx

__all__ = ["misread"]

_TRAINING_MODE = 14
"""The opset from which BatchNormalization says itself whether it normalises by the batch."""


def misread(proto: onnx.ModelProto) -> str | None:
    """Say, in a sentence, why a checked file is not put to the evaluator; None where it is."""
    version = max((each.version for each in proto.opset_import if not each.domain), default=0)
    for node in proto.graph.node:
        is_misread, what = _MISREAD.get((node.domain, node.op_type), (_never, ""))
        if is_misread(node, version):
            return f"onnx's own evaluator was not asked: {what}."
    return None


def _never(_node: onnx.NodeProto, _version: int) -> bool:
    return False


def _mixes_the_batch_in(_node: onnx.NodeProto, version: int) -> bool:
    return version < _TRAINING_MODE


def _has_no_intercepts(node: onnx.NodeProto, _version: int) -> bool:
    return not any(each.name == "intercepts" and each.floats for each in node.attribute)


_MISREAD: dict[tuple[str, str], tuple[Callable[[onnx.NodeProto, int], bool], str]] = {
    ("", "BatchNormalization"): (
        _mixes_the_batch_in,
        f"before opset {_TRAINING_MODE} its BatchNormalization mixes in the batch at hand",
    ),
    ("ai.onnx.ml", "LinearRegressor"): (
        _has_no_intercepts,
        "it reads a LinearRegressor without intercepts as one that answers NaN, or fails on it",
    ),
}
